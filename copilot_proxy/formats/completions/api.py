"""The Completions API, as clients use it, for a single continuation at a time."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats import sse
from copilot_proxy.formats.chat_completions.errors import error_body, error_status
from copilot_proxy.formats.chat_completions.request import initiator
from copilot_proxy.formats.client_api import RequestMetrics, StreamFormat
from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.client_paths import COMPLETIONS_PATH, is_completions
from copilot_proxy.formats.completions.request import parse_request
from copilot_proxy.formats.completions.request_to_chat import to_chat
from copilot_proxy.formats.completions.stream_from_chat import ChatToCompletion
from copilot_proxy.formats.conversation import Conversation, Turn, lowest, texts
from copilot_proxy.formats.models import model_list, model_object
from copilot_proxy.formats.types import ChatRequest, ClientRequest, ErrorBody
from copilot_proxy.headers import Initiator

_STREAM: Final = StreamFormat(
    sse.CONTENT_TYPE, sse.unnamed_json, sse.encode(sse.DONE), sse.KEEP_ALIVE
)


class CompletionsApi:
    """Implements `ClientApi`; see `formats.client_api`.

    All methods except `parse` expect requests from `split_request`.
    """

    name = "completions"
    client_path = COMPLETIONS_PATH
    identifying_header = request_id_header = b""
    conversation_field = "prompt"
    effort_field = "reasoning_effort"

    error_body = staticmethod(error_body)
    error_status = staticmethod(error_status)
    model_object = staticmethod(model_object)
    model_list = staticmethod(model_list)

    def has_path(self, path: str) -> bool:
        return is_completions(path)

    def parse(self, body: bytes) -> ClientRequest:
        return parse_request(body)

    def metrics(self, request: ClientRequest) -> RequestMetrics:
        return RequestMetrics(items=1, noun="prompt")

    def count_images(self, request: ClientRequest) -> int:
        return 0

    def initiator(self, request: ClientRequest) -> Initiator:
        return initiator(to_chat(request)["messages"])

    def with_parameters(
        self, request: ClientRequest, parameters: Mapping[str, Any]
    ) -> ClientRequest:
        return {**request, **parameters}

    def fields(self, request: ClientRequest) -> ClientFields:
        return ClientFields(limit="max_tokens", conversation="prompt")

    def conversation(self, request: ClientRequest) -> Conversation:
        return Conversation([], [Turn("user", texts(request["prompt"]))])

    def output_limit(self, request: ClientRequest) -> int | None:
        return lowest(request.get("max_tokens"))

    def wants_reasoning(self, request: ClientRequest) -> bool:
        return False

    def encrypted_reasoning(self, request: ClientRequest) -> list[str]:
        return []

    def without_reasoning(
        self, request: ClientRequest, encrypted: Collection[str]
    ) -> ClientRequest:
        return request

    def to_chat(self, request: ClientRequest, notes: list[str]) -> ChatRequest:
        return to_chat(request)

    def wants_usage(self, request: ClientRequest) -> bool:
        options = request.get("stream_options")
        include_usage = bool(options and options.get("include_usage"))
        return include_usage or request.get("stream") is not True

    def stream_format(self, request: ClientRequest) -> StreamFormat:
        return _STREAM

    def writer(self, request: ClientRequest) -> ChatToCompletion:
        return ChatToCompletion(request)

    def fail(
        self, request: ClientRequest, error: CopilotProxyError, request_id: str
    ) -> list[ErrorBody]:
        return [error_body(error, request_id)]


COMPLETIONS: Final = CompletionsApi()
