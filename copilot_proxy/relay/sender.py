"""Sends a conversation to Copilot, and again in a different form if Copilot refuses it.

Copilot does not bill refused requests. A request is only sent again if Copilot refuses the API, the
reasoning of earlier answers, stop sequences, an effort (and names others), a schema for the output,
or message fields or betas that it names. It is sent again at most once for each of these reasons,
but twice for fields and betas. Without a catalogue,
every API is tried.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from copilot_proxy.errors import RequestError, UpstreamRefusal
from copilot_proxy.formats.client_api import ClientApi
from copilot_proxy.formats.error_table import WRONG_API_CODE, is_foreign_reasoning
from copilot_proxy.formats.large_json import encode_request
from copilot_proxy.formats.reasoning_cache import ReasoningCache, RefusedReasoning
from copilot_proxy.formats.refusal_diagnosis import diagnose, explain_unlisted
from copilot_proxy.formats.refused_features import Features, refused_features, with_features
from copilot_proxy.formats.refused_fields import FieldPath, drop_refused, occurs, refused_fields
from copilot_proxy.formats.stop_sequences import is_refusal
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import ClientRequest, UpstreamBody
from copilot_proxy.formats.upstream_api import UpstreamApi
from copilot_proxy.large_work import LARGE, run_if_large, run_in_turn
from copilot_proxy.relay.admission import Admission, admit
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.calls import conversation_call, for_model
from copilot_proxy.relay.model_resolver import ModelResolver, ResolvedModel
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply
from copilot_proxy.upstreams.base import Upstream

_Listed = tuple[str, tuple[str, ...]]
"""A model's id and its listed endpoints."""
_ListedEfforts = tuple[str, tuple[str, ...]]
"""A model's id and its listed efforts."""


@dataclass(kw_only=True)
class _Attempt:
    """A client's request and the way to send it, which changes when Copilot refuses it."""

    client: ClientApi
    request: ClientRequest
    name: str
    caller: Caller
    betas: Collection[str]
    resolved: ResolvedModel
    fixed_api: UpstreamApi | None
    listed: _Listed | None
    """The model as listed; None if the catalogue could not be read."""
    refused: list[UpstreamApi] = field(default_factory=list)
    """The APIs on which Copilot has refused the model, earliest refusal first."""
    reroutes: int = 0
    """The number of times that the request was sent to another API after a refusal."""
    foreign: frozenset[str] = frozenset()
    """The encrypted reasoning that the model has refused."""
    restores_reasoning: bool = True
    refused_fields: tuple[FieldPath, ...] = ()
    """The fields of messages, items and tools, and the betas, that the model has refused."""
    drops: int = 0
    """The number of times that the request was sent without something that Copilot had refused."""
    accepts_stops: bool = True
    """False if the model has refused stop sequences."""
    features: Features = field(default_factory=dict)
    """The features that differ from the catalogue, from refusals of earlier requests."""
    learned: Features = field(default_factory=dict)
    """The features that differ from the catalogue, from refusals of this request."""


class _Ready(NamedTuple):
    """A request that is ready to be sent."""

    prepared: PreparedRequest
    body: UpstreamBody
    content: bytes | None
    """`body` as JSON; None if the upstream accepts it as an object."""


