"""Answers one request: resolves the model, calls Copilot on the right API, writes the record."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

from copilot_proxy.catalogue import EMBEDDINGS_PATH, ENABLE_URL, Alias
from copilot_proxy.errors import CooldownRefusal, CopilotProxyError, UpstreamRefusal, code_of
from copilot_proxy.formats import embeddings
from copilot_proxy.formats.api import (
    ClientApi,
    CountingApi,
    UpstreamApi,
    is_same_api,
)
from copilot_proxy.formats.apis import choose
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.drift import unknown_codes
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from copilot_proxy.formats.types import ClientRequest, Json, UpstreamBody
from copilot_proxy.formats.unexplained import explain
from copilot_proxy.large_work import run_if_large, run_in_turn
from copilot_proxy.relay.caller import SERVER_USER, Caller
from copilot_proxy.relay.model_resolver import ModelResolver, ResolvedModel
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply, notes_header
from copilot_proxy.tokenizer import count, decode
from copilot_proxy.upstreams.base import Call, Upstream

_UNSUPPORTED: Final = "unsupported_api_for_model"
_ESTIMATED: Final = "estimated input_tokens: counted with cl100k_base"


class Relay:
    """Answers requests through one upstream; `report` gets each request's record when it ends."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        default_model: str,
        report: Callable[[RequestRecord], None],
        aliases: Mapping[str, Alias] | None = None,
    ) -> None:
        self._upstream = upstream
        self.models = ModelResolver(upstream, default_model, aliases)
        self._report = report
        self._reasoning = ReasoningCache()
        self._unsupported: dict[tuple[str, tuple[str, ...]], tuple[UpstreamApi, ...]] = {}
        """The APIs on which Copilot refused a model, by its id and listed endpoints."""

    @asynccontextmanager
    async def answer(
        self,
        client: ClientApi,
        request: ClientRequest,
        record: RequestRecord,
        *,
        caller: Caller = SERVER_USER,
        betas: Collection[str] = (),
    ) -> AsyncIterator[Reply]:
        """Send a checked request of the API `client` to Copilot, and yield the reply.

        `betas` are the values of the client's ``anthropic-beta`` headers. Leaving the context ends
        the call to Copilot. Raises `CopilotProxyError`.
        """
        alias = self.models.alias(request["model"])
        if alias is not None:
            request = client.with_parameters(request, alias.parameters)
        record.stream = request.get("stream") is True
        with self._recording(client, record, request):
            record.add_metrics(await run_if_large(record.body_bytes, client.metrics, request))
            try:
                reply = await self._send(client, request, record, caller, betas)
                try:
                    yield reply
                finally:
                    await reply.aclose()
            except UpstreamRefusal as error:
                if error.code == "context_length_exceeded":
                    error.param = client.conversation_field
                await self._add_hint(error, request["model"], caller)
                raise

    async def embeddings(
        self, request: Json, record: RequestRecord, *, caller: Caller = SERVER_USER
    ) -> Json:
        """Return OpenAI's response to a checked embeddings request.

        The inputs are sent in as many calls as the model's limit requires. Raises
        `CopilotProxyError`.
        """
        with self._recording(CHAT_COMPLETIONS, record, request):
            record.add_metrics(embeddings.metrics(request))
            resolved = await self.models.for_request("embeddings", request["model"], caller)
            # Loading the tokenizer's tables takes a while, and must not block other requests.
            inputs = (
                await asyncio.to_thread(embeddings.texts, request, decode)
                if embeddings.has_tokens(request)
                else embeddings.texts(request, decode)
            )
            record.route = "embeddings"
            answers: list[Any] = []
            vectors: list[list[float]] = []
            for batch in embeddings.batches(inputs, resolved.model):
                body = embeddings.upstream_body(request, batch, resolved.model)
                call = _call("embeddings", EMBEDDINGS_PATH, resolved, body, record, caller)
                async with aclosing(await self._upstream.send(call)) as answer:
                    answers.append(await answer.whole())
                vectors += embeddings.vectors(answers[-1], len(batch))
            record.mark_first_token()
            counts = embeddings.usage(answers)
            record.usage = {**counts, "completion_tokens": 0}
            return embeddings.embedding_list(request, vectors, counts)

    async def count_tokens(
        self,
        client: CountingApi,
        request: ClientRequest,
        record: RequestRecord,
        *,
        caller: Caller = SERVER_USER,
        betas: Collection[str] = (),
    ) -> tuple[Json, dict[str, str]]:
        """Return the token count of a checked request, and extra response headers.

        Copilot counts the tokens if it serves the model on the client's API. Otherwise the count is
        an estimate, and a note says so. Raises `CopilotProxyError`.
        """
        with self._recording(client, record, request):
            size = record.body_bytes
            record.add_metrics(await run_if_large(size, client.metrics, request))
            resolved = await self.models.for_request("chat", request["model"], caller, betas)
            api = choose(client, resolved.model)
            if is_same_api(client, api):
                body = await run_if_large(size, client.for_counting, request, resolved.model)
                headers = api.headers(body, betas, [])
                call = _call(
                    "count_tokens", client.count_path, resolved, body, record, caller, headers
                )
                try:
                    async with aclosing(await self._upstream.send(call)) as answer:
                        counted = client.counted(request, await answer.whole())
                    if counted is not None:
                        record.route = "count_tokens"
                        route = {"x-copilot-proxy-route": "count_tokens"}
                        return counted, route | notes_header(resolved.notes)
                except UpstreamRefusal as error:
                    status, is_unsupported = error.upstream_status, error.code == _UNSUPPORTED
                    if status < 500 and status != 404 and not is_unsupported:
                        raise
            tokens = await run_in_turn(_estimate, client, request)
            return {"input_tokens": tokens}, notes_header((*resolved.notes, _ESTIMATED))

    @contextmanager
    def _recording(
        self,
        client: ClientApi,
        record: RequestRecord,
        request: ClientRequest,
    ) -> Iterator[None]:
        """Fill in `record` with how the block ends, and report it."""
        record.model = request["model"]
        try:
            yield
        except CopilotProxyError as error:
            record.mark_failed(code_of(error), client.error_status(error))
            if isinstance(error, CooldownRefusal):
                record.local, record.route = True, None
            elif isinstance(error, UpstreamRefusal):
                record.unknown += unknown_codes(error.upstream_code)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            record.client_gone = not record.complete
            raise
        except Exception:
            record.mark_failed("internal_error", 500)
            raise
        finally:
            record.unknown += self.models.unknown
            self.models.unknown = []
            record.duration = time.perf_counter() - record.started
            self._report(record)

    async def _send(
        self,
        client: ClientApi,
        request: ClientRequest,
        record: RequestRecord,
        caller: Caller,
        betas: Collection[str],
    ) -> Reply:
        """Send the request on an API that the catalogue lists for the model.

        If Copilot refuses the API for this model, it is sent once more on another one.
        """
        fixed_api = self._upstream.fixed_api
        resolved = await self.models.for_request(
            "chat", request["model"], caller, betas, required=fixed_api is not None
        )
        known = (resolved.id, resolved.model.endpoints) if resolved.model is not None else None
        refused = list(self._unsupported.get(known, ())) if known is not None else []
        retried = False
        notes = [*record.notes, *resolved.notes]
        while True:
            prepared = await run_if_large(
                record.body_bytes,
                prepare,
                client,
                request,
                resolved.model,
                self._reasoning,
                fixed_api=fixed_api,
                refused=refused,
                betas=betas,
                request_id=record.request_id,
            )
            prepared.notes[:0] = notes
            record.route, record.notes = prepared.api.name, prepared.notes
            record.initiator = prepared.initiator
            api, body = prepared.api, prepared.body
            call = _call(
                api.name,
                api.path,
                resolved,
                body,
                record,
                caller,
                prepared.headers,
                vision=record.images > 0 or prepared.pdf_as_image,
            )
            try:
                response = await self._upstream.send(call)
            except UpstreamRefusal as error:
                explain(error, prepared.body, prepared.tool_names)
                if retried or fixed_api is not None or error.code != _UNSUPPORTED:
                    raise
                retried = True
                refused.append(prepared.api)
                if (model := await self.models.reload(request["model"], caller)) is not None:
                    resolved = ResolvedModel(model.id, model, resolved.notes)
            else:
                if retried and known is not None:
                    # Remembered only after the other API has worked: while no API serves the
                    # model, the refusal says nothing about this API.
                    self._unsupported[known] = tuple(refused)
                return Reply(response, prepared, record)

    async def _add_hint(self, error: UpstreamRefusal, name: str, caller: Caller) -> None:
        """Set a hint from the catalogue if Copilot refused the model."""
        if error.code != "model_not_found":
            return
        model = await self.models.reload(name, Caller(caller.auth))
        if model is not None and model.needs_enabling:
            error.hint = (
                f"{model.id} needs enabling: accept its terms at {ENABLE_URL}, or ask your "
                "organisation to do so."
            )
        elif model is not None:
            error.hint = (
                f"Choose another model: {model.id} is in the account's list, but Copilot does not "
                "serve it to this client. The plan, organisation or region may not allow it."
            )


def _estimate(client: CountingApi, request: ClientRequest) -> int:
    return count(client.countable_text(request)) + client.media_tokens(request)


def _call(
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
    record.model = resolved.id
    return Call(
        api=api,
        path=path,
        body={**body, "model": resolved.id},
        initiator=record.initiator,
        vision=record.images > 0 if vision is None else vision,
        request_id=record.request_id,
        headers=headers or {},
        auth=caller.auth,
        body_bytes=record.body_bytes,
    )
