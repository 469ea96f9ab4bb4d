"""Translates a client's request for one of Copilot's APIs, and prepares to translate the response.

The package `formats` describes the steps.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.apis import choose
from copilot_proxy.formats.chat_completions import plain_messages
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.chat_completions.earlier_answers import prepare_answers
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.client_fields import CLIENT_FIELDS
from copilot_proxy.formats.documents import NO_DOCUMENTS_HINT, OTHER_UPSTREAM_HINT, first_pdf
from copilot_proxy.formats.empty_values import drop_empty_fields
from copilot_proxy.formats.expected_calls import ExpectedCall
from copilot_proxy.formats.kinds import request_kinds
from copilot_proxy.formats.pipeline import Pipeline
from copilot_proxy.formats.plain_turns import PlainTurns, expanded
from copilot_proxy.formats.property_names import RestoredNames
from copilot_proxy.formats.reasoning_cache import ReasoningCache, ReasoningRecorder
from copilot_proxy.formats.request_fields import drop_fields
from copilot_proxy.formats.rules.engine import AdaptedBody
from copilot_proxy.formats.stop_sequences import (
    StopTranslator,
    check_length,
    requested_stops,
)
from copilot_proxy.formats.translators import StreamTranslator
from copilot_proxy.formats.types import (
    ChatRequest,
    ClientRequest,
    UpstreamBody,
)
from copilot_proxy.formats.upstream_api import UpstreamApi, is_same_api
from copilot_proxy.headers import Initiator

_NO_REASONING: Final = (
    "dropped the reasoning from earlier answers: Copilot refused it, since it belongs to another "
    "model or account"
)

_OUTPUT_FORMATS: Final = ("text", "json_object", "json_schema")


class PreparedRequest(NamedTuple):
    """A request in the form that is sent to Copilot, with the translator for the response."""

    api: UpstreamApi
    body: UpstreamBody
    headers: dict[str, str]
    """The headers that the API requires."""
    initiator: Initiator
    """Who caused the request: the user, or an agent that continues on its own."""
    translator: StreamTranslator
    notes: list[str]
    """Changes to the request that may matter to the client."""
    tool_names: Mapping[str, str] = MappingProxyType({})
    """Name in `body` -> the client's name, for each renamed tool."""
    images: int = 0
    """The number of images that the client sent."""
    pdf_as_image: bool = False
    """Whether the body contains a PDF as an image, because Chat Completions has no documents."""


def prepare(
    client: ClientApi,
    request: ClientRequest,
    model: Model | None,
    cache: ReasoningCache,
    *,
    caller: bytes = b"",
    fixed_api: UpstreamApi | None = None,
    refused: Sequence[UpstreamApi] = (),
    foreign: Collection[str] = (),
    restores_reasoning: bool = True,
    accepts_stops: bool = True,
    betas: Collection[str] = (),
    request_id: str = "",
    is_replaced: bool = False,
) -> PreparedRequest:
    """Translate a validated request of `client` for `model`.

    `model` is None if the catalogue could not be read. `caller` identifies the caller in `cache`.
    `fixed_api` is the API to use if the upstream has just one. `refused` are the APIs on which
    Copilot has refused to serve the model, earliest refusal first. `foreign` is encrypted reasoning
    that Copilot has refused. If `restores_reasoning` is True, reasoning is added from the cache.
    `accepts_stops` is False if Copilot has refused the stop sequences. `betas` are the values of
    the client's ``anthropic-beta`` headers. `is_replaced` is True if `model` is not the one that
    the client named. Raises `RequestError` if the chosen API cannot express the request.
    """
    notes: list[str] = []
    kinds = request_kinds(request)
    initiator = client.initiator(request)
    images = client.count_images(request) if kinds.has_images else 0
    if foreign:
        request = client.without_reasoning(request, foreign)
    if foreign or not restores_reasoning:
        notes.append(_NO_REASONING)
    pdf = first_pdf(request) if kinds.has_files else None
    api = fixed_api or choose(
        client,
        model,
        refused,
        has_pdf=pdf is not None,
        wants_reasoning=client.wants_reasoning(request),
    )
    if pdf is not None and not api.accepts_documents(model):
        raise RequestError(
            f"{model.id if model else request['model']} does not accept PDFs.",
            param=pdf,
            code="unsupported_value",
            hint=NO_DOCUMENTS_HINT if fixed_api is None else OTHER_UPSTREAM_HINT,
        )
    taken = drop_fields(client.name, request, notes)
    native = api.native if is_same_api(client, api) else None
    if native is not None:
        adapted = native.body(taken, model, notes, kinds)
        translator = native.translator(
            request, adapted.tool_names, request_id, is_replaced=is_replaced
        )
        translator.notes = notes
        translator = _checked(translator, adapted, notes)
    else:
        name, vendor = (model.id, model.vendor) if model is not None else (request["model"], None)
        chat = {**client.to_chat(taken, notes), CLIENT_FIELDS: client.fields(request)}
        drop_empty_fields("chat_completions", chat)
        if not isinstance(chat["messages"], PlainTurns):
            chat["messages"] = prepare_answers(chat["messages"], notes)
        if restores_reasoning:
            messages = cache.restore(caller, name, chat["messages"], vendor)
            chat = {**chat, "messages": messages}
        recorder = ReasoningRecorder(cache, caller, name, vendor)
        adapted, translator = _from_chat(
            chat, api, model, client, request, recorder, notes, accepts_stops
        )
    return PreparedRequest(
        api=api,
        body=adapted.body,
        headers=api.headers(adapted.body, betas, notes),
        initiator=initiator,
        translator=translator,
        notes=notes,
        tool_names=adapted.tool_names,
        images=images,
        pdf_as_image=pdf is not None and api is CHAT_COMPLETIONS,
    )


