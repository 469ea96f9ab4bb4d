"""Sends changes to all open pages: running requests, new ledger rows, the overview.

The feed is only active while a page is open. It encodes the data once for all pages of a viewer.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from copilot_proxy.errors import CopilotProxyError

log = logging.getLogger(__name__)

_TICK: Final = 0.5
"""Seconds between checks of running requests."""
_IDLE_TICK: Final = 1.0
"""Seconds between checks while no requests are running."""
_IDLE_TICKS: Final = 4
"""Ticks between checks of the ledger while no requests are running here; other processes may write
to it."""
_MAX_SHARE: Final = 0.05
"""The maximum share of time to spend on reading the overview."""
_MAX_PAUSE: Final = 5.0
"""Maximum seconds to wait because of `_MAX_SHARE`, even if reading is very slow."""
_MAX_WAITING: Final = 64
"""Maximum number of messages queued for a page. A page that does not read them is disconnected."""

Message = bytes
"""Server-sent events; an empty message ends the stream."""


class Source(Protocol):
    """The feed's data source. With `key`, a method only covers requests with the API key of that
    name."""

    def running(self, key: str | None) -> list[dict[str, Any]]:
        """Return the requests that are being answered."""
        ...

    def server(self, key: str | None) -> dict[str, Any]:
        """Return the state of the server."""
        ...

    async def version(self) -> object:
        """Return a value that changes whenever the overview may have changed."""
        ...

    async def overview(self, key: str | None) -> dict[str, Any]:
        """Return the overview."""
        ...

    async def rows(self, key: str | None, after: int) -> list[dict[str, Any]]:
        """Return the latest rows whose `id` is greater than `after`, newest first."""
        ...


@dataclass
class _Channel:
    """The pages of one viewer, and the state that was last sent to them."""

    pages: set["asyncio.Queue[Message]"] = field(default_factory=set)
    running: bytes = b"[]"
    server: bytes = b""
    overview: bytes = b""
    last_id: int = 0
    waiting: list[Message] = field(default_factory=list)
    """Messages to send at the end of the tick, in a single write, since writes are expensive."""

    def send(self, message: Message) -> None:
        self.waiting.append(message)

    def flush(self) -> None:
        if not self.waiting:
            return
        message = b"".join(self.waiting)
        self.waiting.clear()
        for page in list(self.pages):
            if page.qsize() < _MAX_WAITING:
                page.put_nowait(message)
            else:  # the page reconnects, and receives the full state
                self.pages.discard(page)
                page.put_nowait(b"")


class Feed:
    """All open dashboard pages that this process serves."""

    def __init__(self, source: Source, on_idle: Callable[[], None]) -> None:
        """`on_idle` is called when the last page has been closed."""
        self._source = source
        self._on_idle = on_idle
        self._channels: dict[str | None, _Channel] = {}
        self._task: asyncio.Task[None] | None = None
        self._version: object = None
        self._quiet_until = 0.0
        self._is_closed = False

    async def subscribe(self, key: str | None) -> "asyncio.Queue[Message]":
        """Return the queue of messages for a new page, starting with the full state.

        With `key`, the messages only cover requests with the API key of that name. Raises
        `CopilotProxyError`.
        """
        channel = self._channels.get(key)
        if channel is None:
            channel = _Channel()
            await self._read(channel, key)
            channel.waiting.clear()
            channel = self._channels.setdefault(key, channel)
        page: asyncio.Queue[Message] = asyncio.Queue()
        try:
            rows = await self._source.rows(key, 0)
        except BaseException:  # including the cancellation when the page is closed
            self.unsubscribe(key, page)
            raise
        page.put_nowait(b"retry: 2000\n\n")
        page.put_nowait(_event("server", channel.server))
        page.put_nowait(_event("overview", channel.overview))
        page.put_nowait(_event("rows", _encode(rows)))
        page.put_nowait(_event("running", _encode(self._source.running(key))))
        if self._is_closed:
            page.put_nowait(b"")
            return page
        self._channels.setdefault(key, channel).pages.add(page)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return page

    def unsubscribe(self, key: str | None, page: "asyncio.Queue[Message]") -> None:
        """Remove a page that was closed."""
        channel = self._channels.get(key)
        if channel is None:
            return
        channel.pages.discard(page)
        if not channel.pages:
            del self._channels[key]
        if not self._channels:
            self._stop()

    def refresh(self) -> None:
        """Read everything again at the next tick, for example after a budget change."""
        self._version, self._quiet_until = None, 0.0

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        for channel in self._channels.values():
            for page in channel.pages:
                page.put_nowait(b"")
        self._channels.clear()
        self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._on_idle()

    async def _run(self) -> None:
        tick, is_busy, is_failing = 0, True, False
        while True:
            await asyncio.sleep(_TICK if is_busy else _IDLE_TICK)
            tick += 1
            try:
                is_busy = self._send_state()
                if is_busy or tick % _IDLE_TICKS == 0 or self._version is None:
                    await self._send_ledger()
                    is_failing = False
            except Exception as error:  # an unreadable ledger must not end the stream
                if not is_failing:
                    _report(error)
                is_failing = True
            for channel in self._channels.values():
                channel.flush()

    def _send_state(self) -> bool:
        """Send the running requests and the server's state, each only if it has changed.

        Returns whether the running requests have changed.
        """
        is_busy = False
        for key, channel in self._channels.items():
            running = _encode(self._source.running(key))
            if running != channel.running:
                # A request may just have ended, so that its row is about to be written.
                is_busy = True
                channel.running = running
                channel.send(_event("running", running))
            server = _encode(self._source.server(key))
            if server != channel.server:
                channel.server = server
                channel.send(_event("server", server))
        return is_busy

    async def _send_ledger(self) -> None:
        """Send new rows and the overview if the ledger has changed."""
        if time.monotonic() < self._quiet_until:
            return
        version = await self._source.version()
        if version == self._version:
            return
        began = time.monotonic()
        for key, channel in list(self._channels.items()):
            await self._read(channel, key)
        took = time.monotonic() - began
        self._version = version
        self._quiet_until = time.monotonic() + min(_MAX_PAUSE, took / _MAX_SHARE)

    async def _read(self, channel: _Channel, key: str | None) -> None:
        rows = await self._source.rows(key, channel.last_id)
        if rows:
            channel.last_id = rows[0]["id"]
            channel.send(_event("rows", _encode(rows)))
        channel.server = channel.server or _encode(self._source.server(key))
        overview = _encode(await self._source.overview(key))
        if overview != channel.overview:
            channel.overview = overview
            channel.send(_event("overview", overview))


def _report(error: Exception) -> None:
    if isinstance(error, CopilotProxyError):
        log.error("The dashboard cannot be updated. %s", error.message)
    else:
        log.error("The dashboard cannot be updated.", exc_info=error)


_encode: Final[Callable[[Any], bytes]] = msgspec.json.encode


def _event(name: str, data: bytes) -> Message:
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"
