"""Copilot's reply to an accepted request, as events of the client's API or as one whole answer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import msgspec

from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    UpstreamError,
    UpstreamRefusal,
    code_of,
)
from copilot_proxy.formats.drift import unknown_in_event
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.sse import DONE
from copilot_proxy.formats.translation import PreparedRequest
from copilot_proxy.formats.types import ClientEvent, ClientResponse, Json
from copilot_proxy.headers import forwarded_headers
from copilot_proxy.relay.costs import cost_headers, sized
from copilot_proxy.relay.notes import notes_header
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.upstreams.base import UpstreamResponse

_MAX_UNKNOWN: Final = 200
"""The number of unknown names to record for one reply."""
_END_TIMEOUT: Final = 3.0
"""Seconds to wait for token counts and the end of the stream after the model has finished, or after
the answer was cut at a stop sequence."""


class EventWriter(Protocol):
    """Sends events to the client immediately.

    If that is impossible, its methods send nothing and return False.
    """

    def write(self, events: list[ClientEvent]) -> bool: ...

    def write_json(self, events: list[bytes]) -> bool:
        """Send events that are already JSON."""
        ...


BeforeLast = Callable[[ClientEvent], Awaitable[None]]
"""Called with the last event of a reply, before the event is passed on."""


class ReplySource(Protocol):
    """A `Reply`, or a wrapper that adds something to one."""

    @property
    def headers(self) -> dict[str, str]: ...

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]: ...

    async def whole(self) -> ClientResponse: ...

    def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[ClientEvent], None]: ...


class _Translated(NamedTuple):
    """The result of translating a batch of Copilot's events."""

    events: list[ClientEvent]
    failure: UpstreamError | None = None
    """The error that stopped the translation."""
    has_ended: bool = False
    """Whether the stream has ended."""


_Process = Callable[[Sequence[object]], _Translated | None]
_Receive = Callable[[_Process], Awaitable[_Translated | None]]


