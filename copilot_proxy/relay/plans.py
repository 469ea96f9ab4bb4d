"""Decides which of Copilot's APIs answers a request, and how its answer gets back to the client.

A model that lists the client's own API is asked on that, and the answer is only repaired.
Otherwise the request goes through the hub (chat completions) to an API that the model does list.
The catalogue decides, never a model's name.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from copilot_proxy.catalogue import Alias, Model
from copilot_proxy.errors import BrokenResponse, CopilotProxyError
from copilot_proxy.formats.chat_completions import request as chat_request
from copilot_proxy.formats.chat_completions.reasoning_cache import ReasoningCache, ReasoningRecorder
from copilot_proxy.formats.messages import betas
from copilot_proxy.formats.messages import errors as messages_errors
from copilot_proxy.formats.messages import request as messages_request
from copilot_proxy.formats.messages import stream_repair as messages_native
from copilot_proxy.formats.messages.request_to_model import messages_for_model
from copilot_proxy.formats.responses import request as responses_request
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from copilot_proxy.formats.responses.stream_repair import ResponsesRepair
from copilot_proxy.headers import Initiator
from copilot_proxy.relay import hub
from copilot_proxy.relay.hub import ChatApi, Json

ENDPOINTS: Final[dict[ChatApi, str]] = {
    # In the order in which they are taken for a client whose own API the model does not list.
    "chat_completions": "/chat/completions",
    "responses": "/responses",
    "messages": "/v1/messages",
}
_ANTHROPIC_VERSION: Final = "2023-06-01"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one request is answered."""

    api: ChatApi
    """Copilot's API that is asked."""
    body: Json
    translator: hub.Reader
    """Takes upstream's events, gives the client's."""
    whole: Callable[[list[Json], object], Json]
    """The answer to a client that wants no stream, of all its events; the second argument is
    upstream's body when that was whole, too."""
    fail: Callable[[CopilotProxyError, str], list[Json]]
    """The events that tell a failure in mid-stream; the second argument is the request's id."""
    notes: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def choose(client: ChatApi, model: Model | None, refused: Collection[ChatApi] = ()) -> ChatApi:
    """Copilot's API for a client of `client`; `refused` are those that turned out not to serve it.

    Without a catalogue, and for a model that lists nothing known, it is a guess: the client's own
    API for an unknown model, chat completions for a silent one.
    """
    if model is None:
        listed: list[ChatApi] = [client]
    else:
        listed = [api for api, path in ENDPOINTS.items() if path in model.endpoints]
    left = [api for api in listed or ["chat_completions"] if api not in refused]
    if client in left:
        return client
    if left:
        return left[0]
    return next((api for api in ENDPOINTS if api not in refused), client)


def make_plan(
    client: ChatApi,
    request: Json,
    model: Model | None,
    api: ChatApi,
    recollection: ReasoningCache,
    *,
    beta_values: Collection[str] = (),
    request_id: str = "",
) -> Plan:
    """The plan for a checked request of `client`, to be answered on Copilot's `api`.

    Raises `RequestError` for what cannot be asked there.
    """
    if api == client == "responses":
        return _native_responses(request, model)
    if api == client == "messages":
        return _native_messages(request, model, beta_values, request_id)
    return _through_hub(client, request, model, api, recollection)


def _native_responses(request: Json, model: Model | None) -> Plan:
    notes: list[str] = []
    fitted = responses_for_model(request, model, notes)
    stream = ResponsesRepair(request, fitted.tool_names)

    def whole(events: list[Json], given: object) -> Json:
        if stream.response is None or stream.failure is not None:
            raise stream.failure or BrokenResponse("Copilot's answer is not a response.")
        return stream.response

    return Plan(
        api="responses",
        body=fitted.body,
        translator=stream,
        whole=whole,
        fail=stream.fail,
        notes=notes,
    )


def _native_messages(
    request: Json, model: Model | None, beta_values: Collection[str], request_id: str
) -> Plan:
    notes: list[str] = []
    fitted = messages_for_model(request, model, notes)
    headers = _messages_headers(fitted.body, beta_values, notes)
    stream = messages_native.MessagesRepair(request_id, fitted.tool_names)

    def whole(events: list[Json], given: object) -> Json:
        if given is None:
            return messages_native.fold(events)
        return messages_native.repair_whole(given, fitted.tool_names)

    return Plan(
        api="messages",
        body=fitted.body,
        translator=stream,
        whole=whole,
        fail=lambda error, request_id: [messages_errors.error_event(error, request_id)],
        notes=notes,
        headers=headers,
    )


def _messages_headers(body: Json, beta_values: Collection[str], notes: list[str]) -> dict[str, str]:
    send, dropped = betas.betas(beta_values, body)
    notes += [f"dropped beta {name}: Copilot does not take it" for name in dropped]
    headers = {"anthropic-version": _ANTHROPIC_VERSION}
    if send:
        headers["anthropic-beta"] = ",".join(send)
    return headers


def _through_hub(
    client: ChatApi, request: Json, model: Model | None, api: ChatApi, recollection: ReasoningCache
) -> Plan:
    notes: list[str] = []
    name = model.id if model is not None else request["model"]
    vendor = model.vendor if model is not None else None
    chat = hub.to_hub(client, request, notes)
    chat = {**chat, "messages": recollection.recall(name, chat["messages"], vendor)}
    fitted = hub.from_hub(chat, api, model, notes)
    headers = {"anthropic-version": _ANTHROPIC_VERSION} if api == "messages" else {}

    options = request.get("stream_options") if client == "chat_completions" else None
    quiet = client == "chat_completions" and request.get("stream") is True
    include_usage = not quiet or bool(options and options.get("include_usage"))
    reader = hub.reader_of(api, request["model"], include_usage=include_usage)
    written = hub.written_for(client, request)
    return Plan(
        api=api,
        body=fitted.body,
        translator=hub.Translator(
            reader, written.writer, fitted.tool_names, ReasoningRecorder(recollection, name, vendor)
        ),
        whole=written.whole,
        fail=written.fail,
        notes=notes,
        headers=headers,
    )


def with_parameters(client: ChatApi, request: Json, alias: Alias) -> Json:
    """`request` with the fixed parameters of an alias, under the names of the client's API."""
    changed = dict(request)
    for name, value in alias.parameters.items():
        if name == "reasoning_effort" and client != "chat_completions":
            holder = "reasoning" if client == "responses" else "output_config"
            changed[holder] = {**(request.get(holder) or {}), "effort": value}
        elif name == "max_tokens" and client == "responses":
            changed["max_output_tokens"] = value
        else:
            changed[name] = value
            if name == "max_tokens":
                changed.pop("max_completion_tokens", None)
    return changed


def count_body(
    request: Json, model: Model | None, beta_values: Collection[str]
) -> tuple[Json, dict[str, str]]:
    """The body and headers with which Copilot counts the tokens of a Messages request."""
    body = messages_for_model(request, model, [], counting=True).body
    return body, _messages_headers(body, beta_values, [])


def fail_early(
    client: ChatApi, request: Json, error: CopilotProxyError, request_id: str
) -> list[Json]:
    """The events that tell a failure before there is a plan, to a client that was told to wait."""
    return hub.written_for(client, request).fail(error, request_id)


def initiator(client: ChatApi, request: Json) -> Initiator:
    """Who asked, by the last message of the client's own request."""
    if client == "responses":
        return responses_request.initiator(request)
    if client == "messages":
        return messages_request.initiator(request)
    return chat_request.initiator(request["messages"])
