"""One request end to end: picks the model, adapts the request, repairs the answer, keeps count."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from copilot_proxy.auth.copilot_auth import TokenSource
from copilot_proxy.catalogue import Catalogue, Model
from copilot_proxy.errors import Broken, CopilotProxyError, Refused, RequestError, UpstreamError
from copilot_proxy.formats.chat_completions.adapt import adapt_request
from copilot_proxy.formats.chat_completions.request import has_image, initiator
from copilot_proxy.formats.chat_completions.stream import ChatStream, fold
from copilot_proxy.formats.sse import DONE
from copilot_proxy.headers import passed_on
from copilot_proxy.upstreams.base import Answer, Call, Upstream

Json = dict[str, Any]

_NOTES_LIMIT: Final = 2000


@dataclass
class Record:
    """What is known of one request: for the log line, never with a word of what was said."""

    request_id: str
    api: str
    stream: bool = False
    model: str | None = None
    route: str | None = None
    initiator: str | None = None
    status: int = 200
    """What the client was told; 200 also when an answer broke off."""
    error: str | None = None
    """The code, or the class, of the failure."""
    client_gone: bool = False
    first_token: float | None = None
    """Seconds from the request to the first part of the answer."""
    duration: float = 0.0
    usage: Json | None = None
    copilot_usage: Json | None = None
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter, repr=False)

    def answered(self) -> None:
        """Notes the moment of the first part of the answer, once."""
        if self.first_token is None:
            self.first_token = time.perf_counter() - self.started


def new_request_id() -> str:
    """The id of a request, for the client's answer, the log, and Copilot's own logs."""
    return str(uuid.uuid4())


class ChatReply:
    """An accepted request; either `completion` or `chunks` is to be used, once."""

    def __init__(self, answer: Answer, record: Record, *, model: str, include_usage: bool) -> None:
        self._answer = answer
        self._record = record
        self._model = model
        self._include_usage = include_usage

    @property
    def headers(self) -> dict[str, str]:
        """For the client's answer: the route taken, what was changed, what is left of the quota."""
        headers = {
            "x-copilot-proxy-route": self._record.route or "",
            **passed_on(self._answer.headers),
        }
        if self._record.notes:
            headers["x-copilot-proxy-notes"] = header_text("; ".join(self._record.notes))
        return headers

    async def completion(self) -> Json:
        """The whole answer; raises `UpstreamError`."""
        chunks = [chunk async for batch in self._repaired(include_usage=True) for chunk in batch]
        return fold(chunks)

    def chunks(self) -> AsyncIterator[list[Json]]:
        """The answer as it comes, what arrived together in one list; raises `UpstreamError`."""
        return self._repaired(include_usage=self._include_usage)

    async def _repaired(self, *, include_usage: bool) -> AsyncIterator[list[Json]]:
        stream = ChatStream(self._model, include_usage=include_usage)
        try:
            async for events in self._answered():
                chunks, failure, done = _feed(stream, events)
                if chunks:
                    self._record.answered()
                    yield chunks
                if failure is not None:
                    raise failure
                if done:
                    break
        except Broken:
            # Nothing is lost when a connection is cut after the model has said that it is done.
            if not stream.is_finished:
                raise
        finally:
            self._record.usage = stream.usage
            self._record.copilot_usage = stream.copilot_usage
        yield stream.close()

    async def _answered(self) -> AsyncIterator[list[object]]:
        """The decoded events; a whole answer is a single one. A broken one stays as bytes."""
        if not self._answer.is_stream:
            yield [await self._answer.whole()]
            return
        async for events in self._answer.events():
            yield [_decoded(event.data) for event in events]


def _decoded(data: bytes) -> object:
    """The JSON of an event, or the bytes themselves: the stream's end, and what is no JSON."""
    if data == DONE:
        return DONE
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data


def _feed(
    stream: ChatStream, events: list[object]
) -> tuple[list[Json], UpstreamError | None, bool]:
    """What the events make, the failure that stopped it, and whether the stream said its end."""
    chunks: list[Json] = []
    for event in events:
        if event is DONE:
            return chunks, None, True
        try:
            chunks += stream.feed(event)
        except UpstreamError as error:
            return chunks, error, False
    return chunks, None, False


