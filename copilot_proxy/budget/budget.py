"""Admits requests as long as they fit into the budget.

A limit must cover the amount spent, the reservations of running requests, and the expected cost of
the new request. Parallel requests therefore cannot jointly exceed a limit unless their estimates
are too low. An answer that has begun is never cut off.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from copilot_proxy.budget.applying_limits import LimitFinder
from copilot_proxy.budget.estimate import Estimate, Estimator
from copilot_proxy.budget.formatting import ledger_problem, spent_text
from copilot_proxy.budget.limits_file import LimitsFile, path_for
from copilot_proxy.budget.notices import Notices
from copilot_proxy.budget.refusals import refused, with_session
from copilot_proxy.cost.assessment import Cost
from copilot_proxy.cost.limits import Limit
from copilot_proxy.formats.types import ClientRequest
from copilot_proxy.large_work import run_in_turn
from copilot_proxy.ledger.reservation_request import FLUSH_SECONDS, Plan, Refusal, Used
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.reserver import Reserver

log = logging.getLogger(__name__)
_T = TypeVar("_T")

_WARN_AT: Final = 0.8
"""The share of a limit above which a note is added to requests."""
_ATTEMPTS: Final = 10
_RETRY: Final = 0.001
"""Seconds after which another process has usually finished its reservation."""
_ROWS_SECONDS: Final = 0.25
"""Seconds after which the ledger has usually written the rows of completed requests."""


class Budget:
    """The budget of the server's account, as seen by one process."""

    def __init__(self, ledger: Path, defaults: Iterable[Limit], notify: Sequence[str] = ()) -> None:
        """`notify` is the value of the setting `notify`."""
        self._ledger = ledger
        self._notices = Notices(notify, ledger.parent / "notices" / ledger.stem)
        self._file = LimitsFile(path_for(ledger), defaults)
        self._finder = LimitFinder(self._file)
        self._estimator = Estimator()
        self._executor: ThreadPoolExecutor | None = None
        self._reserver: Reserver | None = None
        """Created in the thread by the first request that has limits."""
        self._flush: asyncio.TimerHandle | None = None
        """The timer for showing other processes what requests have cost."""
        self._warned: set[tuple[Limit, str]] = set()
        self._problem: str | None = None
        """Why the limits cannot currently be checked, as last logged."""
        self._failure: str | None = None
        """Why the thread cannot use the ledger; None if its last attempt succeeded."""
        self._retry: Future[None] | None = None
        """The thread's last attempt to use the ledger while no request waits."""

    def __call__(self, record: RequestRecord) -> None:
        """Learn from a completed request, for later estimates. Must be called on the event loop."""
        if not self._file.known.limits and self._reserver is None:
            return  # If limits are set later, the estimator will learn from the ledger's rows.
        # Counting the tokens may take a long time; if that is necessary, `_settle` does it later.
        cost = cost_of(record) if record.unmetered is None else None
        if record.reserved is not None:
            self._settle(record, cost)
        if cost is not None and cost.tokens is not None:
            self._estimator.learn(record, cost.tokens)

    async def admit(self, record: RequestRecord, request: ClientRequest) -> None:
        """Reserve the expected cost of `request`. Raises `BudgetExceeded` if that would exceed a
        limit.

        If the ledger is unusable, the limits cannot be checked. The request is then admitted, and
        the problem is logged: a broken file must not stop the user's work.
        """
        if record.own_sign_in:
            return
        plan = self._finder.find(record)
        if not plan.limits:
            return
        reserver = self._reserver
        if reserver is None:
            reserver = await self._first_reserver()
        estimate = self._estimator.estimate
        if self._estimator.must_count(record):
            cost = await run_in_turn(estimate, record, request)
        else:
            cost = estimate(record, request)
        outcome = None
        if reserver is not None:
            outcome = reserver.reserve_now(record.request_id, cost.nano, plan, cost.least)
        if isinstance(outcome, list):
            self._failure = None
        else:
            outcome = await self._reserve(record.request_id, cost, plan, outcome)
        if self._problem != self._failure:
            self._report(self._failure)
        if outcome is None:
            return
        if isinstance(outcome, tuple):
            limit, allowed = outcome.limit, outcome.allowed
            refusal = refused(outcome, cost)
            notice = with_session(refusal.message, limit, record)
            self._notices.send("refused", limit, allowed, plan.period(limit), notice)
            record.notes.append(refusal.hint or "")
            raise refusal
        # The reserved amount may be lower than the expected cost; see `reservation_plan.reduced`.
        record.reserved = min(cost.nano, outcome[0][1])
        for index, ((limit, allowed), used) in enumerate(zip(plan.limits, outcome, strict=True)):
            if sum(used) >= _WARN_AT * allowed:
                spent = self._spent(plan, index, used)
                if spent >= _WARN_AT * allowed:
                    self._warn(record, limit, allowed, spent, plan.period(limit))

    def _spent(self, plan: Plan, index: int, used: "Used") -> int:
        """Return how much of a limit of `plan` is spent, right after a reservation.

        This includes requests that have ended, but have no rows in the ledger yet. Running requests
        may turn out cheaper than expected, so they do not count.
        """
        reserver = self._reserver
        return used[0] + (reserver.ended(plan, index) if reserver is not None else 0)

    def _report(self, problem: str | None) -> None:
        """Log once why the limits cannot be checked or, if `problem` is None, that they can be
        checked again."""
        if problem == self._problem:
            return
        self._problem = problem
        if problem is None:
            log.warning("The budget is enforced again.")
        else:
            log.error("The budget is not enforced: %s", problem)

    def end(self, request_ids: Sequence[str]) -> bool:
        """Release the reservations of requests that are now in the ledger.

        Called by the ledger's thread. Returns False if this process has made no reservations.
        """
        if self._reserver is None:
            return False
        self._reserver.end(request_ids)
        return True

    def close(self) -> None:
        """Stop the thread, and close the `Reserver`."""
        executor, self._executor = self._executor, None
        reserver, self._reserver = self._reserver, None
        if executor is not None:
            if reserver is not None:
                executor.submit(reserver.close)
            executor.shutdown()

    async def _reserve(
        self, request_id: str, cost: Estimate, plan: Plan, outcome: "Refusal | None"
    ) -> "list[Used] | Refusal | None":
        """Reserve `cost` after a first attempt, whose result was `outcome`.

        If another process held the lock, try a few more times on the event loop, because switching
        to a thread takes longer than a reservation. If that fails or a limit would be exceeded, use
        the thread. Returns None if the ledger is unusable; once that is known, no request waits.
        """
        reserver = self._reserver
        if outcome is None and reserver is not None and reserver.is_open():
            for _ in range(_ATTEMPTS):
                await asyncio.sleep(_RETRY)
                found = reserver.reserve_now(request_id, cost.nano, plan, cost.least)
                if isinstance(found, list):
                    return found
                if found is not None:
                    outcome = found
                    break
        if outcome is None and self._failure is not None:
            self._report(self._failure)
            self._try_again()
            return None
        future = self._submit(self._reserve_in_thread, request_id, cost, plan, outcome)
        if future is None:
            return outcome
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            # The thread may make the reservation after the request has been recorded.
            self._submit(self._release, request_id)
            raise

    def _reserve_in_thread(
        self, request_id: str, cost: Estimate, plan: Plan, refusal: "Refusal | None"
    ) -> "list[Used] | Refusal | None":
        """Return the result of another attempt, or `refusal`, the first result, if it fails."""
        if self._failure is not None and refusal is None:
            return None  # a request before this one has already waited in vain
        try:
            outcome = self._made_reserver().reserve(request_id, cost.nano, plan, cost.least)
        except Exception as error:
            self._failure = ledger_problem(error)
            return refusal
        self._failure = None
        return outcome

    def _try_again(self) -> None:
        """Let the thread use the ledger, unless it is already doing so, to save what requests have
        cost and to find out whether the ledger is usable again."""
        if self._retry is None or self._retry.done():
            self._retry = self._submit(self._flush_in_thread)

    def _flush_in_thread(self) -> None:
        try:
            self._made_reserver().flush()
        except Exception as error:
            self._failure = ledger_problem(error)
        else:
            self._failure = None

    def _release(self, request_id: str) -> None:
        self._made_reserver().release(request_id)

    def _settle(self, record: RequestRecord, cost: Cost | None) -> None:
        """Reserve a request's actual cost instead of the estimate, until the ledger contains it."""
        reserver = self._reserver
        if reserver is None:
            return
        if cost is None:
            self._submit(self._settle_later, reserver, record)
        nano = None if cost is None else cost.nano  # None keeps the estimate
        reserver.settle(record.request_id, nano)
        if nano is not None and nano > (record.reserved or 0):
            self._show_settled()
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._show_settled)

    def _show_settled(self) -> None:
        """Tell other processes what completed requests cost, and which ones are in the ledger."""
        flush, self._flush = self._flush, None
        if flush is not None:
            flush.cancel()
        reserver = self._reserver
        if reserver is None or self._executor is None:
            return
        if not reserver.flush_now():
            self._try_again()
        if reserver.is_waiting:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(_ROWS_SECONDS, self._show_settled)

    def _settle_later(self, reserver: "Reserver", record: RequestRecord) -> None:
        nano = cost_of(record).nano
        if nano is not None:
            reserver.settle(record.request_id, nano)
            reserver.flush()

    def _submit(self, work: Callable[..., _T], *arguments: object) -> Future[_T] | None:
        """Let the thread call `work`. Returns None if the process cannot start any more threads."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "budget")
        try:
            return self._executor.submit(work, *arguments)
        except RuntimeError as error:
            # The executor would still do the work, once it has a thread.
            self._executor = ThreadPoolExecutor(1, "budget")
            self._failure = ledger_problem(error)
            return None

    async def _first_reserver(self) -> "Reserver | None":
        """Open the ledger, and learn from its rows. Returns None if the ledger cannot be used."""
        future = self._submit(self._opened)
        if future is None:
            return None
        try:
            reserver, outputs = await asyncio.wrap_future(future)
        except Exception as error:
            self._failure = ledger_problem(error)
            return None
        for model, tokens in outputs:
            self._estimator.add_output(model, tokens)
        return reserver

    def _opened(self) -> "tuple[Reserver, Sequence[tuple[str, int]]]":
        is_first = self._reserver is None
        reserver = self._made_reserver()
        return reserver, reserver.recent_outputs() if is_first else ()

    def _made_reserver(self) -> "Reserver":
        # Imported in the thread, and only if there are limits, so that nothing else has to wait for
        # SQLite.
        from copilot_proxy.ledger.reserver import Reserver

        if self._reserver is None:
            self._reserver = Reserver(self._ledger)
        return self._reserver

    def _warn(
        self, record: RequestRecord, limit: Limit, allowed: int, spent: int, period: str
    ) -> None:
        """Note in the request, and once in the log and a notice, that most of a limit is spent."""
        text = spent_text(limit, allowed, spent)
        record.notes.append(text)
        sentence = f"{text[0].upper()}{text[1:]}."
        if (limit, period) not in self._warned:
            self._warned.add((limit, period))
            log.warning("%s", sentence)
        notice = with_session(sentence, limit, record)
        self._notices.send("used", limit, allowed, period, notice)
