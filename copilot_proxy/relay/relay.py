"""One request end to end: picks model and API, asks Copilot, and reports what came of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

from copilot_proxy.catalogue import ENABLE_URL, Alias
from copilot_proxy.errors import CooldownRefusal, CopilotProxyError, UpstreamRefusal, code_of
from copilot_proxy.formats import embeddings
from copilot_proxy.formats.api import ClientApi, RequestMetrics, UpstreamApi
from copilot_proxy.formats.apis import choose
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.messages.token_estimate import media_tokens, text_of
from copilot_proxy.formats.reasoning_cache import ReasoningCache
from copilot_proxy.formats.translation import prepare
from copilot_proxy.relay.caller import NOBODY, Caller
from copilot_proxy.relay.model_resolver import ModelResolver
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply
from copilot_proxy.tokenizer import count, decode
from copilot_proxy.upstreams.base import Call, Upstream

Json = dict[str, Any]


class Relay:
    """Answers requests through one upstream; `report` gets the record of each when it has ended."""

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
        self._refusing: dict[tuple[str, tuple[str, ...]], tuple[UpstreamApi, ...]] = {}
        """The APIs that turned out not to serve a model, as long as its entry stays as it is."""

    @asynccontextmanager
    async def answer(
        self,
        client: ClientApi,
        request: Json,
        record: RequestRecord,
        *,
        caller: Caller = NOBODY,
        betas: Collection[str] = (),
    ) -> AsyncIterator[Reply]:
        """Asks for the answer to a checked request of the API `client`.

        `betas` are the values of the client's ``anthropic-beta`` headers. Leaving the context ends
        the call upstream. Raises `CopilotProxyError`.
        """
        alias = self.models.alias(request["model"])
        if alias is not None:
            request = client.with_parameters(request, alias.parameters)
        record.stream = request.get("stream") is True
        with self._recorded(record, request, client.metrics(request)):
            try:
                reply = await self._ask(client, request, record, caller, betas)
                try:
                    yield reply
                finally:
                    await reply.aclose()
            except UpstreamRefusal as error:
                if error.code == "context_length_exceeded":
                    error.param = client.conversation_field
                await self._explain(error, request["model"], caller)
                raise

    async def embeddings(
        self, request: Json, record: RequestRecord, *, caller: Caller = NOBODY
    ) -> Json:
        """The embeddings of a checked request, in as many calls as the model needs."""
        with self._recorded(record, request, embeddings.metrics(request)):
            model = await self.models.for_request("embeddings", request["model"], caller)
            # Loading the tables takes a while, in which other requests go on.
            inputs = (
                await asyncio.to_thread(embeddings.texts, request, decode)
                if embeddings.has_tokens(request)
                else embeddings.texts(request, decode)
            )
            record.route = "embeddings"
            record.model = model.id if model is not None else request["model"]
            answers: list[Any] = []
            vectors: list[list[float]] = []
            for batch in embeddings.batches(inputs, model):
                call = Call(
                    api="embeddings",
                    path=embeddings.PATH,
                    body=embeddings.upstream_body(request, batch, model),
                    request_id=record.request_id,
                    auth=caller.auth,
                )
                async with aclosing(await self._upstream.send(call)) as answer:
                    answers.append(await answer.whole())
                vectors += embeddings.vectors(answers[-1], len(batch))
            record.answered()
            counts = embeddings.usage(answers)
            record.usage = {**counts, "completion_tokens": 0}
            return embeddings.embedding_list(request, vectors, counts)

    async def count_tokens(
        self,
        request: Json,
        record: RequestRecord,
        *,
        caller: Caller = NOBODY,
        betas: Collection[str] = (),
    ) -> tuple[Json, dict[str, str]]:
        """How many tokens a checked Messages request has, and headers for the client's answer.

        Copilot counts where it can; else it is an estimate, and a note says so.
        """
        with self._recorded(record, request, MESSAGES.metrics(request)):
            model = await self.models.for_request("chat", request["model"], caller, betas)
            if choose(MESSAGES, model) is MESSAGES:
                body = MESSAGES.for_counting(request, model)
                call = Call(
                    api="count_tokens",
                    path=MESSAGES.count_path,
                    body=body,
                    vision=record.images > 0,
                    request_id=record.request_id,
                    headers=MESSAGES.headers(body, betas, []),
                    auth=caller.auth,
                )
                try:
                    async with aclosing(await self._upstream.send(call)) as answer:
                        counted = await answer.whole()
                    if isinstance(counted, dict) and isinstance(counted.get("input_tokens"), int):
                        record.route = "count_tokens"
                        return counted, {"x-copilot-proxy-route": "count_tokens"}
                except UpstreamRefusal as error:
                    unserved = error.code == "unsupported_api_for_model"
                    if (
                        error.upstream_status < 500
                        and error.upstream_status != 404
                        and not unserved
                    ):
                        raise
            tokens = await asyncio.to_thread(count, text_of(request))
            return (
                {"input_tokens": tokens + media_tokens(request)},
                {"x-copilot-proxy-notes": "estimated input_tokens: counted with cl100k_base"},
            )

    @contextmanager
    def _recorded(
        self, record: RequestRecord, request: Json, metrics: RequestMetrics
    ) -> Iterator[None]:
        record.model = request["model"]
        record.measured(metrics)
        try:
            yield
        except CopilotProxyError as error:
            record.failed(code_of(error), error.status)
            if isinstance(error, CooldownRefusal):
                record.local, record.route = True, None
            raise
        except (asyncio.CancelledError, GeneratorExit):
            record.client_gone = not record.complete
            raise
        except Exception:
            record.failed("internal_error", 500)
            raise
        finally:
            record.duration = time.perf_counter() - record.started
            self._report(record)

    async def _ask(
        self,
        client: ClientApi,
        request: Json,
        record: RequestRecord,
        caller: Caller,
        betas: Collection[str],
    ) -> Reply:
        """Asks on the API that the catalogue names; once more if Copilot says that it is the wrong
        one."""
        only = self._upstream.fixed_api
        model = await self.models.for_request(
            "chat", request["model"], caller, betas, required=only is not None
        )
        known = (model.id, model.endpoints) if model is not None else None
        refused = list(self._refusing.get(known, ())) if known is not None else []
        retried = False
        notes = record.notes
        while True:
            prepared = prepare(
                client,
                request,
                model,
                self._reasoning,
                only=only,
                refused=refused,
                betas=betas,
                request_id=record.request_id,
            )
            if model is None:
                prepared.body["model"] = self.models.target(request["model"])
            prepared.notes[:0] = notes
            record.route, record.notes = prepared.api.name, prepared.notes
            record.model, record.initiator = prepared.body["model"], prepared.initiator
            call = Call(
                api=prepared.api.name,
                path=prepared.api.path,
                body=prepared.body,
                initiator=prepared.initiator,
                vision=record.images > 0,
                request_id=record.request_id,
                headers=prepared.headers,
                auth=caller.auth,
            )
            try:
                response = await self._upstream.send(call)
            except UpstreamRefusal as error:
                if retried or only is not None or error.code != "unsupported_api_for_model":
                    raise
                retried = True
                refused.append(prepared.api)
                model = await self.models.fresh(request["model"], caller) or model
            else:
                if retried and known is not None:
                    # Only now: that no API serves a model is no reason to remember a wrong one.
                    self._refusing[known] = tuple(refused)
                return Reply(response, prepared, record)

    async def _explain(self, error: UpstreamRefusal, name: str, caller: Caller) -> None:
        """Adds to a refusal what the list of models knows about it."""
        if error.code != "model_not_found":
            return
        model = await self.models.fresh(name, Caller(caller.auth))
        if model is not None and model.needs_enabling:
            error.hint = (
                f"{model.id} needs enabling: accept its terms at {ENABLE_URL}, or ask your "
                "organisation to."
            )
        elif model is not None:
            error.hint = (
                f"The account lists {model.id}, but Copilot does not serve it to this client now: "
                "the plan, the organisation or the region may not allow it."
            )