class Sender:
    """Sends conversations through an upstream."""

    def __init__(self, upstream: Upstream, models: ModelResolver, admission: Admission) -> None:
        self._upstream = upstream
        self._models = models
        self._admission = admission
        self._reasoning = ReasoningCache()
        self._refused_reasoning = RefusedReasoning()
        self._unsupported: dict[_Listed, tuple[UpstreamApi, ...]] = {}
        """The APIs on which Copilot has refused each model."""
        self._refused_fields: dict[_Listed, tuple[FieldPath, ...]] = {}
        self._efforts: dict[_ListedEfforts, Features] = {}
        """The efforts of models for which the catalogue lists others."""
        self._without_stops: set[_Listed] = set()
        """The models that have refused stop sequences."""

    async def send(
        self,
        client: ClientApi,
        request: ClientRequest,
        name: str,
        record: RequestRecord,
        caller: Caller,
        betas: Collection[str],
    ) -> Reply:
        """Send the request to the model `name`, on an API that the catalogue lists for it.

        Raises `CopilotProxyError`.
        """
        fixed_api = self._upstream.fixed_api
        resolved = await self._models.for_request(
            "chat", name, caller, betas, required=fixed_api is not None
        )
        await admit(self._admission, resolved, record, request)
        listed = (resolved.id, resolved.model.endpoints) if resolved.model is not None else None
        attempt = _Attempt(
            client=client,
            request=request,
            name=name,
            caller=caller,
            betas=betas,
            resolved=resolved,
            fixed_api=fixed_api,
            listed=listed,
            foreign=(
                await self._known_foreign(client, request, resolved.id, record.size)
                if self._refused_reasoning
                else frozenset()  # the usual case, in which nothing needs to be hashed
            ),
            refused=list(self._unsupported.get(listed, ())) if listed is not None else [],
            refused_fields=self._refused_fields.get(listed, ()) if listed is not None else (),
            accepts_stops=listed not in self._without_stops,
            features=self._efforts.get(_listed_efforts(resolved), {}) if self._efforts else {},
        )
        notes = [*record.notes, *resolved.notes]
        ready = await self._prepare(attempt, record)
        while True:
            prepared = ready.prepared
            prepared.notes[:0] = notes
            try:
                response = await self._upstream.send(
                    conversation_call(
                        prepared, ready.body, ready.content, attempt.resolved, record, caller
                    )
                )
            except UpstreamRefusal as error:
                diagnose(error, prepared.body, prepared.tool_names)
                repaired = await self._repaired(error, attempt, prepared, record)
                if repaired is None:
                    explain_unlisted(error, is_listed=attempt.listed is not None)
                    raise
                ready = repaired
            else:
                self._remember(attempt)
                return Reply(response, prepared, record)

    def _remember(self, attempt: _Attempt) -> None:
        """Remember what the model has refused, once it has accepted the rest of the request."""
        if attempt.reroutes and attempt.listed is not None:
            # Only remember this after another API has worked: while no API serves the model, a
            # refusal says nothing about this API.
            self._unsupported[attempt.listed] = tuple(attempt.refused)
        if not attempt.restores_reasoning:
            self._refused_reasoning.add(attempt.resolved.id, attempt.foreign)
        if attempt.drops and attempt.listed is not None:
            self._refused_fields[attempt.listed] = attempt.refused_fields
        if not attempt.accepts_stops and attempt.listed is not None:
            self._without_stops.add(attempt.listed)
        # A schema is only refused by some of a model's backends, so that is not remembered.
        if efforts := attempt.learned.get("reasoning_effort"):
            self._efforts[_listed_efforts(attempt.resolved)] = {"reasoning_effort": efforts}

    async def _known_foreign(
        self, client: ClientApi, request: ClientRequest, model: str, size: int
    ) -> frozenset[str]:
        """Return those parts of the request's reasoning that the model has already refused."""
        return await run_if_large(
            size, lambda: self._refused_reasoning.find(model, client.encrypted_reasoning(request))
        )

    async def _prepare(self, attempt: _Attempt, record: RequestRecord) -> _Ready:
        """Translate and encode the request; if it is large, do both in one call in a thread."""
        if record.size < LARGE:
            return self._make_ready(attempt, record)
        return await run_in_turn(self._make_ready, attempt, record)

    def _make_ready(self, attempt: _Attempt, record: RequestRecord) -> _Ready:
        prepared = prepare(
            attempt.client,
            attempt.request,
            with_features(attempt.resolved.model, {**attempt.features, **attempt.learned}),
            self._reasoning,
            caller=attempt.caller.identity,
            fixed_api=attempt.fixed_api,
            refused=attempt.refused,
            foreign=attempt.foreign,
            restores_reasoning=attempt.restores_reasoning,
            accepts_stops=attempt.accepts_stops,
            betas=attempt.betas,
            request_id=record.request_id,
            is_replaced=attempt.name != attempt.request["model"],
        )
        body = prepared.api.with_cache_key(prepared.body, record.attribution.session)
        body = for_model(body, attempt.resolved)
        body = drop_refused(body, prepared.headers, attempt.refused_fields, prepared.notes)
        # An upstream with its own API does not receive JSON over HTTP.
        is_json = attempt.fixed_api is None
        return _Ready(prepared, body, encode_request(body, record.size) if is_json else None)

    async def _repaired(
        self,
        error: UpstreamRefusal,
        attempt: _Attempt,
        prepared: PreparedRequest,
        record: RequestRecord,
    ) -> _Ready | None:
        """Return a changed request that Copilot might accept, or None if there is none."""
        if error.code == WRONG_API_CODE:
            # Without a catalogue, only refusals reveal which API is the right one.
            if attempt.fixed_api or attempt.reroutes >= (2 if attempt.listed is None else 1):
                return None
            attempt.reroutes += 1
            earlier = [api for api in attempt.refused if api is not prepared.api]
            attempt.refused = [*earlier, prepared.api]
            used = attempt.resolved.model
            if (model := await self._models.reload(attempt.name, attempt.caller, used)) is not None:
                attempt.resolved = ResolvedModel(model.id, model, attempt.resolved.notes)
                attempt.listed = (model.id, model.endpoints)
            return await self._prepare(attempt, record)
        if fields := _droppable(error, attempt, prepared):
            attempt.refused_fields = (*attempt.refused_fields, *fields)
            attempt.drops += 1
            return await self._prepare(attempt, record)
        if attempt.accepts_stops and "stop" in prepared.body and is_refusal(error.message):
            attempt.accepts_stops = False
            return await self._prepare(attempt, record)
        if attempt.resolved.model is not None and _learn_features(error, attempt, prepared):
            return _if_changed(await self._prepare(attempt, record), prepared)
        is_foreign = is_foreign_reasoning(error.upstream_code, error.message)
        if not is_foreign or not attempt.restores_reasoning:
            return None
        attempt.restores_reasoning = False
        attempt.foreign = frozenset(attempt.client.encrypted_reasoning(attempt.request))
        with suppress(RequestError):  # there was only reasoning
            return _if_changed(await self._prepare(attempt, record), prepared)
        return None


