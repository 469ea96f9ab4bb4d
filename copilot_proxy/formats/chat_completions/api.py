"""The Chat Completions API, for clients and for models."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from copilot_proxy.catalogue import CHAT_COMPLETIONS_PATH, Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.chat_completions.content_parts import read_files
from copilot_proxy.formats.chat_completions.deferred_tools import load_deferred
from copilot_proxy.formats.chat_completions.errors import error_body, error_status
from copilot_proxy.formats.chat_completions.legacy_functions import (
    FunctionsWriter,
    is_legacy,
    without_mark,
)
from copilot_proxy.formats.chat_completions.request import (
    count_images,
    initiator,
    parse_request,
)
from copilot_proxy.formats.chat_completions.request_to_model import chat_for_model
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.chat_completions.tool_results import resolve_results
from copilot_proxy.formats.client_api import RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.conversation import Conversation, lowest, message_turns
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.models import model_list, model_object
from copilot_proxy.formats.plain_turns import PlainTurns, expanded
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.translators import ChatWriter
from copilot_proxy.formats.types import ChatRequest, ErrorBody, UpstreamBody
from copilot_proxy.formats.upstream_api import NativePassage
from copilot_proxy.headers import Initiator

_REASONING: Final = ("reasoning_content", "reasoning_text", "reasoning_opaque")
"""The fields of a message that contain the model's reasoning, plain or encrypted."""
_OLDER_LIMIT: Final = ClientFields(limit="max_tokens")
_NEWER_LIMIT: Final = ClientFields(limit="max_completion_tokens")
_STREAM: Final = StreamFormat(
    sse.CONTENT_TYPE, sse.unnamed_json, sse.unnamed(sse.DONE), sse.KEEP_ALIVE, sse.unnamed
)


class ChatCompletionsApi:
    """Implements `ClientApi` and `UpstreamApi`; see `formats.client_api`."""

    name = "chat_completions"
    client_path = "/v1/chat/completions"
    identifying_header = request_id_header = b""
    path = CHAT_COMPLETIONS_PATH
    conversation_field = "messages"
    effort_field = "reasoning_effort"
    native: NativePassage | None = None

    reader = staticmethod(ChatRepair)
    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_object)
    model_list = staticmethod(model_list)

    def has_path(self, path: str) -> bool:
        return path.startswith(self.client_path)

    def parse(self, body: bytes) -> ChatRequest:
        return parse_request(body)

    def metrics(self, request: ChatRequest) -> RequestMetrics:
        return RequestMetrics(
            items=len(request["messages"]),
            tools=len(request.get("tools") or ()),
            effort=request.get("reasoning_effort"),
        )

    def count_images(self, request: ChatRequest) -> int:
        return count_images(request["messages"])

    def initiator(self, request: ChatRequest) -> Initiator:
        return initiator(request["messages"])

    def with_parameters(self, request: ChatRequest, parameters: Mapping[str, Any]) -> ChatRequest:
        changed = {**request, **parameters}
        if "max_tokens" in parameters:
            changed.pop("max_completion_tokens", None)
        return changed

    def fields(self, request: ChatRequest) -> ClientFields:
        return _OLDER_LIMIT if request.get("max_completion_tokens") is None else _NEWER_LIMIT

    def conversation(self, request: ChatRequest) -> Conversation:
        return Conversation([], message_turns(expanded(request)["messages"]))

    def output_limit(self, request: ChatRequest) -> int | None:
        return lowest(request.get("max_completion_tokens"), request.get("max_tokens"))

    def wants_reasoning(self, request: ChatRequest) -> bool:
        thinking = request.get("thinking")
        kind = thinking.get("type") if isinstance(thinking, dict) else None
        efforts = request.get("reasoning_effort") not in (None, "none")
        return efforts or bool(request.get("thinking_budget")) or kind in ("enabled", "adaptive")

    def encrypted_reasoning(self, request: ChatRequest) -> list[str]:
        found = (message.get("reasoning_opaque") for message in expanded(request)["messages"])
        return [opaque for opaque in found if isinstance(opaque, str)]

    def without_reasoning(self, request: ChatRequest, encrypted: Collection[str]) -> ChatRequest:
        messages = [
            {name: value for name, value in message.items() if name not in _REASONING}
            if message.get("reasoning_opaque") in encrypted
            else message
            for message in expanded(request)["messages"]
        ]
        return {**request, "messages": messages}

    def to_chat(self, request: ChatRequest, notes: list[str]) -> ChatRequest:
        request = load_deferred(without_mark(request), notes)
        if isinstance(request["messages"], PlainTurns):
            return request
        return resolve_results({**request, "messages": read_files(request["messages"])})

    def wants_usage(self, request: ChatRequest) -> bool:
        options = request.get("stream_options")
        include_usage = bool(options and options.get("include_usage"))
        return include_usage or request.get("stream") is not True

    def stream_format(self, request: ChatRequest) -> StreamFormat:
        return _STREAM

    def writer(self, request: ChatRequest) -> ChatWriter | None:
        return FunctionsWriter() if is_legacy(request) else None

    def fail(
        self, request: ChatRequest, error: CopilotProxyError, request_id: str
    ) -> list[ErrorBody]:
        return [error_body(error, request_id)]

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        return profile_of(model, "chat_completions").accepted_stops(stops)

    def accepts_documents(self, model: Model | None) -> bool:
        return profile_of(model, "chat_completions").documents is not False

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
        return chat_for_model(chat, model, notes)

    def headers(
        self, body: UpstreamBody, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        return {}

    def with_cache_key(self, body: UpstreamBody, session: str | None) -> UpstreamBody:
        return body


CHAT_COMPLETIONS: Final = ChatCompletionsApi()
