"""An accepted request on its way back: Copilot's answer as the client's events, or whole."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse, CopilotProxyError, UpstreamError, code_of
from copilot_proxy.formats.lenient_json import decode_leniently
from copilot_proxy.formats.sse import DONE
from copilot_proxy.formats.translation import PreparedRequest
from copilot_proxy.headers import forwarded_headers
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.upstreams.base import UpstreamResponse

Json = dict[str, Any]

_NOTES_LIMIT: Final = 2000
_PATIENCE: Final = 3.0
"""Seconds that the counts and the end of an answer may take after its finish."""


class Reply:
    """An accepted request, to be closed; either `whole` or `events` is to be used, once."""

    def __init__(
        self, response: UpstreamResponse, prepared: PreparedRequest, record: RequestRecord
    ) -> None:
        self._response = response
        self._prepared = prepared
        self._translator = prepared.translator
        self._record = record
        self._is_taken = False

    @property
    def headers(self) -> dict[str, str]:
        """For the client's answer: the route taken, what was changed, what is left of the quota."""
        headers = {
            "x-copilot-proxy-route": self._prepared.api.name,
            **forwarded_headers(self._response.headers),
        }
        if self._prepared.notes:
            headers["x-copilot-proxy-notes"] = header_text("; ".join(self._prepared.notes))
        return headers

    def fail(self, error: CopilotProxyError) -> list[Json]:
        """The events that tell a failure in the middle of the answer."""
        return self._translator.fail(error, self._record.request_id)

    async def whole(self) -> Json:
        """The whole answer in the client's format; raises `UpstreamError`."""
        if self._response.is_stream:
            events = [event async for batch in self.events() for event in batch]
            return self._translator.whole(events)
        translator = self._translator
        body = await self._response.whole()
        try:
            events = [*translator.feed(body), *translator.close()]
            self._record.answered()
            return translator.whole(events)
        finally:
            self._count()

    async def events(self) -> AsyncGenerator[list[Json], None]:
        """The client's events as they come, what arrived together in one list; raises
        `UpstreamError`."""
        translator = self._translator
        read = self._response.events if self._response.is_stream else self._whole_as_event
        try:
            while given := await (self._last(read) if translator.is_finished else read()):
                events, failure, done = self._fed(given)
                if events:
                    if self._record.first_token is None:
                        self._record.answered()
                    self._record.complete = translator.is_complete
                    yield events
                if failure is not None:
                    raise failure
                if done:
                    self._response.finish()
                    break
        except BrokenResponse:
            # Nothing is lost when a connection is cut after the model has said that it is done.
            if not translator.is_finished:
                raise
        finally:
            self._count()
        if events := translator.close():
            self._record.complete = True
            yield events

    async def aclose(self) -> None:
        """Ends the call upstream, whether the answer was read or not."""
        await self._response.aclose()

    async def _last(self, read: Callable[[], Awaitable[Sequence[object]]]) -> Sequence[object]:
        """What is not waited for any longer once the model has said that it is done."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await read()
        except TimeoutError:
            return ()

    async def _whole_as_event(self) -> Sequence[object]:
        """A whole answer is a single event, and decoded; empty the second time."""
        if self._is_taken:
            return ()
        self._is_taken = True
        return [await self._response.whole()]

    def _fed(self, given: Sequence[object]) -> tuple[list[Json], UpstreamError | None, bool]:
        """What the events make, the failure that stopped it, and whether it was the end."""
        events: list[Json] = []
        for data in given:
            one = _decoded(data) if isinstance(data, bytes) else data
            if one is DONE:
                return events, None, True
            try:
                events += self._translator.feed(one)
            except UpstreamError as error:
                return events, error, False
            if self._translator.has_ended:
                return events, None, True
        return events, None, False

    def _count(self) -> None:
        translator = self._translator
        self._record.usage = translator.usage
        self._record.copilot_usage = translator.copilot_usage
        if (failure := translator.failure) is not None:
            self._record.failed(code_of(failure), failure.status)


def _decoded(data: bytes) -> object:
    """The JSON of an event, or the bytes themselves: the stream's end, and what is no JSON."""
    if data == DONE:
        return DONE
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            return decode_leniently(data)
        except ValueError:
            return data


def header_text(text: str) -> str:
    """`text` as a header may carry it: one line of ASCII, cut to a sane length."""
    line = "".join(c if 32 <= ord(c) < 127 else "?" for c in text)
    return line if len(line) <= _NOTES_LIMIT else line[: _NOTES_LIMIT - 3] + "..."