def _learn_features(error: UpstreamRefusal, attempt: _Attempt, prepared: PreparedRequest) -> bool:
    """Return whether the refusal shows that a feature differs from the catalogue, for the first
    time for this request and feature."""
    features = refused_features(error, prepared.body)
    if not features or not features.keys().isdisjoint(attempt.learned):
        return False
    attempt.learned = {**attempt.learned, **features}
    return True


def _if_changed(repaired: _Ready, prepared: PreparedRequest) -> _Ready | None:
    """Return `repaired`, or None if Copilot has already refused the same body."""
    return repaired if repaired.prepared.body != prepared.body else None


def _droppable(
    error: UpstreamRefusal, attempt: _Attempt, prepared: PreparedRequest
) -> list[FieldPath]:
    """Return the fields and betas that Copilot has refused, that the request has."""
    # Without a beta, its fields may be refused in turn.
    if attempt.drops >= 2 or attempt.fixed_api is not None:
        return []
    known = attempt.refused_fields
    fields = dict.fromkeys(one for one in refused_fields(error.message) if one not in known)
    return [path for path in fields if occurs(prepared.body, prepared.headers, path)]


def _listed_efforts(resolved: ResolvedModel) -> _ListedEfforts:
    return resolved.id, resolved.model.reasoning_efforts if resolved.model is not None else ()
