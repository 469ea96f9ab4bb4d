"""OpenAI's Responses API: what clients send, and what models serve."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.api import NativePassage, RequestMetrics
from copilot_proxy.formats.chat_completions.errors import error_body
from copilot_proxy.formats.reasoning_cache import ReasoningRecorder
from copilot_proxy.formats.responses.request import count_images, initiator, parse_request
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import (
    responses_for_model,
    responses_from_chat,
)
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.stream_from_chat import ChatToResponses
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.formats.responses.stream_to_chat import ResponsesToChat
from copilot_proxy.formats.rules import Fitted
from copilot_proxy.headers import Initiator


class _Native:
    """The passage of a Responses request to a model that serves Responses."""

    def body(self, request: Json, model: Model | None, notes: list[str]) -> Fitted:
        return responses_for_model(request, model, notes)

    def translator(
        self, request: Json, tool_names: Mapping[str, str], request_id: str
    ) -> ResponsesRepair:
        return ResponsesRepair(request, tool_names)


class ResponsesApi:
    """See `formats.api` for what each method is."""

    name = "responses"
    path = "/responses"
    conversation_field = "input"
    stream_end = b""
    native: NativePassage | None = _Native()

    frame = staticmethod(sse.named_json)
    error_body = staticmethod(error_body)

    def parse(self, body: bytes) -> Json:
        return parse_request(body)

    def metrics(self, request: Json) -> RequestMetrics:
        given = request["input"]
        reasoning = request.get("reasoning")
        return RequestMetrics(
            items=len(given) if isinstance(given, list) else 1,
            tools=len(request.get("tools") or ()),
            images=count_images(request),
            effort=reasoning.get("effort") if isinstance(reasoning, dict) else None,
        )

    def initiator(self, request: Json) -> Initiator:
        return initiator(request)

    def with_parameters(self, request: Json, parameters: Mapping[str, Any]) -> Json:
        changed = dict(request)
        for name, value in parameters.items():
            if name == "reasoning_effort":
                changed["reasoning"] = {**(request.get("reasoning") or {}), "effort": value}
            else:
                changed["max_output_tokens" if name == "max_tokens" else name] = value
        return changed

    def to_chat(self, request: Json, notes: list[str]) -> Json:
        return to_chat(request, notes)

    def wants_usage(self, request: Json) -> bool:
        return True

    def writer(self, request: Json) -> ChatToResponses:
        return ChatToResponses(request, request["model"])

    def fail(self, request: Json, error: CopilotProxyError, request_id: str) -> list[Json]:
        return self.writer(request).fail(error, request_id)

    def from_chat(self, chat: Json, model: Model | None, notes: list[str]) -> Fitted:
        return responses_from_chat(chat, model, notes)

    def headers(self, body: Json, betas: Collection[str], notes: list[str]) -> dict[str, str]:
        return {}

    def reader(
        self,
        model: str,
        *,
        include_usage: bool,
        recorder: ReasoningRecorder | None,
        tool_names: Mapping[str, str],
    ) -> ResponsesToChat:
        return ResponsesToChat(
            model, include_usage=include_usage, recorder=recorder, tool_names=tool_names
        )


RESPONSES: Final = ResponsesApi()
