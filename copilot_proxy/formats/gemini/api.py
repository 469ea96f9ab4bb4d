"""Google's Gemini API, as clients use it. Copilot does not serve it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.client_api import NativeCounting, RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import GEMINI_FIELDS, ClientFields
from copilot_proxy.formats.client_paths import GEMINI_HEADER, GEMINI_PATH, is_gemini
from copilot_proxy.formats.conversation import Conversation, Turn, lowest, texts
from copilot_proxy.formats.gemini.errors import error_body, error_status
from copilot_proxy.formats.gemini.field_names import with_google_names
from copilot_proxy.formats.gemini.models import model_list, model_object
from copilot_proxy.formats.gemini.request import (
    JSON_ARRAY,
    GeminiRequest,
    check_request,
    count_images,
    initiator,
    model_name,
)
from copilot_proxy.formats.gemini.request_to_chat import (
    effort,
    generation_config,
    shows_thoughts,
    to_chat,
)
from copilot_proxy.formats.gemini.stream_from_chat import ChatToGemini
from copilot_proxy.formats.gemini.token_estimate import media_tokens, text_of
from copilot_proxy.formats.gemini.tools import functions
from copilot_proxy.formats.line_json import encode_line
from copilot_proxy.formats.request_json import parse_object
from copilot_proxy.formats.types import ChatRequest, ClientEvent, Json
from copilot_proxy.headers import Initiator

_PARAMETERS: Final[Mapping[str, str]] = {
    "max_tokens": "maxOutputTokens",
    "temperature": "temperature",
    "top_p": "topP",
}
# Google's Python SDK treats a comment as data, but ignores an empty line.
_KEEP_ALIVE: Final = b"\n"
_EVENTS: Final = StreamFormat(sse.CONTENT_TYPE, sse.unnamed_json, b"", _KEEP_ALIVE)


class GeminiApi:
    """Implements `formats.client_api.ClientApi`."""

    name = "gemini"
    client_path = GEMINI_PATH
    identifying_header = GEMINI_HEADER
    request_id_header = b""
    counting: NativeCounting | None = None
    conversation_field = "contents"
    effort_field = GEMINI_FIELDS.effort

    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_object)
    model_list = staticmethod(model_list)
    countable_text = staticmethod(text_of)
    media_tokens = staticmethod(media_tokens)

    def has_path(self, path: str) -> bool:
        return is_gemini(path)

    def parse(self, body: bytes) -> GeminiRequest:
        """Return the decoded and validated ``GenerateContentRequest``; `body` must contain
        ``model``."""
        request = with_google_names(parse_object(body))
        request["model"] = model_name(request.get("model"))
        request.setdefault("stream", False)
        check_request(request)
        return request

    def metrics(self, request: GeminiRequest) -> RequestMetrics:
        thinking = generation_config(request).get("thinkingConfig") or {}
        budget = thinking.get("thinkingBudget")
        return RequestMetrics(
            items=len(request["contents"]),
            tools=len(functions(request)),
            effort=thinking.get("thinkingLevel") or (None if budget is None else str(budget)),
        )

    def count_images(self, request: GeminiRequest) -> int:
        return count_images(request)

    def initiator(self, request: GeminiRequest) -> Initiator:
        return initiator(request)

    def with_parameters(
        self, request: GeminiRequest, parameters: Mapping[str, Any]
    ) -> GeminiRequest:
        config = generation_config(request)
        for name, value in parameters.items():
            if name == "reasoning_effort":
                # Google has no level that disables thinking.
                chosen = {"thinkingBudget": 0} if value == "none" else {"thinkingLevel": value}
                shown = (config.get("thinkingConfig") or {}).get("includeThoughts")
                config["thinkingConfig"] = {"includeThoughts": shown, **chosen}
            else:
                config[_PARAMETERS.get(name, name)] = value
        return {**request, "generationConfig": config}

    def fields(self, request: GeminiRequest) -> ClientFields:
        thinking = generation_config(request).get("thinkingConfig") or {}
        budget = thinking.get("thinkingBudget")
        if thinking.get("thinkingLevel") or budget is None:
            return GEMINI_FIELDS
        name = "generationConfig.thinkingConfig.thinkingBudget"
        return GEMINI_FIELDS._replace(effort=name, effort_value=budget)

    def conversation(self, request: GeminiRequest) -> Conversation:
        system = request.get("systemInstruction") or {}
        turns = [Turn(one.get("role"), texts(one.get("parts"))) for one in request["contents"]]
        return Conversation(texts(system.get("parts")), turns)

    def output_limit(self, request: GeminiRequest) -> int | None:
        return lowest(generation_config(request).get("maxOutputTokens"))

    def wants_reasoning(self, request: GeminiRequest) -> bool:
        return shows_thoughts(request) or effort(generation_config(request)) not in (None, "none")

    def encrypted_reasoning(self, request: GeminiRequest) -> list[str]:
        return [
            part["thoughtSignature"]
            for content in request["contents"]
            for part in content.get("parts") or ()
            if part.get("thoughtSignature")
        ]

    def without_reasoning(
        self, request: GeminiRequest, encrypted: Collection[str]
    ) -> GeminiRequest:
        contents = [_without_reasoning(content, encrypted) for content in request["contents"]]
        return {**request, "contents": contents}

    def to_chat(self, request: GeminiRequest, notes: list[str]) -> ChatRequest:
        return to_chat(request, notes)

    def wants_usage(self, request: GeminiRequest) -> bool:
        return True

    def writer(self, request: GeminiRequest) -> ChatToGemini:
        return ChatToGemini(request)

    def stream_format(self, request: GeminiRequest) -> StreamFormat:
        if not request.get(JSON_ARRAY):
            return _EVENTS
        return StreamFormat(b"application/json", _array_frame(), b"\n]\n", _KEEP_ALIVE)

    def fail(
        self, request: GeminiRequest, error: CopilotProxyError, request_id: str
    ) -> list[ClientEvent]:
        return [error_body(error, request_id)]


def _array_frame() -> Callable[[ClientEvent], bytes]:
    """Return a function that encodes the events of a stream as items of an array."""
    before = b"["

    def frame(event: ClientEvent) -> bytes:
        nonlocal before
        data, before = before + encode_line(event), b",\n"
        return data

    return frame


def _without_reasoning(content: Json, encrypted: Collection[str]) -> Json:
    """Return a `Content`, without its reasoning if any of its signatures is in `encrypted`."""
    parts = content.get("parts") or []
    if not any(part.get("thoughtSignature") in encrypted for part in parts):
        return content
    kept = [
        {name: value for name, value in part.items() if name != "thoughtSignature"}
        for part in parts
        if part.get("thought") is not True
    ]
    return {**content, "parts": kept}


GEMINI: Final = GeminiApi()
