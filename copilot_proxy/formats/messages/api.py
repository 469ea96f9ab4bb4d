"""Anthropic's Messages API, as clients use it and as Copilot serves it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from copilot_proxy.catalogue import MESSAGES_PATH, Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.client_api import NativeCounting, RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import MESSAGES_FIELDS, ClientFields
from copilot_proxy.formats.conversation import Conversation, lowest, message_turns, texts
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.messages.errors import error_body, error_status
from copilot_proxy.formats.messages.models import model_info, model_list
from copilot_proxy.formats.messages.request import (
    count_images,
    initiator,
    is_thinking_enabled,
    parse_request,
)
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.messages.request_to_model import (
    messages_for_model,
    messages_from_chat,
)
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_repair import MessagesRepair
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.messages.token_estimate import (
    estimated_tokens,
    media_tokens,
    text_of,
)
from copilot_proxy.formats.messages.unrequested import unrequested_fields, without_fields
from copilot_proxy.formats.messages.unsupported_input import thinking_signatures, without_thinking
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.plain_turns import expanded
from copilot_proxy.formats.rules import AdaptedBody
from copilot_proxy.formats.types import ChatRequest, Json, MessagesEvent, MessagesRequest
from copilot_proxy.formats.upstream_api import NativePassage
from copilot_proxy.headers import Initiator

_VERSION: Final = "2023-06-01"
"""The only version of the API."""


_STREAM: Final = StreamFormat(sse.CONTENT_TYPE, sse.named_json, b"", sse.KEEP_ALIVE)


class _Native:
    """Passes Messages requests through to models that Copilot serves on Messages."""

    def body(
        self,
        request: MessagesRequest,
        model: Model | None,
        notes: list[str],
        kinds: Kinds | None = None,
    ) -> AdaptedBody:
        return messages_for_model(request, model, notes, kinds)

    def translator(
        self,
        request: MessagesRequest,
        tool_names: Mapping[str, str],
        request_id: str,
        *,
        is_replaced: bool = False,
    ) -> MessagesRepair:
        return MessagesRepair(
            request_id,
            tool_names,
            unrequested=unrequested_fields(request),
            model=request["model"],
        )


class _Counting:
    """Counts tokens with Copilot's ``count_tokens``."""

    path = "/v1/messages/count_tokens"

    def body(self, request: MessagesRequest, model: Model | None) -> MessagesRequest:
        return messages_for_model(request, model, [], counting=True).body

    def answer(self, request: MessagesRequest, answer: object) -> Json | None:
        if not isinstance(answer, dict) or not isinstance(answer.get("input_tokens"), int):
            return None
        return without_fields(answer, unrequested_fields(request))


class MessagesApi:
    """Implements `formats.client_api.ClientApi` and `UpstreamApi`."""

    name = "messages"
    client_path = "/v1/messages"
    identifying_header = b"anthropic-version"
    request_id_header = b"request-id"
    path = MESSAGES_PATH
    counting: NativeCounting | None = _Counting()
    conversation_field = "messages"
    effort_field = MESSAGES_FIELDS.effort
    native: NativePassage | None = _Native()

    reader = staticmethod(MessagesToChat)
    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_info)
    model_list = staticmethod(model_list)
    countable_text = staticmethod(text_of)
    media_tokens = staticmethod(media_tokens)

    def has_path(self, path: str) -> bool:
        return path.startswith(self.client_path)

    def parse(self, body: bytes) -> MessagesRequest:
        return parse_request(body)

    def parse_count(self, body: bytes) -> MessagesRequest:
        """Decode and validate a request to count tokens; it needs no ``max_tokens``.

        Raises `RequestError`.
        """
        return parse_request(body, counting=True)

    def metrics(self, request: MessagesRequest) -> RequestMetrics:
        config = request.get("output_config")
        return RequestMetrics(
            items=len(request["messages"]),
            tools=len(request.get("tools") or ()),
            effort=config.get("effort") if isinstance(config, dict) else None,
        )

    def count_images(self, request: MessagesRequest) -> int:
        return count_images(request)

    def initiator(self, request: MessagesRequest) -> Initiator:
        return initiator(request)

    def with_parameters(
        self, request: MessagesRequest, parameters: Mapping[str, Any]
    ) -> MessagesRequest:
        changed = dict(request)
        for name, value in parameters.items():
            if name == "reasoning_effort":
                changed["output_config"] = {**(request.get("output_config") or {}), "effort": value}
            else:
                changed[name] = value
        return changed

    def fields(self, request: MessagesRequest) -> ClientFields:
        thinking = request.get("thinking") or {}
        if thinking.get("type") == "disabled":
            return MESSAGES_FIELDS._replace(effort="thinking", effort_value="disabled")
        if isinstance((request.get("output_config") or {}).get("effort"), str):
            return MESSAGES_FIELDS
        budget = thinking.get("budget_tokens")
        return MESSAGES_FIELDS._replace(effort="thinking.budget_tokens", effort_value=budget)

    def conversation(self, request: MessagesRequest) -> Conversation:
        messages = expanded(request)["messages"]
        return Conversation(texts(request.get("system")), message_turns(messages))

    def output_limit(self, request: MessagesRequest) -> int | None:
        return lowest(request.get("max_tokens"))

    def wants_reasoning(self, request: MessagesRequest) -> bool:
        return is_thinking_enabled(request)

    def encrypted_reasoning(self, request: MessagesRequest) -> list[str]:
        return thinking_signatures(expanded(request))

    def without_reasoning(
        self, request: MessagesRequest, encrypted: Collection[str]
    ) -> MessagesRequest:
        return without_thinking(expanded(request), encrypted)

    def to_chat(self, request: MessagesRequest, notes: list[str]) -> ChatRequest:
        return to_chat(expanded(request), notes)

    def wants_usage(self, request: MessagesRequest) -> bool:
        return True

    def stream_format(self, request: MessagesRequest) -> StreamFormat:
        return _STREAM

    def writer(self, request: MessagesRequest) -> ChatToMessages:
        tokens = estimated_tokens(request) if request.get("stream") else 0
        return ChatToMessages(request, request["model"], tokens)

    def fail(
        self, request: MessagesRequest, error: CopilotProxyError, request_id: str
    ) -> list[MessagesEvent]:
        return ChatToMessages(request, request["model"]).fail(error, request_id)

    def accepted_stops(self, model: Model | None, stops: Sequence[str]) -> list[str]:
        return profile_of(model, "messages").accepted_stops(stops)

    def accepts_documents(self, model: Model | None) -> bool:
        return profile_of(model, "messages").documents is not False

    def from_chat(self, chat: ChatRequest, model: Model | None, notes: list[str]) -> AdaptedBody:
        return messages_from_chat(chat, model, notes)

    def headers(
        self, body: MessagesRequest, betas: Collection[str], notes: list[str]
    ) -> dict[str, str]:
        selected, dropped = select_betas(betas, body)
        notes += [f"dropped beta {name}: {reason}" for name, reason in dropped.items()]
        headers = {"anthropic-version": _VERSION}
        if selected:
            headers["anthropic-beta"] = ",".join(selected)
        return headers

    def with_cache_key(self, body: MessagesRequest, session: str | None) -> MessagesRequest:
        return body


MESSAGES: Final = MessagesApi()