def _check_output_format(chat: ChatRequest) -> None:
    """Raise `RequestError` for an output format that no API supports."""
    kind = (chat.get("response_format") or {}).get("type", "text")
    if kind not in _OUTPUT_FORMATS:
        field = f"{chat[CLIENT_FIELDS].output_format}.type"
        raise RequestError(
            f"Invalid '{field}': must be one of {', '.join(_OUTPUT_FORMATS)}.",
            param=field,
            code="invalid_value",
        )


def _from_chat(
    chat: ChatRequest,
    api: UpstreamApi,
    model: Model | None,
    client: ClientApi,
    request: ClientRequest,
    recorder: ReasoningRecorder,
    notes: list[str],
    accepts_stops: bool,
) -> tuple[AdaptedBody, StreamTranslator]:
    """Return the body for `api`, and the translator from its events to those of `client`.

    `chat` is the client's `request` as a chat request. `accepts_stops` is false if Copilot has
    refused the stop sequences.
    """
    if api is not CHAT_COMPLETIONS:
        chat = expanded(chat)
        _check_output_format(chat)
    stops = requested_stops(chat)
    accepted = api.accepted_stops(model, stops) if stops and accepts_stops else []
    chat, stops = _take_stops(chat, stops, accepted, notes)
    adapted = api.from_chat(chat, model, notes)
    translator = api.reader(
        request["model"],
        include_usage=client.wants_usage(request),
        recorder=recorder,
        tool_names=adapted.tool_names,
        custom_tools=_custom_tools(chat),
        used_ids=_used_ids(chat),
    )
    translator.notes = notes
    translator = _checked(translator, adapted, notes)
    writer = client.writer(request)
    if stops:
        translator = StopTranslator(translator, stops, names_stop=writer is not None)
    if writer is not None:
        translator = Pipeline(translator, writer)
    return adapted, translator


def _checked(
    translator: StreamTranslator, adapted: AdaptedBody, notes: list[str]
) -> StreamTranslator:
    """Return `translator`, wrapped if parameter names must be restored or a call is expected."""
    if adapted.property_names:
        translator = RestoredNames(translator, adapted.property_names)
    return ExpectedCall(translator, notes) if adapted.expects_call else translator


def _take_stops(
    chat: ChatRequest, stops: list[str], accepted: Collection[str], notes: list[str]
) -> tuple[ChatRequest, list[str]]:
    """Return the request with only the `accepted` stop sequences, and a list of the others.

    Raises `RequestError` if the others are too long.
    """
    if not stops:
        # Other client APIs may send an empty list, which not every model accepts.
        return _without_stop(chat), []
    others = [stop for stop in stops if stop not in accepted]
    if not others:
        is_list = isinstance(chat.get("stop"), list)
        return ({**chat, "stop": accepted} if accepted and is_list else chat), []
    field = chat[CLIENT_FIELDS].stop
    check_length(others, field)
    which, them = ("some stop sequences", "them") if accepted else (field, "it")
    notes.append(
        f"applied {which} on this server, since the model does not accept {them}; text that the "
        "model writes after a stop sequence is still charged"
    )
    chat = _without_stop(chat)
    return {**chat, "stop": accepted} if accepted else chat, others


def _without_stop(chat: ChatRequest) -> ChatRequest:
    if "stop" not in chat:
        return chat
    return {name: value for name, value in chat.items() if name != "stop"}


def _custom_tools(chat: ChatRequest) -> frozenset[str]:
    """Return the names of the custom tools in a chat request."""
    tools = chat.get("tools")
    if not tools:
        return frozenset()
    return frozenset(tool["custom"]["name"] for tool in tools if tool.get("type") == "custom")


def _used_ids(chat: ChatRequest) -> frozenset[str]:
    """Return the ids of the tool calls in a chat request."""
    if isinstance(chat["messages"], PlainTurns):
        return plain_messages.used_ids(chat["messages"])
    calling = [one["tool_calls"] for one in chat["messages"] if one.get("tool_calls")]
    return frozenset([call["id"] for calls in calling for call in calls])