class Reply:
    """A reply. Use either `whole` or `events`, once, and always close the reply."""

    def __init__(
        self, response: UpstreamResponse, prepared: PreparedRequest, record: RequestRecord
    ) -> None:
        self._response = response
        self._prepared = prepared
        self._translator = prepared.translator
        self._repeated = prepared.translator.repeated
        self._record = record
        record.add_headers(response.headers)
        self.before_last: BeforeLast | None = None
        self._is_read = False
        self._was_refused = False
        self._kind: object = self  # no event has this type
        self._deadline: float | None = None
        """When to stop waiting for the end, in the event loop's time."""

    @property
    def headers(self) -> dict[str, str]:
        """Response headers for the client: route, notes, quota, and after `whole` also the cost."""
        self._record.sent_notes = len(self._prepared.notes)
        return {
            "x-copilot-proxy-route": self._prepared.api.name,
            **forwarded_headers(self._response.headers),
            **cost_headers(self._record),
            **notes_header(self._prepared.notes),
        }

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]:
        """Return the events that report `error` in the middle of the stream and end it."""
        return self._translator.fail(error, self._record.request_id)

    async def whole(self) -> ClientResponse:
        """Return the whole answer in the format of the client's API. Raises `UpstreamError`."""
        if self._response.is_stream:
            events = [event async for batch in self.events() for event in batch]
            return self._translator.whole(events)
        translator = self._translator
        body = sized(self._record, await self._response.whole())
        if isinstance(body, dict):
            self._look_for_unknown(body)
        try:
            events = [*translator.feed(body), *translator.close(done=True)]
            self._record.mark_first_token()
            await self._prepare_last(events)
            return translator.whole(events)
        except UpstreamRefusal as error:
            self._report(error)
            raise
        finally:
            self._record_usage()

    async def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[ClientEvent], None]:
        """Yield the events for the client as they arrive; events that arrive together share a list.

        With `writer`, most events are passed to it as soon as they arrive, and only those that it
        cannot send are yielded. Raises `UpstreamError`.
        """
        # Not kept in `self`, to avoid a reference cycle: `writer` has a reference to this reply.
        process = partial(self._process, writer)
        translator = self._translator
        is_stream = self._response.is_stream
        receive: _Receive = self._response.receive if is_stream else self._receive_whole
        done = not is_stream
        try:
            while translated := await (
                self._receive_after_finish(receive, process)
                if translator.is_finished
                else receive(process)
            ):
                if translated.events:
                    if translator.is_complete:
                        await self._prepare_last(translated.events)
                    yield translated.events
                if translated.failure is not None:
                    self._report(translated.failure)
                    raise translated.failure
                if translated.has_ended:
                    done = True
                    self._response.finish()
                    break
        except BrokenResponse:
            # If the connection breaks after the model has finished, the answer is complete.
            if not translator.is_finished:
                raise
        finally:
            self._record_usage()
        if events := translator.close(done=done):
            self._record.complete = True
            await self._prepare_last(events)
            yield events

    async def aclose(self) -> None:
        """End the call to Copilot, whether or not the answer was read."""
        await self._response.aclose()

    async def _prepare_last(self, events: Sequence[ClientEvent]) -> None:
        if self.before_last is not None and events:
            await self.before_last(events[-1])

    async def _receive_after_finish(
        self, receive: _Receive, process: _Process
    ) -> _Translated | None:
        """Receive the next events; return None if the stream stays open for too long."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + _END_TIMEOUT
        try:
            async with asyncio.timeout_at(self._deadline):
                return await receive(process)
        except TimeoutError:
            return None

    async def _receive_whole(self, process: _Process) -> _Translated | None:
        """Process a whole answer as a single decoded event; return None on the second call."""
        if self._is_read:
            return None
        self._is_read = True
        return process([sized(self._record, await self._response.whole())])

    def _process(self, writer: EventWriter | None, batch: Sequence[object]) -> _Translated | None:
        """Translate a batch of Copilot's events. Return None if `events` need not handle the
        result."""
        record, translator = self._record, self._translator
        record.events += len(batch)
        repeated = self._repeated
        if (
            repeated is not None
            and writer is not None
            and (encoded := repeated.translated(batch)) is not None
            and writer.write_json(encoded)
        ):
            return None  # the usual case after a stream has started
        translated = self._translate(batch)
        events = translated.events
        if events:
            if record.first_token is None:
                record.mark_first_token()
            record.complete = record.complete or translator.is_complete
        if translated.failure is not None or translated.has_ended or translator.is_finished:
            return translated
        if not events or (writer is not None and writer.write(events)):
            return None
        return translated

    def _translate(self, batch: Sequence[object]) -> _Translated:
        events: list[ClientEvent] = []
        repeated = self._repeated
        for data in batch:
            event = _decode(data) if isinstance(data, bytes) else data
            if event is DONE:
                return _Translated(events, has_ended=True)
            if isinstance(event, dict) and event.get("type") != self._kind:
                self._look_for_unknown(event)
            try:
                translated = self._translator.feed(event)
            except UpstreamError as error:
                return _Translated(events, error)
            if repeated is not None and isinstance(data, bytes):
                is_known = repeated.learn(data, event, translated)
                repeated = None if is_known else repeated  # the other events are probably similar
            events += translated
            if self._translator.has_ended:
                return _Translated(events, has_ended=True)
        return _Translated(events)

    def _look_for_unknown(self, event: Json) -> None:
        """Record unknown names in `event`, the first of a run of events of the same type."""
        self._kind = event.get("type")
        if self._record.model_answered is None:
            self._record.model_answered = _model_of(event)
        if len(self._record.unknown) < _MAX_UNKNOWN:
            self._record.unknown += unknown_in_event(self._prepared.api.name, event)

    def _report(self, failure: CopilotProxyError) -> None:
        """Report to the upstream that the request was refused after all; do so once."""
        if isinstance(failure, UpstreamRefusal) and not self._was_refused:
            self._was_refused = True
            self._response.refused(failure)

    def _record_usage(self) -> None:
        translator = self._translator
        self._record.usage = translator.usage
        self._record.copilot_usage = translator.copilot_usage
        self._record.finished = translator.is_finished
        self._record.finish_reason = translator.finish_reason
        if (failure := translator.failure) is not None:
            self._report(failure)
            self._record.mark_failed(code_of(failure), failure.status)
            if isinstance(failure, UpstreamRefusal) and failure.copilot_usage is not None:
                self._record.copilot_usage = failure.copilot_usage


def _model_of(event: Json) -> str | None:
    """Return the model named in an event or a whole answer, in the format of any API."""
    for holder in (event, event.get("response"), event.get("message")):
        if isinstance(holder, dict) and isinstance(holder.get("model"), str):
            return str(holder["model"])
    return None


def _decode(data: bytes) -> object:
    """Return the decoded JSON of an event, or `DONE` for the end mark. Invalid JSON stays bytes."""
    if data == DONE:
        return DONE
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return decode_leniently(data)
        except ValueError:
            return data
