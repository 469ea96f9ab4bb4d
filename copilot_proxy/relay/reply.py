"""Copilot's reply to an accepted request, as events of the client's API or as a whole answer."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final, Protocol

import msgspec

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamError, code_of
from copilot_proxy.formats.drift import unknown_in_event
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.sse import DONE
from copilot_proxy.formats.translation import PreparedRequest
from copilot_proxy.formats.types import ClientEvent, ClientResponse, Json
from copilot_proxy.headers import forwarded_headers
from copilot_proxy.relay.costs import cost_headers
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.upstreams.base import UpstreamResponse

_MAX_HEADER_LENGTH: Final = 2000
_MAX_UNKNOWN: Final = 200
"""Unknown names that are recorded for one reply."""
_END_TIMEOUT: Final = 3.0
"""Seconds to wait for token counts and the end of the stream after the model has finished, or after
the answer was cut at a stop sequence."""


BeforeLast = Callable[[ClientEvent], Awaitable[None]]
"""Called with the last event of a reply, before it is passed on."""


class ReplySource(Protocol):
    """A `Reply`, or a wrapper that adds something to one."""

    @property
    def headers(self) -> dict[str, str]: ...

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]: ...

    async def whole(self) -> ClientResponse: ...

    def events(self) -> AsyncGenerator[list[ClientEvent], None]: ...


class Reply:
    """A reply. Use either `whole` or `events`, once, and close it in any case."""

    def __init__(
        self, response: UpstreamResponse, prepared: PreparedRequest, record: RequestRecord
    ) -> None:
        self._response = response
        self._prepared = prepared
        self._translator = prepared.translator
        self._record = record
        record.add_headers(response.headers)
        self.before_last: BeforeLast | None = None
        self._is_read = False
        self._kind: object = self  # no event has this type
        self._deadline: float | None = None
        """When to stop waiting for the end, in the event loop's time."""

    @property
    def headers(self) -> dict[str, str]:
        """Response headers for the client: the route, the notes, the quota, and after `whole` also
        the cost."""
        self._record.sent_notes = len(self._prepared.notes)
        return {
            "x-copilot-proxy-route": self._prepared.api.name,
            **forwarded_headers(self._response.headers),
            **cost_headers(self._record),
            **notes_header(self._prepared.notes),
        }

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]:
        """Return the events that report `error` in the middle of the stream, and end it."""
        return self._translator.fail(error, self._record.request_id)

    async def whole(self) -> ClientResponse:
        """Return the whole answer in the format of the client's API; raises `UpstreamError`."""
        if self._response.is_stream:
            events = [event async for batch in self.events() for event in batch]
            return self._translator.whole(events)
        translator = self._translator
        body = await self._response.whole()
        if isinstance(body, dict):
            self._look_for_unknown(body)
        try:
            events = [*translator.feed(body), *translator.close(done=True)]
            self._record.mark_first_token()
            await self._prepare_last(events)
            return translator.whole(events)
        finally:
            self._record_usage()

    async def events(self) -> AsyncGenerator[list[ClientEvent], None]:
        """Yield the client's events as they arrive; those that arrived together share one list.

        Raises `UpstreamError`.
        """
        translator = self._translator
        is_stream = self._response.is_stream
        read = self._response.events if is_stream else self._whole_as_event
        done = not is_stream
        try:
            while batch := await (
                self._read_after_finish(read) if translator.is_finished else read()
            ):
                self._record.events += len(batch)
                events, failure, has_ended = self._translate(batch)
                if events:
                    if self._record.first_token is None:
                        self._record.mark_first_token()
                    if translator.is_complete:
                        self._record.complete = True
                        await self._prepare_last(events)
                    yield events
                if failure is not None:
                    raise failure
                if has_ended:
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
        """End the call to Copilot, whether the answer was read or not."""
        await self._response.aclose()

    async def _prepare_last(self, events: Sequence[ClientEvent]) -> None:
        if self.before_last is not None and events:
            await self.before_last(events[-1])

    async def _read_after_finish(
        self, read: Callable[[], Awaitable[Sequence[object]]]
    ) -> Sequence[object]:
        """Read the next events; return none if the stream stays open for too long."""
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + _END_TIMEOUT
        try:
            async with asyncio.timeout_at(self._deadline):
                return await read()
        except TimeoutError:
            return ()

    async def _whole_as_event(self) -> Sequence[object]:
        """Return a whole answer as a single decoded event; nothing the second time."""
        if self._is_read:
            return ()
        self._is_read = True
        return [await self._response.whole()]

    def _translate(
        self, batch: Sequence[object]
    ) -> tuple[list[ClientEvent], UpstreamError | None, bool]:
        """Return the client's events, the error that stopped the translation, and whether the
        stream has ended."""
        events: list[ClientEvent] = []
        for data in batch:
            event = _decode(data) if isinstance(data, bytes) else data
            if event is DONE:
                return events, None, True
            if isinstance(event, dict) and event.get("type") != self._kind:
                self._look_for_unknown(event)
            try:
                events += self._translator.feed(event)
            except UpstreamError as error:
                return events, error, False
            if self._translator.has_ended:
                return events, None, True
        return events, None, False

    def _look_for_unknown(self, event: Json) -> None:
        """Record unknown names in `event`, the first of a run of events of the same type."""
        self._kind = event.get("type")
        if self._record.model_answered is None:
            self._record.model_answered = _model_of(event)
        if len(self._record.unknown) < _MAX_UNKNOWN:
            self._record.unknown += unknown_in_event(self._prepared.api.name, event)

    def _record_usage(self) -> None:
        translator = self._translator
        self._record.usage = translator.usage
        self._record.copilot_usage = translator.copilot_usage
        self._record.finished = translator.is_finished
        self._record.finish_reason = translator.finish_reason
        if (failure := translator.failure) is not None:
            self._record.mark_failed(code_of(failure), failure.status)


def _model_of(event: Json) -> str | None:
    """Return the model that an event or a whole answer names, in the format of any API."""
    for holder in (event, event.get("response"), event.get("message")):
        if isinstance(holder, dict) and isinstance(holder.get("model"), str):
            return str(holder["model"])
    return None


def _decode(data: bytes) -> object:
    """Return the decoded JSON of an event, `DONE` for the end mark, or invalid JSON as bytes."""
    if data == DONE:
        return DONE
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return decode_leniently(data)
        except ValueError:
            return data


def notes_header(notes: Sequence[str]) -> dict[str, str]:
    """Return the header with the notes; none if there are no notes.

    Its value is one line of printable ASCII of at most `_MAX_HEADER_LENGTH`.
    """
    if not notes:
        return {}
    line = "".join(c if 32 <= ord(c) < 127 else "?" for c in "; ".join(notes))
    if len(line) > _MAX_HEADER_LENGTH:
        line = line[: _MAX_HEADER_LENGTH - 3] + "..."
    return {"x-copilot-proxy-notes": line}
