"""The Responses API, as clients use it and as Copilot serves it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from copilot_proxy.catalogue import RESPONSES_PATH, Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.chat_completions.errors import error_body, error_status
from copilot_proxy.formats.client_api import NativeCounting, RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import RESPONSES_FIELDS, ClientFields
from copilot_proxy.formats.conversation import (
    Conversation,
    Turn,
    lowest,
    message_turns,
    texts,
)
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.models import model_list, model_object
from copilot_proxy.formats.plain_turns import expanded
from copilot_proxy.formats.reasoning_summary import summary_of
from copilot_proxy.formats.responses.cache_key import with_cache_key
from copilot_proxy.formats.responses.history_items import (
    item_contents,
    without_encrypted_items,
)
from copilot_proxy.formats.responses.request import (
    count_images,
    initiator,
    parse_count_request,
    parse_request,
)
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.responses.token_estimate import media_tokens, text_of
from copilot_proxy.formats.responses.tool_lists import tool_holders
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.types import (
    ChatRequest,
    ResponsesEvent,
    ResponsesRequest,
)
from copilot_proxy.formats.upstream_api import NativePassage
from copilot_proxy.headers import Initiator

_STREAM: Final = StreamFormat(sse.CONTENT_TYPE, sse.named_json, b"", sse.KEEP_ALIVE)


class _Native:
    """Passes Responses requests on to models that support the Responses API."""

    def body(
        self,
        request: ResponsesRequest,
        model: Model | None,
        notes: list[str],
        kinds: Kinds | None = None,
    ) -> AdaptedBody:
        return responses_for_model(request, model, notes, kinds)

    def translator(
        self,
        request: ResponsesRequest,
        tool_names: Mapping[str, str],
        request_id: str,
        *,
        is_replaced: bool = False,
    ) -> ResponsesRepair:
        return ResponsesRepair(request, tool_names, keeps_name=is_replaced)


class ResponsesApi:
    """Implements `formats.client_api.ClientApi` and `UpstreamApi`."""

    name = "responses"
    client_path = "/v1/responses"
    identifying_header = request_id_header = b""
    path = RESPONSES_PATH
    conversation_field = "input"
    effort_field = RESPONSES_FIELDS.effort
    native: NativePassage | None = _Native()
    counting: NativeCounting | None = None

    reader = staticmethod(ResponsesToChat)
    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_object)
    model_list = staticmethod(model_list)
    countable_text = staticmethod(text_of)
    media_tokens = staticmethod(media_tokens)

    def has_path(self, path: str) -> bool:
        return path.startswith(self.client_path)

    def parse(self, body: bytes) -> ResponsesRequest:
        return parse_request(body)

    def parse_warm_up(self, body: bytes) -> ResponsesRequest:
        """Return the validated request of a warm-up, which may have no input. Raises
        `RequestError`."""
        return parse_request(body, may_be_empty=True)

    def parse_count(self, body: bytes) -> ResponsesRequest:
        """Return the validated request to count tokens. Raises `RequestError`."""
        return parse_count_request(body)

    def metrics(self, request: ResponsesRequest) -> RequestMetrics:
        items = request["input"]
        reasoning = request.get("reasoning")
        return RequestMetrics(
            items=len(items) if isinstance(items, list) else 1,
            noun="item",
            tools=sum(len(holder["tools"]) for holder in tool_holders(request)),
            effort=reasoning.get("effort") if isinstance(reasoning, dict) else None,
        )

    def count_images(self, request: ResponsesRequest) -> int:
        return count_images(request)

    def initiator(self, request: ResponsesRequest) -> Initiator:
        return initiator(request)

    def with_parameters(
        self, request: ResponsesRequest, parameters: Mapping[str, Any]
    ) -> ResponsesRequest:
        changed = dict(request)
        for name, value in parameters.items():
            if name == "reasoning_effort":
                changed["reasoning"] = {**(request.get("reasoning") or {}), "effort": value}
            else:
                changed["max_output_tokens" if name == "max_tokens" else name] = value
        return changed

    def fields(self, request: ResponsesRequest) -> ClientFields:
        return RESPONSES_FIELDS

    def conversation(self, request: ResponsesRequest) -> Conversation:
        given = expanded(request)["input"]
        turns = message_turns(given) if isinstance(given, list) else [Turn("user", texts(given))]
        return Conversation(texts(request.get("instructions")), turns)

    def output_limit(self, request: ResponsesRequest) -> int | None:
        return lowest(request.get("max_output_tokens"))

    def wants_reasoning(self, request: ResponsesRequest) -> bool:
        reasoning = request.get("reasoning") or {}
        return reasoning.get("effort") not in (None, "none") or summary_of(reasoning) != "none"

    def encrypted_reasoning(self, request: ResponsesRequest) -> list[str]:
        return item_contents(expanded(request))

    def without_reasoning(
        self, request: ResponsesRequest, encrypted: Collection[str]
    ) -> ResponsesRequest:
        return without_encrypted_items(expanded(request), encrypted)

    def to_chat(self, request: ResponsesRequest, notes: list[str]) -> ChatRequest:
        return to_chat(request, notes)

    def wants_usage(self, request: ResponsesRequest) -> bool:
        return True

    def stream_format(self, request: ResponsesRequest) -> StreamFormat:
        return _STREAM

    def writer(self, request: ResponsesRequest) -> ChatToResponses:
        return ChatToResponses(request, request["model"])

    def fail(
        self, request: ResponsesRequest, error: CopilotProxyError, request_id: str
    ) -> list[ResponsesEvent]:
        return self.writer(request).fail(error, request_id)

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        return profile_of(model, "responses").accepted_stops(stops)

    def accepts_documents(self, model: Model | None) -> bool:
        return profile_of(model, "responses").documents is not False

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
        return responses_from_chat(chat, model, notes)

    def headers(
        self, body: ResponsesRequest, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        return {}

    def with_cache_key(self, body: ResponsesRequest, session: str | None) -> ResponsesRequest:
        return with_cache_key(body, session)


RESPONSES: Final = ResponsesApi()
