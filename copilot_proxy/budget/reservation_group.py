"""Makes the reservations of requests that arrive together in one transaction.

A transaction takes longer than everything else that the budget does for a request. On a busy
server, several requests arrive in each turn of the event loop.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from copilot_proxy.ledger.reservation_request import ReservationRequest

if TYPE_CHECKING:
    from copilot_proxy.ledger.limit_states import State
    from copilot_proxy.ledger.reservations import Refusal
    from copilot_proxy.ledger.reserver import Reserver

_WRITING: Final = 0.002
"""Seconds in which most writers have written. A batch of the ledger takes about as long."""
_TRIES: Final = 10


class ReservationGroup:
    """The requests of one event loop that wait for their reservations."""

    def __init__(self, reserver: "Reserver") -> None:
        self._reserver = reserver
        self._waiting: list[
            tuple[ReservationRequest, asyncio.Future[list[State] | Refusal | None]]
        ] = []

    async def reserve(self, request: ReservationRequest) -> "list[State] | Refusal | None":
        """Return what `Reserver.reserve_now` returns for `request`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[State] | Refusal | None] = loop.create_future()
        self._waiting.append((request, future))
        if len(self._waiting) == 1:
            loop.call_soon(self._reserve, loop, _TRIES)
        return await future

    def _reserve(self, loop: asyncio.AbstractEventLoop, tries: int) -> None:
        """Reserve for all waiting requests; while another connection is writing, try again
        later."""
        # Clients may have disconnected.
        waiting = [(request, future) for request, future in self._waiting if not future.done()]
        outcomes = self._reserver.reserve_now([request for request, _ in waiting])
        if outcomes is None and tries > 1:
            loop.call_later(_WRITING, self._reserve, loop, tries - 1)
            return
        self._waiting.clear()
        for number, (_, future) in enumerate(waiting):
            future.set_result(outcomes[number] if outcomes is not None else None)
