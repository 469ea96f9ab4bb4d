"""Admits requests as long as they fit the budget.

The sum of the spent amount, the reservations of running requests and the expected cost of the next
one must fit each limit. So parallel requests cannot exceed it together, except by the error in the
estimates of those that are running. An answer that has begun is never cut off.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from copilot_proxy.budget.applying_limits import LimitFinder
from copilot_proxy.budget.estimate import Estimator
from copilot_proxy.budget.formatting import NAMES, amount, scope_flag, scope_text
from copilot_proxy.budget.limits_file import NAME, LimitsFile
from copilot_proxy.budget.notices import Notices
from copilot_proxy.cost.limits import Limit
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.large_work import LARGE, run_in_turn
from copilot_proxy.ledger.reservation_request import FLUSH_SECONDS, ReservationRequest
from copilot_proxy.masking import mask
from copilot_proxy.private_files import failure_reason
from copilot_proxy.relay.admission import BUDGET_EXCEEDED
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.limit_states import State
    from copilot_proxy.ledger.reserver import Refusal, Reserver

log = logging.getLogger(__name__)

_WARN_AT: Final = 0.8
"""The share of a limit from which requests get a note."""
_ATTEMPTS: Final = 10
_RETRY: Final = 0.001
"""Seconds in which another process has usually made its reservation."""
_MAX_NAME: Final = 64


class BudgetExceeded(CopilotProxyError):
    """A request does not fit the budget. The status makes every client stop; see `clients`."""

    status = 402
    type = "billing_error"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(
            message, hint=hint, code=BUDGET_EXCEEDED, headers={"x-should-retry": "false"}
        )


class Budget:
    """The budget of the server's account, as seen by one process."""

    def __init__(self, ledger: Path, defaults: Iterable[Limit], notify: Sequence[str] = ()) -> None:
        """`notify` is the command of the setting with that name."""
        self._ledger = ledger
        self._notices = Notices(notify, ledger.parent / "notices" / ledger.stem)
        self._file = LimitsFile(ledger.with_name(NAME), defaults)
        self._finder = LimitFinder(self._file)
        self._estimator = Estimator()
        self._executor: ThreadPoolExecutor | None = None
        self._flush: asyncio.TimerHandle | None = None
        """Shows other processes what requests have cost."""
        self._warned: set[tuple[Limit, str]] = set()
        self._problem: str | None = None
        """Why the limits cannot be checked at the moment."""

    def __call__(self, record: RequestRecord) -> None:
        """Learn from a request that has ended, to estimate the next ones; to be called on the event
        loop."""
        if record.reserved is not None:
            self._settle(record)
        if self._file.known.limits:
            self._estimator(record)

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Reserve what `request` will probably cost; raises `BudgetExceeded` if it does not fit.

        If the limits cannot be checked, the request is admitted: a broken file must not stop the
        user's work. The log says so.
        """
        if record.own_sign_in:
            return
        try:
            applying = self._finder.find(record)
        except CopilotProxyError as error:
            self._report(error.message)
            return
        if not applying.limits:
            return
        estimate = self._estimator.estimate
        if record.size < LARGE:
            cost = estimate(record, request)
        else:
            cost = await run_in_turn(estimate, record, request)
        asked = ReservationRequest(record, cost, *applying)
        try:
            outcome = await self._reserve(asked)
        except Exception as error:
            self._report(_problem(error))
            return
        self._report(None)
        if isinstance(outcome, tuple):
            limit, allowed, _ = outcome
            refused = _refused(outcome, cost)
            notice = _with_session(refused.message, limit, record)
            period = applying.period(limit, record)
            self._notices.send("refused", limit, allowed, period, notice)
            raise refused
        record.reserved = cost
        for (limit, allowed), (spent, reserved) in zip(applying.limits, outcome, strict=True):
            if spent + reserved >= _WARN_AT * allowed:
                period = applying.period(limit, record)
                self._warn(record, limit, allowed, spent + reserved, period)

    def _report(self, problem: str | None) -> None:
        """Log the reason why the limits cannot be checked, once for each `problem`, and with None
        that they can be checked again."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.warning("The budget is enforced again.")
        else:
            log.error("The budget is not enforced: %s", problem)

    def close(self) -> None:
        """End the thread, and close the file."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.submit(lambda: self._reserver.close())
            executor.shutdown()

    async def _reserve(self, asked: ReservationRequest) -> "list[State] | Refusal":
        """Reserve on the event loop, unless it is for the first time, does not fit, or others are
        reserving for long; then in a thread, which costs more than a reservation."""
        if "_reserver" in self.__dict__ and self._reserver.is_open():
            for _ in range(_ATTEMPTS):
                outcome = self._reserver.reserve_now(asked)
                if isinstance(outcome, list):
                    return outcome
                if outcome is not None:
                    break
                await asyncio.sleep(_RETRY)
        executor = self._thread()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(executor, lambda: self._reserver.reserve(asked))
        except asyncio.CancelledError:
            # The reservation may be made after the request has already been recorded.
            executor.submit(lambda: self._reserver.release(asked.record.request_id))
            raise

    def _settle(self, record: RequestRecord) -> None:
        """Reserve what a request has cost instead of its estimate, until the ledger has its row."""
        if record.unmetered is not None:  # its tokens have to be counted first
            self._thread().submit(self._settle_later, record)
            return
        nano = cost_of(record).nano
        if nano is None:
            return  # the estimate stays
        self._reserver.settle(record.request_id, nano)
        if nano > (record.reserved or 0):
            self._show_settled()
        elif self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_SECONDS, self._show_settled)

    def _show_settled(self) -> None:
        """Show other processes what requests have cost, unless a reservation has done so.

        They must know at once if it is more than was reserved; otherwise, several are shown
        together.
        """
        self._flush = None
        if self._executor is not None and not self._reserver.flush_now():
            self._executor.submit(self._reserver.flush)

    def _settle_later(self, record: RequestRecord) -> None:
        nano = cost_of(record).nano
        if nano is not None:
            self._reserver.settle(record.request_id, nano)
            self._reserver.flush()

    def _thread(self) -> ThreadPoolExecutor:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "budget")
        return self._executor

    @cached_property
    def _reserver(self) -> "Reserver":
        # Imported only if there are limits and in the thread, so that nothing else has to wait for
        # SQLite.
        from copilot_proxy.ledger.reserver import Reserver

        return Reserver(self._ledger)

    def _warn(
        self, record: RequestRecord, limit: Limit, allowed: int, used: int, period: str
    ) -> None:
        """Add a note to the request, and once to the log, that most of a limit is used."""
        text = (
            f"budget{scope_text(limit)}: {amount(used)} of {amount(allowed)} are used or reserved "
            f"{NAMES[limit.per]}"
        )
        record.notes.append(text)
        sentence = f"{text[0].upper()}{text[1:]}."
        if (limit, period) not in self._warned:
            self._warned.add((limit, period))
            log.warning("%s", sentence)
        notice = _with_session(sentence, limit, record)
        self._notices.send("used", limit, allowed, period, notice)


def _problem(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'The ledger'} cannot be used: {failure_reason(error)}."
    return f"The ledger cannot be used: {str(error).rstrip('.')}."


def _with_session(text: str, limit: Limit, record: RequestRecord) -> str:
    """Add the session to a notice about a limit per session."""
    if limit.per != "session":
        return text
    sender = record.attribution
    session = "".join(filter(str.isprintable, mask(sender.session or "")))[:_MAX_NAME]
    return f"{text} This is session {session} of {sender.client or 'an unknown client'}."


def _refused(refusal: "Refusal", cost: int) -> BudgetExceeded:
    limit, allowed, (spent, reserved) = refusal
    resets = {"day": "at midnight", "month": "on the first of the month, at midnight UTC"}
    when = resets.get(limit.per, "with a new session")
    others = f", {amount(reserved)} reserved by running requests" if reserved else ""
    expected = f"; this request may cost {amount(cost)}" if cost else ""
    return BudgetExceeded(
        f"The budget{scope_text(limit)} for {NAMES[limit.per]}, {amount(allowed)}, does not allow "
        f"this request: {amount(spent)} spent{others}{expected}. It resets {when}.",
        f"To raise it, run: copilot-proxy budget raise 100{scope_flag(limit)}",
    )
