"""Sends a conversation to Copilot, and once more in another form if Copilot refuses the first one.

Copilot does not bill what it refuses. It is asked again only if it refuses the API, the reasoning
of earlier answers, or fields of messages that it names, and only once for each of these.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from copilot_proxy.errors import RequestError, UpstreamRefusal
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.error_table import WRONG_API_CODE, is_foreign_reasoning
from copilot_proxy.formats.large_json import encode_request
from copilot_proxy.formats.reasoning_cache import ReasoningCache, RefusedReasoning
from copilot_proxy.formats.refusal_diagnosis import diagnose
from copilot_proxy.formats.refused_fields import FieldPath, refused_fields, without_field
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import ClientRequest, UpstreamBody
from copilot_proxy.formats.upstream_api import UpstreamApi
from copilot_proxy.large_work import LARGE, run_if_large, run_in_turn
from copilot_proxy.relay.admission import Admission, admit
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.model_resolver import ModelResolver, ResolvedModel
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply
from copilot_proxy.upstreams.base import Call, Upstream

_Listed = tuple[str, tuple[str, ...]]
"""The id of a model and its listed endpoints."""


@dataclass(kw_only=True)
class _Conversation:
    """A client's request, and how it is to be sent."""

    client: ClientApi
    request: ClientRequest
    caller: Caller
    betas: Collection[str]
    resolved: ResolvedModel
    fixed_api: UpstreamApi | None
    listed: _Listed | None
    """None if the catalogue could not be read."""
    refused: list[UpstreamApi] = field(default_factory=list)
    """The APIs on which Copilot refused the model, the last one last."""
    is_rerouted: bool = False
    foreign: frozenset[str] = frozenset()
    """The encrypted reasoning that the model has refused."""
    restores_reasoning: bool = True
    refused_fields: tuple[FieldPath, ...] = ()
    """The fields of messages, items and tools that the model has refused."""
    has_dropped_fields: bool = False
    """Whether Copilot has refused such fields of this request."""


class _Ready(NamedTuple):
    """A request that can be sent."""

    prepared: PreparedRequest
    body: UpstreamBody
    content: bytes | None
    """`body` as JSON; None if the upstream takes it as it is."""


class Sender:
    """Sends conversations through one upstream."""

    def __init__(self, upstream: Upstream, models: ModelResolver, admission: Admission) -> None:
        self._upstream = upstream
        self._models = models
        self._admission = admission
        self._reasoning = ReasoningCache()
        self._refused_reasoning = RefusedReasoning()
        self._unsupported: dict[_Listed, tuple[UpstreamApi, ...]] = {}
        """The APIs on which Copilot refused a model."""
        self._refused_fields: dict[_Listed, tuple[FieldPath, ...]] = {}

    async def send(
        self,
        client: ClientApi,
        request: ClientRequest,
        record: RequestRecord,
        caller: Caller,
        betas: Collection[str],
    ) -> Reply:
        """Send the request on an API that the catalogue lists for the model.

        Raises `CopilotProxyError`.
        """
        fixed_api = self._upstream.fixed_api
        resolved = await self._models.for_request(
            "chat", request["model"], caller, betas, required=fixed_api is not None
        )
        await admit(self._admission, resolved, record, request)
        listed = (resolved.id, resolved.model.endpoints) if resolved.model is not None else None
        conversation = _Conversation(
            client=client,
            request=request,
            caller=caller,
            betas=betas,
            resolved=resolved,
            fixed_api=fixed_api,
            listed=listed,
            foreign=await self._known_foreign(client, request, resolved.id, record.size),
            refused=list(self._unsupported.get(listed, ())) if listed is not None else [],
            refused_fields=self._refused_fields.get(listed, ()) if listed is not None else (),
        )
        notes = [*record.notes, *resolved.notes]
        ready = await self._prepare(conversation, record)
        while True:
            prepared = ready.prepared
            prepared.notes[:0] = notes
            try:
                response = await self._upstream.send(_call(ready, conversation, record))
            except UpstreamRefusal as error:
                diagnose(error, prepared.body, prepared.tool_names)
                repaired = await self._repaired(error, conversation, prepared, record)
                if repaired is None:
                    raise
                ready = repaired
            else:
                if conversation.is_rerouted and conversation.listed is not None:
                    # Remembered only after the other API has worked: while no API serves the
                    # model, the refusal says nothing about this API.
                    self._unsupported[conversation.listed] = tuple(conversation.refused)
                if not conversation.restores_reasoning:
                    self._refused_reasoning.add(conversation.resolved.id, conversation.foreign)
                if conversation.has_dropped_fields and conversation.listed is not None:
                    self._refused_fields[conversation.listed] = conversation.refused_fields
                return Reply(response, prepared, record)

    async def _known_foreign(
        self, client: ClientApi, request: ClientRequest, model: str, size: int
    ) -> frozenset[str]:
        """Return the reasoning in the request that the model has refused before."""
        if not self._refused_reasoning:
            return frozenset()  # the usual case, in which nothing is hashed

        def known() -> frozenset[str]:
            return self._refused_reasoning.among(model, client.encrypted_reasoning(request))

        return await run_if_large(size, known)

    async def _prepare(self, conversation: _Conversation, record: RequestRecord) -> _Ready:
        """Translate and encode the request, in one visit to the thread if it is large."""
        if record.size < LARGE:
            return self._make_ready(conversation, record)
        return await run_in_turn(self._make_ready, conversation, record)

    def _make_ready(self, conversation: _Conversation, record: RequestRecord) -> _Ready:
        prepared = prepare(
            conversation.client,
            conversation.request,
            conversation.resolved.model,
            self._reasoning,
            caller=conversation.caller.identity,
            fixed_api=conversation.fixed_api,
            refused=conversation.refused,
            foreign=conversation.foreign,
            restores_reasoning=conversation.restores_reasoning,
            betas=conversation.betas,
            request_id=record.request_id,
        )
        body = prepared.api.with_cache_key(prepared.body, record.attribution.session)
        body = _for_model(body, conversation.resolved)
        for path in conversation.refused_fields:
            if (changed := without_field(body, path)) is not body:
                body, names = changed, f"dropped {path[-1]} of some {path[0]}"
                prepared.notes.append(f"{names}: Copilot refuses the field")
        # An upstream with its own API does not send JSON over HTTP.
        is_json = conversation.fixed_api is None
        return _Ready(prepared, body, encode_request(body, record.size) if is_json else None)

    async def _repaired(
        self,
        error: UpstreamRefusal,
        conversation: _Conversation,
        prepared: PreparedRequest,
        record: RequestRecord,
    ) -> _Ready | None:
        """Return the request without what Copilot has refused; None if nothing can be done."""
        if error.code == WRONG_API_CODE:
            if conversation.is_rerouted or conversation.fixed_api is not None:
                return None
            conversation.is_rerouted = True
            earlier = [api for api in conversation.refused if api is not prepared.api]
            conversation.refused = [*earlier, prepared.api]
            name, caller = conversation.request["model"], conversation.caller
            used = conversation.resolved.model
            if (model := await self._models.reload(name, caller, used)) is not None:
                notes = conversation.resolved.notes
                conversation.resolved = ResolvedModel(model.id, model, notes)
                conversation.listed = (model.id, model.endpoints)
            return await self._prepare(conversation, record)
        if fields := _droppable(error, conversation, prepared):
            conversation.refused_fields = (*conversation.refused_fields, *fields)
            conversation.has_dropped_fields = True
            return await self._prepare(conversation, record)
        is_foreign = is_foreign_reasoning(error.upstream_code, error.message)
        if not is_foreign or not conversation.restores_reasoning:
            return None
        client, request = conversation.client, conversation.request
        conversation.restores_reasoning = False
        conversation.foreign = frozenset(client.encrypted_reasoning(request))
        with suppress(RequestError):  # nothing but reasoning
            repaired = await self._prepare(conversation, record)
            return repaired if repaired.prepared.body != prepared.body else None
        return None


