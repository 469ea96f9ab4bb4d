"""Detects whether a client that has closed its side of the connection is still waiting for an
answer.

A client that has disconnected looks the same, except that its system responds to data with a reset,
which makes the next write fail. Therefore, interim responses, which all clients skip (RFC 9110,
section 15.2), are sent until the answer begins.
"""

import asyncio
from typing import Any, Final

_INTERIM: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_WAIT: Final = 0.05
_MAX_WAIT: Final = 5.0
"""Maximum seconds between interim responses; each wait is twice as long as the previous one."""


class HalfClosedProbe:
    """Sends interim responses for the request that uvicorn's `cycle` handles."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, cycle: Any
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._cycle = cycle
        self._timer: asyncio.TimerHandle | None = None
        self._send(_FIRST_WAIT)

    def _send(self, wait: float) -> None:
        if not self._cycle.response_started and not self._transport.is_closing():
            self._transport.write(_INTERIM)
            self._timer = self._loop.call_later(wait, self._send, min(2 * wait, _MAX_WAIT))

    def cancel(self) -> None:
        """End the probe, because the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
