"""Finds out whether a client that has closed its side of the connection still waits for an answer.

A client that has left looks the same. But its system answers what it is sent with a reset, on which
the next write fails. So interim responses are sent until the answer begins; all clients skip them
(RFC 9110, section 15.2).
"""

import asyncio
from typing import Any, Final

_INTERIM: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 5.0
"""Seconds between two interim responses; each wait is twice as long as the one before."""


class HalfClosedProbe:
    """Sends interim responses for one request; `cycle` is uvicorn's."""

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
            self._timer = self._loop.call_later(wait, self._send, min(2 * wait, _LONGEST_WAIT))

    def cancel(self) -> None:
        """End the probe: the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