def _droppable(
    error: UpstreamRefusal, conversation: _Conversation, prepared: PreparedRequest
) -> list[FieldPath]:
    """Return the fields that Copilot has refused, if the request can do without them."""
    if conversation.has_dropped_fields or conversation.fixed_api is not None:
        return []
    body, known = prepared.body, conversation.refused_fields
    fields = dict.fromkeys(one for one in refused_fields(error.message) if one not in known)
    return [path for path in fields if without_field(body, path) is not body]


def _call(ready: _Ready, conversation: _Conversation, record: RequestRecord) -> Call:
    """Return the call for a prepared request, and record how it is sent."""
    prepared = ready.prepared
    record.route, record.notes = prepared.api.name, prepared.notes
    record.initiator, record.images = prepared.initiator, prepared.images
    record.prompt = ready.body
    _count_attempt(record, conversation.resolved)
    return Call(
        api=prepared.api.name,
        path=prepared.api.path,
        body=ready.body,
        content=ready.content,
        initiator=prepared.initiator,
        vision=prepared.images > 0 or prepared.pdf_as_image,
        request_id=record.request_id,
        headers=prepared.headers,
        auth=conversation.caller.auth,
        size=record.size,
    )


def make_call(
    api: str,
    path: str,
    resolved: ResolvedModel,
    body: UpstreamBody,
    record: RequestRecord,
    caller: Caller,
    headers: Mapping[str, str] | None = None,
) -> Call:
    """Return a call to Copilot that is not a conversation."""
    _count_attempt(record, resolved)
    return Call(
        api=api,
        path=path,
        body=_for_model(body, resolved),
        initiator=record.initiator,
        vision=record.images > 0,
        request_id=record.request_id,
        headers=headers or {},
        auth=caller.auth,
        size=record.size,
    )


def _count_attempt(record: RequestRecord, resolved: ResolvedModel) -> None:
    record.model, record.listed = resolved.id, resolved.model
    record.attempts += 1


def _for_model(body: UpstreamBody, resolved: ResolvedModel) -> UpstreamBody:
    """Return the body for the resolved model.

    This is done for every API, so that none can send the client's own name for a model instead of
    the model that the caller's key was checked for.
    """
    return {**body, "model": resolved.id}
