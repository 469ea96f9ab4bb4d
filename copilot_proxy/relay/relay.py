"""Answers a request: passes it to the sender, yields Copilot's reply, and completes the record."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import UTC, datetime
from typing import Any, Final

from copilot_proxy.catalogue import EMBEDDINGS_PATH, Alias
from copilot_proxy.cost.estimated_tokens import AnswerSizes
from copilot_proxy.cost.nano_aiu import merged_usage
from copilot_proxy.cost.quota import Quota
from copilot_proxy.errors import CopilotProxyError, UpstreamRefusal
from copilot_proxy.formats import embeddings
from copilot_proxy.formats.apis import choose
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.client_api import ClientApi, CountingApi
from copilot_proxy.formats.error_table import WRONG_API_CODE, is_foreign_reasoning
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.types import ClientRequest, Json
from copilot_proxy.formats.upstream_api import is_same_api
from copilot_proxy.large_work import run_if_large, run_in_turn
from copilot_proxy.relay.admission import Admission, AdmitAll, admit
from copilot_proxy.relay.caller import SERVER_USER, Caller
from copilot_proxy.relay.calls import make_call
from copilot_proxy.relay.costs import learn_answer_size
from copilot_proxy.relay.hints import Hints, name_client_field
from copilot_proxy.relay.model_resolver import ModelResolver
from copilot_proxy.relay.notes import notes_header
from copilot_proxy.relay.recording import Recording
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.reply import Reply
from copilot_proxy.relay.sender import Sender
from copilot_proxy.relay.small_jobs import small_job
from copilot_proxy.tokenizer import count, decode
from copilot_proxy.upstreams.base import Upstream

_SMALL_PROMPT: Final = 32_000
"""Maximum tokens of a small job, for a model whose limit is not listed."""
_ESTIMATED: Final = "estimated input_tokens: counted with cl100k_base"


class Relay:
    """Answers requests through one upstream. Each completed record is passed to `report`."""

    def __init__(
        self,
        upstream: Upstream,
        *,
        default_model: str,
        report: Callable[[RequestRecord], None],
        admission: Admission | None = None,
        aliases: Mapping[str, Alias] | None = None,
        small_model: str | None = None,
    ) -> None:
        """`small_model` answers clients' small jobs; if None, small jobs go to the model that
        the client names."""
        self._upstream = upstream
        self._small_model = small_model
        self.models = ModelResolver(upstream, default_model, aliases)
        self._report = report
        self._admission = admission or AdmitAll()
        self.hints = Hints(upstream, self.models)
        self._sender = Sender(upstream, self.models, self._admission)
        self._quota: Quota | None = None
        self._answer_sizes = AnswerSizes()
        self.running: dict[str, RequestRecord] = {}
        """The requests that are being answered, by id, oldest first."""

    def answer(
        self,
        client: ClientApi,
        request: ClientRequest,
        record: RequestRecord,
        *,
        caller: Caller = SERVER_USER,
        betas: Collection[str] = (),
    ) -> AbstractAsyncContextManager[Reply]:
        """Return a context manager that provides the reply to a validated request for the API
        `client`.

        Entering it sends the request to Copilot, and leaving it ends that call; both may raise
        `CopilotProxyError`. `betas` are the values of the client's ``anthropic-beta`` headers.
        """
        alias = self.models.alias(request["model"])
        if alias is not None:
            request = client.with_parameters(request, alias.parameters)
        return _Answer(self, client, request, record, caller, betas)

    async def _model_for(
        self, request: ClientRequest, record: RequestRecord, caller: Caller
    ) -> str:
        """Return the name of the model to use: the small one if this is a small job that it can do.

        The request keeps the name that the client sent, since some clients expect it in the answer.
        """
        wanted: str = request["model"]
        name = self._small_model
        job = small_job(record, request) if name is not None else None
        if name is None or job is None:
            return wanted
        try:
            small = await self.models.for_request("chat", name, caller)
        except CopilotProxyError:
            return wanted  # the account does not have this model, or the key may not use it
        limit = small.model.limit("max_prompt_tokens") if small.model is not None else None
        tokens = await run_if_large(record.size, request_tokens, request)
        if wanted == small.id or tokens > (limit or _SMALL_PROMPT):
            return wanted
        record.notes.append(f"small job ({job}): changed model to {small.id}")
        return small.id

    async def embeddings(
        self,
        request: ClientRequest,
        record: RequestRecord,
        *,
        caller: Caller = SERVER_USER,
        client: ClientApi = CHAT_COMPLETIONS,
    ) -> Json:
        """Return a response in OpenAI's format to a validated embeddings request.

        Errors are in the format of `client`. The inputs are sent in as many calls as the model's
        limit requires. Raises `CopilotProxyError`.
        """
        with self._recording(client, record, request, caller):
            record.add_metrics(embeddings.metrics(request))
            resolved = await self.models.for_request("embeddings", request["model"], caller)
            # Loading the tokenizer's tables takes time, and must not block other requests.
            inputs = (
                await asyncio.to_thread(embeddings.texts, request, decode)
                if embeddings.has_tokens(request)
                else embeddings.texts(request, decode)
            )
            record.route = "embeddings"
            await admit(self._admission, resolved, record, request)
            answers: list[Any] = []
            vectors: list[list[float]] = []
            for batch in embeddings.batches(inputs, resolved.model):
                body = embeddings.upstream_body(request, batch, resolved.model)
                call = make_call("embeddings", EMBEDDINGS_PATH, resolved, body, record, caller)
                async with aclosing(await self._upstream.send(call)) as answer:
                    record.add_headers(answer.headers)
                    answers.append(await answer.whole())
                    try:
                        vectors += embeddings.vectors(answers[-1], len(batch))
                    except UpstreamRefusal as error:
                        answer.refused(error)
                        raise
            record.mark_first_token()
            counts = embeddings.usage(answers)
            record.usage = {**counts, "completion_tokens": 0}
            record.copilot_usage = merged_usage(answers)
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
        """Return the token count of a validated request, and additional response headers.

        Copilot counts the tokens if it serves the model on the client's API and that API has a path
        for counting. Otherwise, the count is an estimate, and a note says so. Raises
        `CopilotProxyError`.
        """
        with self._recording(client, record, request, caller):
            record.add_metrics(client.metrics(request))
            record.images = await run_if_large(record.size, client.count_images, request)
            resolved = await self.models.for_request("chat", request["model"], caller, betas)
            record.model, record.listed = resolved.id, resolved.model
            api = choose(client, resolved.model)
            if client.counting is not None and is_same_api(client, api):
                counting = client.counting
                body = await run_if_large(record.size, counting.body, request, resolved.model)
                headers = api.headers(body, betas, [])
                call = make_call(
                    "count_tokens", counting.path, resolved, body, record, caller, headers
                )
                try:
                    async with aclosing(await self._upstream.send(call)) as answer:
                        record.add_headers(answer.headers)
                        counted = counting.answer(request, await answer.whole())
                    if counted is not None:
                        record.route = "count_tokens"
                        route = {"x-copilot-proxy-route": "count_tokens"}
                        return counted, route | notes_header(resolved.notes)
                except UpstreamRefusal as error:
                    # Counting must not fail because of problems that the request itself would
                    # survive.
                    can_estimate = (
                        not 400 <= error.upstream_status < 500
                        or error.upstream_status in (404, 429)
                        or error.code == WRONG_API_CODE
                        or is_foreign_reasoning(error.upstream_code, error.message)
                    )
                    if not can_estimate:
                        raise
            tokens = await run_in_turn(_estimate, client, request)
            return {"input_tokens": tokens}, notes_header((*resolved.notes, _ESTIMATED))

    def _recording(
        self,
        client: ClientApi,
        record: RequestRecord,
        request: ClientRequest,
        caller: Caller,
    ) -> Recording:
        """Return a context manager that completes and reports `record` when its block ends."""
        record.model = record.model_asked = request["model"]
        record.client_api = client
        record.own_sign_in = caller.auth is not None
        self.running[record.request_id] = record
        return Recording(client, record, request, self._ended)

    @property
    def quota(self) -> Quota | None:
        """The remaining quota of the server's own account, from the last answer; None if the quota
        has been reset since."""
        quota = self._quota
        return None if quota is None or quota.was_reset(datetime.now(UTC)) else quota

    def _ended(self, record: RequestRecord) -> None:
        self.running.pop(record.request_id, None)
        if self.models.unknown:
            record.unknown += self.models.unknown
            self.models.unknown = []
        if record.quota is not None and not record.own_sign_in:
            self._quota = record.quota
        learn_answer_size(record, self._answer_sizes)
        self._report(record)


class _Answer:
    """The context manager for a reply; always ends the call to Copilot, and completes the record.

    This is a class because a generator would take several times as long.
    """

    def __init__(
        self,
        relay: Relay,
        client: ClientApi,
        request: ClientRequest,
        record: RequestRecord,
        caller: Caller,
        betas: Collection[str],
    ) -> None:
        self._relay = relay
        self._client = client
        self._request = request
        self._name: str = request["model"]
        self._record = record
        self._caller = caller
        self._betas = betas

    async def __aenter__(self) -> Reply:
        relay, client, request, record = self._relay, self._client, self._request, self._record
        record.stream = request.get("stream") is True
        self._recording = relay._recording(client, record, request, self._caller)
        try:
            record.add_metrics(client.metrics(request))
            if relay._small_model is not None:
                self._name = await relay._model_for(request, record, self._caller)
            self._reply = await relay._sender.send(
                client, request, self._name, record, self._caller, self._betas
            )
        except BaseException as error:
            await self._end(error)
            raise
        return self._reply

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            await self._reply.aclose()
        except BaseException as other:
            error = other
            raise
        finally:
            await self._end(error)

    async def _end(self, error: BaseException | None) -> None:
        try:
            if isinstance(error, CopilotProxyError):
                name_client_field(error, self._client)
                if isinstance(error, UpstreamRefusal):
                    await self._relay.hints.add(error, self._name, self._caller)
        finally:
            self._recording.end(error)


def _estimate(client: CountingApi, request: ClientRequest) -> int:
    return count(client.countable_text(request)) + client.media_tokens(request)