class Relay:
    """Answers requests through one upstream; `report` gets the record of each when it has ended."""

    def __init__(
        self, upstream: Upstream, *, default_model: str, report: Callable[[Record], None]
    ) -> None:
        self._upstream = upstream
        self._default_model = default_model
        self._report = report

    async def models(self, auth: TokenSource | None = None) -> Catalogue:
        """The models of the account; raises `CopilotProxyError`."""
        return await self._upstream.models(auth)

    async def model(self, name: str, auth: TokenSource | None = None) -> Model:
        """The model that `name` means; raises `RequestError` (404) when the account has none."""
        catalogue = await self._upstream.models(auth)
        model = catalogue.resolve(name, self._default_model)
        if model is None:
            # It may be newer than our list.
            catalogue = await self._upstream.models(auth, fresh=True)
            model = catalogue.resolve(name, self._default_model)
        if model is None:
            raise _unknown_model(name, catalogue)
        return model

    @asynccontextmanager
    async def chat_completions(
        self, request: Json, record: Record, *, auth: TokenSource | None = None
    ) -> AsyncIterator[ChatReply]:
        """Sends a checked request (`formats.chat_completions.request`) and gives the answer.

        Leaving the context ends the call upstream. Raises `CopilotProxyError`.
        """
        record.stream = request.get("stream") is True
        record.model = request["model"]
        try:
            model = await self._chat_model(request["model"], auth)
            call = self._call(request, model, record, auth)
            async with self._upstream.send(call) as answer:
                options = request.get("stream_options")
                yield ChatReply(
                    answer,
                    record,
                    model=request["model"],
                    include_usage=bool(options and options.get("include_usage")),
                )
        except Refused as error:
            await self._explain(error, request["model"], auth)
            _note_failure(error, record)
            raise
        except CopilotProxyError as error:
            _note_failure(error, record)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            record.client_gone = True
            raise
        except Exception:
            record.error = "internal_error"
            raise
        finally:
            record.duration = time.perf_counter() - record.started
            self._report(record)

    async def _chat_model(self, name: str, auth: TokenSource | None) -> Model | None:
        """The model for a chat; None when the list cannot be had, so that upstream decides."""
        try:
            model = await self.model(name, auth)
        except UpstreamError:
            return None
        if not model.is_chat:
            raise RequestError(
                f"The model {model.id!r} is for {model.type}, not for chat.", param="model"
            )
        if not model.speaks_chat_completions:
            raise RequestError(
                f"The model {model.id!r} does not answer on Copilot's chat completions API.",
                param="model",
                code="unsupported_api_for_model",
                hint="Take a model that copilot-proxy models lists with the chat API.",
            )
        return model

    def _call(
        self, request: Json, model: Model | None, record: Record, auth: TokenSource | None
    ) -> Call:
        body, record.notes = adapt_request(request, model)
        record.route = "chat_completions"
        record.model = body["model"]
        record.initiator = initiator(request["messages"])
        return Call(
            api="chat_completions",
            body=body,
            initiator=initiator(request["messages"]),
            vision=has_image(request["messages"]),
            request_id=record.request_id,
            auth=auth,
        )

    async def _explain(self, error: Refused, name: str, auth: TokenSource | None) -> None:
        """Adds to a refusal what the list of models knows about it."""
        if error.code != "model_not_found":
            return
        try:
            catalogue = await self._upstream.models(auth, fresh=True)
        except CopilotProxyError:
            return
        model = catalogue.resolve(name, self._default_model)
        if model is not None and not model.needs_enabling:
            error.hint = (
                f"The account lists {model.id}, but Copilot does not serve it to this client now: "
                "the plan, the organisation or the region may not allow it."
            )


def _note_failure(error: CopilotProxyError, record: Record) -> None:
    if record.first_token is None:
        record.status = error.status
    record.error = error.code or type(error).__name__


def _unknown_model(name: str, catalogue: Catalogue) -> RequestError:
    near = catalogue.nearest(name)
    like = f"Did you mean {', '.join(near)}? " if near else ""
    return RequestError(
        f"The model `{name[:200]}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
        hint=f"{like}copilot-proxy models lists what the account has.",
    )


def header_text(text: str) -> str:
    """`text` as a header may carry it: one line of ASCII, cut to a sane length."""
    line = "".join(c if 32 <= ord(c) < 127 else "?" for c in text)
    return line if len(line) <= _NOTES_LIMIT else line[: _NOTES_LIMIT - 3] + "..."
