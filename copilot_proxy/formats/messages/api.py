"""Anthropic's Messages API: what clients send, and what models serve."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.api import NativePassage, RequestMetrics
from copilot_proxy.formats.messages import betas as beta_names
from copilot_proxy.formats.messages.errors import error_body
from copilot_proxy.formats.messages.request import count_images, initiator, parse_request
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.messages.request_to_model import (
    messages_for_model,
    messages_from_chat,
)
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.stream_from_chat import ChatToMessages
from copilot_proxy.formats.messages.stream_repair import MessagesRepair
from copilot_proxy.formats.messages.stream_to_chat import MessagesToChat
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.rules import Fitted
from copilot_proxy.headers import Initiator

_VERSION: Final = "2023-06-01"
"""Of the API, which has had no other since."""


class _Native:
    """The passage of a Messages request to a model that serves Messages."""

    def body(self, request: Json, model: Model | None, notes: list[str]) -> Fitted:
        return messages_for_model(request, model, notes)

    def translator(
        self, request: Json, tool_names: Mapping[str, str], request_id: str
    ) -> MessagesRepair:
        return MessagesRepair(request_id, tool_names)


class MessagesApi:
    """See `formats.api` for what each method is."""

    name = "messages"
    path = "/v1/messages"
    count_path = "/v1/messages/count_tokens"
    conversation_field = "messages"
    stream_end = b""
    native: NativePassage | None = _Native()

    frame = staticmethod(sse.named_json)
    error_body = staticmethod(error_body)

    def parse(self, body: bytes) -> Json:
        return parse_request(body)

    def parse_count(self, body: bytes) -> Json:
        """The decoded and checked request for counting tokens; raises `RequestError`."""
        return parse_request(body, counting=True)

    def metrics(self, request: Json) -> RequestMetrics:
        config = request.get("output_config")
        return RequestMetrics(
            items=len(request["messages"]),
            tools=len(request.get("tools") or ()),
            images=count_images(request),
            effort=config.get("effort") if isinstance(config, dict) else None,
        )

    def initiator(self, request: Json) -> Initiator:
        return initiator(request)

    def with_parameters(self, request: Json, parameters: Mapping[str, Any]) -> Json:
        changed = dict(request)
        for name, value in parameters.items():
            if name == "reasoning_effort":
                changed["output_config"] = {**(request.get("output_config") or {}), "effort": value}
            else:
                changed[name] = value
        return changed

    def to_chat(self, request: Json, notes: list[str]) -> Json:
        return to_chat(request, notes)

    def wants_usage(self, request: Json) -> bool:
        return True

    def writer(self, request: Json) -> ChatToMessages:
        return ChatToMessages(request, request["model"])

    def fail(self, request: Json, error: CopilotProxyError, request_id: str) -> list[Json]:
        return self.writer(request).fail(error, request_id)

    def from_chat(self, chat: Json, model: Model | None, notes: list[str]) -> Fitted:
        return messages_from_chat(chat, model, notes)

    def for_counting(self, request: Json, model: Model | None) -> Json:
        """The body with which Copilot counts the tokens of a request; raises `RequestError`."""
        return messages_for_model(request, model, [], counting=True).body

    def headers(self, body: Json, betas: Collection[str], notes: list[str]) -> dict[str, str]:
        send, dropped = beta_names.betas(betas, body)
        notes += [f"dropped beta {name}: Copilot does not take it" for name in dropped]
        headers = {"anthropic-version": _VERSION}
        if send:
            headers["anthropic-beta"] = ",".join(send)
        return headers

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
    ) -> MessagesToChat:
        return MessagesToChat(
            model, include_usage=include_usage, recorder=recorder, tool_names=tool_names
        )


MESSAGES: Final = MessagesApi()
