"""One request end to end: picks the model, asks Copilot by a plan, repairs the answer, counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.catalogue import ENABLE_URL, Alias
from copilot_proxy.errors import CooldownRefusal, CopilotProxyError, UpstreamRefusal, code_of
from copilot_proxy.formats import embeddings
from copilot_proxy.formats.chat_completions.reasoning_cache import ReasoningCache
from copilot_proxy.formats.messages.token_estimate import media_tokens, text_of
from copilot_proxy.keys import ApiKey
from copilot_proxy.relay import plans
from copilot_proxy.relay.hub import ChatApi
from copilot_proxy.relay.metrics import effort_of, note_metrics
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
        self.names = ModelResolver(upstream, default_model, aliases)
        self._report = report
        self._recollection = ReasoningCache()
        self._refusing: dict[tuple[str, tuple[str, ...]] | None, tuple[ChatApi, ...]] = {}
        """The APIs that turned out not to serve a model, as long as its entry stays as it is."""

    @asynccontextmanager
    async def answer(
        self,
        client: ChatApi,
        request: Json,
        record: RequestRecord,
        *,
        auth: TokenSource | None = None,
        key: ApiKey | None = None,
        beta_values: Collection[str] = (),
    ) -> AsyncIterator[Reply]:
        """Asks for the answer to a checked request of the API `client`.

        Leaving the context ends the call upstream. Raises `CopilotProxyError`.
        """
        record.stream = request.get("stream") is True
        with self._recorded(record, request):
            try:
                reply = await self._asked(client, request, record, auth, key, beta_values)
                try:
                    yield reply
                finally:
                    await reply.aclose()
            except UpstreamRefusal as error:
                if client == "responses" and error.code == "context_length_exceeded":
                    error.param = "input"
                await self._explain(error, request["model"], auth)
                raise

    async def embeddings(
        self,
        request: Json,
        record: RequestRecord,
        *,
        auth: TokenSource | None = None,
        key: ApiKey | None = None,
    ) -> Json:
        """The embeddings of a checked request, in as many calls as the model needs."""
        with self._recorded(record, request):
            model = await self.names.for_request("embeddings", request["model"], auth, key)
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
                    body=embeddings.upstream_body(request, batch, model),
                    request_id=record.request_id,
                    auth=auth,
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
        auth: TokenSource | None = None,
        key: ApiKey | None = None,
        beta_values: Collection[str] = (),
    ) -> tuple[Json, dict[str, str]]:
        """How many tokens a checked Messages request has, and headers for the client's answer.

        Copilot counts where it can; else it is an estimate, and a note says so.
        """
        with self._recorded(record, request):
            model = await self.names.for_request("chat", request["model"], auth, key, beta_values)
            if plans.choose("messages", model) == "messages":
                body, headers = plans.count_body(request, model, beta_values)
                call = Call(
                    api="count_tokens",
                    body=body,
                    vision=record.images > 0,
                    request_id=record.request_id,
                    headers=headers,
                    auth=auth,
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
    def _recorded(self, record: RequestRecord, request: Json) -> Iterator[None]:
        record.model = request["model"]
        note_metrics(record, request)
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

    async def _asked(
        self,
        client: ChatApi,
        request: Json,
        record: RequestRecord,
        auth: TokenSource | None,
        key: ApiKey | None,
        beta_values: Collection[str],
    ) -> Reply:
        """Asks on the API that the catalogue names; once more if Copilot names it wrong."""
        model = await self.names.for_request(
            "chat",
            request["model"],
            auth,
            key,
            beta_values,
            required=self._upstream.only is not None,
        )
        alias = self.names.alias(request["model"])
        if alias is not None:
            request = plans.with_parameters(client, request, alias)
        record.initiator = plans.initiator(client, request)
        record.effort = effort_of(client, request)
        known = (model.id, model.endpoints) if model is not None else None
        refused = list(self._refusing.get(known, ()))
        retried = False
        api = self._upstream.only or plans.choose(client, model, refused)
        noted = record.notes
        while True:
            plan = plans.make_plan(
                client,
                request,
                model,
                api,
                self._recollection,
                beta_values=beta_values,
                request_id=record.request_id,
            )
            if model is None:
                plan.body["model"] = self.names.target(request["model"])
            plan.notes[:0] = noted
            record.route, record.notes = plan.api, plan.notes
            record.model = plan.body["model"]
            call = Call(
                api=plan.api,
                body=plan.body,
                initiator=record.initiator,
                vision=record.images > 0,
                request_id=record.request_id,
                headers=plan.headers,
                auth=auth,
            )
            try:
                answer = await self._upstream.send(call)
            except UpstreamRefusal as error:
                wrong_api = error.code == "unsupported_api_for_model"
                if retried or not wrong_api or self._upstream.only:
                    raise
                retried = True
                refused.append(api)
                model = await self.names.fresh(request["model"], auth, key) or model
                api = plans.choose(client, model, refused)
            else:
                if retried and known is not None:
                    # Only now: what no API serves is no reason to take the wrong one for ever.
                    self._refusing[known] = tuple(refused)
                return Reply(answer, plan, record)

    async def _explain(self, error: UpstreamRefusal, name: str, auth: TokenSource | None) -> None:
        """Adds to a refusal what the list of models knows about it."""
        if error.code != "model_not_found":
            return
        model = await self.names.fresh(name, auth)
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
