"""Sends a conversation to Copilot, and once more in another form if Copilot refuses the first one.

Copilot does not bill what it refuses. It is asked again only if it refuses the API, or the
reasoning of earlier answers, and once for each.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from copilot_proxy.errors import RequestError, UpstreamRefusal
from copilot_proxy.formats.api import ClientApi, UpstreamApi
from copilot_proxy.formats.error_table import WRONG_API_CODE, is_foreign_reasoning
from copilot_proxy.formats.reasoning_cache import ReasoningCache, RefusedReasoning
from copilot_proxy.formats.translation import PreparedRequest, prepare
from copilot_proxy.formats.types import ClientRequest, UpstreamBody
from copilot_proxy.formats.unexplained import explain
from copilot_proxy.large_work import run_if_large
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
    """The APIs on which Copilot refused the model."""
    is_rerouted: bool = False
    foreign: frozenset[str] = frozenset()
    """The encrypted reasoning that the model has refused."""
    restores_reasoning: bool = True


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
            foreign=await run_if_large(
                record.size, self._known_foreign, client, request, resolved.id
            ),
            refused=list(self._unsupported.get(listed, ())) if listed is not None else [],
        )
        notes = [*record.notes, *resolved.notes]
        prepared = await self._prepare(conversation, record)
        while True:
            prepared.notes[:0] = notes
            try:
                response = await self._upstream.send(_call(prepared, conversation, record))
            except UpstreamRefusal as error:
                explain(error, prepared.body, prepared.tool_names)
                repaired = await self._repaired(error, conversation, prepared, record)
                if repaired is None:
                    raise
                prepared = repaired
            else:
                if conversation.is_rerouted and listed is not None:
                    # Remembered only after the other API has worked: while no API serves the
                    # model, the refusal says nothing about this API.
                    self._unsupported[listed] = tuple(conversation.refused)
                if not conversation.restores_reasoning:
                    self._refused_reasoning.add(conversation.resolved.id, conversation.foreign)
                return Reply(response, prepared, record)

    def _known_foreign(
        self, client: ClientApi, request: ClientRequest, model: str
    ) -> frozenset[str]:
        """Return the reasoning in the request that the model has refused before."""
        if not self._refused_reasoning:
            return frozenset()  # the usual case, in which nothing is hashed
        return self._refused_reasoning.among(model, client.encrypted_reasoning(request))

    async def _prepare(self, conversation: _Conversation, record: RequestRecord) -> PreparedRequest:
        return await run_if_large(
            record.size,
            prepare,
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

    async def _repaired(
        self,
        error: UpstreamRefusal,
        conversation: _Conversation,
        prepared: PreparedRequest,
        record: RequestRecord,
    ) -> PreparedRequest | None:
        """Return the request without what Copilot has refused; None if nothing can be done."""
        if error.code == WRONG_API_CODE:
            if conversation.is_rerouted or conversation.fixed_api is not None:
                return None
            conversation.is_rerouted = True
            conversation.refused.append(prepared.api)
            name, caller = conversation.request["model"], conversation.caller
            if (model := await self._models.reload(name, caller)) is not None:
                notes = conversation.resolved.notes
                conversation.resolved = ResolvedModel(model.id, model, notes)
            return await self._prepare(conversation, record)
        is_foreign = is_foreign_reasoning(error.upstream_code, error.message)
        if not is_foreign or not conversation.restores_reasoning:
            return None
        client, request = conversation.client, conversation.request
        conversation.restores_reasoning = False
        conversation.foreign = frozenset(client.encrypted_reasoning(request))
        with suppress(RequestError):  # nothing but reasoning
            repaired = await self._prepare(conversation, record)
            return repaired if repaired.body != prepared.body else None
        return None


def _call(prepared: PreparedRequest, conversation: _Conversation, record: RequestRecord) -> Call:
    """Return the call for a prepared request, and record how it is sent."""
    record.route, record.notes = prepared.api.name, prepared.notes
    record.initiator = prepared.initiator
    body = prepared.api.with_cache_key(prepared.body, record.who.session)
    record.prompt = body
    return make_call(
        prepared.api.name,
        prepared.api.path,
        conversation.resolved,
        body,
        record,
        conversation.caller,
        prepared.headers,
        vision=record.images > 0 or prepared.pdf_as_image,
    )


def make_call(
    api: str,
    path: str | None,
    resolved: ResolvedModel,
    body: UpstreamBody,
    record: RequestRecord,
    caller: Caller,
    headers: Mapping[str, str] | None = None,
    *,
    vision: bool | None = None,
) -> Call:
    """Return a call to Copilot.

    The model is set here for every API, so that no API can send the client's own name for a model
    instead of the model that the caller's key was checked for.
    """
    record.model, record.listed = resolved.id, resolved.model
    record.attempts += 1
    return Call(
        api=api,
        path=path,
        body={**body, "model": resolved.id},
        initiator=record.initiator,
        vision=record.images > 0 if vision is None else vision,
        request_id=record.request_id,
        headers=headers or {},
        auth=caller.auth,
        size=record.size,
    )
