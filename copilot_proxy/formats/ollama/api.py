"""Ollama's chat API, as clients use it. Copilot does not serve it."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.client_api import RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import OLLAMA_FIELDS, ClientFields
from copilot_proxy.formats.client_paths import is_ollama
from copilot_proxy.formats.conversation import Conversation, lowest, message_turns
from copilot_proxy.formats.line_json import encode_line
from copilot_proxy.formats.ollama.errors import error_body, error_status
from copilot_proxy.formats.ollama.models import model_list, model_object
from copilot_proxy.formats.ollama.request import (
    images_of,
    initiator,
    is_generate,
    parse_chat,
    parse_generate,
    thinks,
)
from copilot_proxy.formats.ollama.request_to_chat import effort_of, to_chat
from copilot_proxy.formats.ollama.stream_from_chat import ChatToOllama
from copilot_proxy.formats.types import ChatRequest, ClientEvent, ClientRequest
from copilot_proxy.headers import Initiator


def _frame(event: ClientEvent) -> bytes:
    return b"%b\n" % encode_line(event)


_STREAM: Final = StreamFormat(
    content_type=b"application/x-ndjson",
    frame=_frame,
    end=b"",
    # JSON may start with whitespace, so this becomes part of the next line. Empty lines break some
    # clients.
    keep_alive=b" ",
)
_PARAMETERS: Final = {"max_tokens": "num_predict", "temperature": "temperature", "top_p": "top_p"}
"""Parameters of aliases -> Ollama's options."""


class OllamaApi:
    """Implements `formats.client_api.ClientApi`."""

    name = "ollama"
    client_path = "/api/chat"
    identifying_header = request_id_header = b""
    conversation_field = OLLAMA_FIELDS.conversation
    effort_field = OLLAMA_FIELDS.effort

    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_object)
    model_list = staticmethod(model_list)

    def has_path(self, path: str) -> bool:
        return is_ollama(path)

    def parse(self, body: bytes) -> ClientRequest:
        return parse_chat(body)

    def parse_generate(self, body: bytes) -> ClientRequest:
        """Return a request to ``/api/generate``, converted to ``/api/chat`` and marked as such.

        Raises `RequestError`.
        """
        return parse_generate(body)

    def metrics(self, request: ClientRequest) -> RequestMetrics:
        think = request.get("think")
        return RequestMetrics(
            items=len(request["messages"]),
            tools=len(request.get("tools") or ()),
            effort=think if isinstance(think, str) else None,
        )

    def count_images(self, request: ClientRequest) -> int:
        return sum(1 for _ in images_of(request))

    def initiator(self, request: ClientRequest) -> Initiator:
        return initiator(request)

    def with_parameters(
        self, request: ClientRequest, parameters: Mapping[str, Any]
    ) -> ClientRequest:
        options = dict(request.get("options") or {})
        options.update({_PARAMETERS[k]: v for k, v in parameters.items() if k in _PARAMETERS})
        changed = {**request, "options": options}
        if "reasoning_effort" in parameters:
            effort = parameters["reasoning_effort"]
            changed["think"] = False if effort == "none" else effort
        return changed

    def fields(self, request: ClientRequest) -> ClientFields:
        effort, think = effort_of(request), request.get("think")
        value = None if effort == think else str(think).lower()
        return OLLAMA_FIELDS._replace(effort_value=value)

    def conversation(self, request: ClientRequest) -> Conversation:
        return Conversation([], message_turns(request["messages"]))

    def output_limit(self, request: ClientRequest) -> int | None:
        return lowest((request.get("options") or {}).get("num_predict"))

    def wants_reasoning(self, request: ClientRequest) -> bool:
        return thinks(request)

    def encrypted_reasoning(self, request: ClientRequest) -> list[str]:
        return []

    def without_reasoning(
        self, request: ClientRequest, encrypted: Collection[str]
    ) -> ClientRequest:
        return request

    def to_chat(self, request: ClientRequest, notes: list[str]) -> ChatRequest:
        return to_chat(request, notes)

    def wants_usage(self, request: ClientRequest) -> bool:
        return True

    def stream_format(self, request: ClientRequest) -> StreamFormat:
        return _STREAM

    def writer(self, request: ClientRequest) -> ChatToOllama:
        return ChatToOllama(
            request["model"],
            generates=is_generate(request),
            shows_thinking=effort_of(request) != "none",
        )

    def loaded(self, request: ClientRequest) -> bytes:
        """Return the entire response to a request without a prompt. It says that the model is
        loaded or unloaded."""
        return _frame(self.writer(request).loaded(unload=request.get("keep_alive") in (0, "0")))

    def fail(
        self, request: ClientRequest, error: CopilotProxyError, request_id: str
    ) -> list[ClientEvent]:
        return [error_body(error, request_id)]


OLLAMA: Final = OllamaApi()
