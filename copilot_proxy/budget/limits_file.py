"""The limits that the user has set, in a file next to the ledger: see `path_for`.

The server checks the file before requests, so that a change takes effect immediately.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from copilot_proxy.cost.limits import PERIODS, SCOPES, Limit
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.file_locks import locked
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.private_files import (
    READ,
    failure_reason,
    make_folder,
    open_private,
    replace_private,
    write_hint,
)

log = logging.getLogger(__name__)

_LOCK: Final = "budget.lock"
"""The lock is a separate file, because each change replaces the limits file."""


class Raise(NamedTuple):
    """An amount by which limits are raised for the rest of a day or month."""

    nano: int
    day: str
    """The local day, ``YYYY-MM-DD``."""
    month: str
    """The month in UTC, ``YYYY-MM``."""
    kind: str = ""
    name: str = ""
    per: str = ""
    """The period of the limits that the raise applies to; "" for all periods."""


class Limits(NamedTuple):
    """The limits in force, and how they were raised."""

    limits: tuple[Limit, ...] = ()
    raises: tuple[Raise, ...] = ()

    def with_defaults(self, defaults: Iterable[Limit]) -> "Limits":
        """Return these limits, plus the `defaults` that they do not replace."""
        own = {limit.target for limit in self.limits}
        more = tuple(limit for limit in defaults if limit.target not in own)
        return self._replace(limits=(*self.limits, *more))

    def with_limit(self, limit: Limit) -> "Limits":
        """Return these limits with `limit` added. Any limit with the same target is removed, and so
        are that limit's raises."""
        others = tuple(one for one in self.limits if one.target != limit.target)
        raises: list[Raise] = []
        for one in self.raises:
            if (one.kind, one.name) != (limit.kind, limit.name):
                raises.append(one)
                continue
            # A raise of all periods still applies to the other periods.
            periods = (one.per,) if one.per else PERIODS
            raises += [one._replace(per=per) for per in periods if per != limit.per]
        return Limits((*others, limit), tuple(raises))

    def allowed(self, limit: Limit, now: datetime) -> int:
        """Return how many nano-AIU `limit` allows for the current day or month."""
        if not self.raises:
            return limit.nano
        day, month = days_of(now)
        raised = sum(
            one.nano
            for one in self.raises
            if (one.kind, one.name) == (limit.kind, limit.name)
            and one.per in ("", limit.per)
            and (one.month == month if limit.per == "month" else one.day == day)
        )
        return limit.nano + raised


def path_for(ledger: Path) -> Path:
    """Return the file with the limits of `ledger`: ``budget.json`` next to ``ledger.sqlite3``.

    The simulator's ledger has ``budget-simulated.json``, so that trying limits does not change the
    account's limits.
    """
    return ledger.with_name(f"{ledger.stem.replace('ledger', 'budget')}.json")


def days_of(now: datetime) -> tuple[str, str]:
    """Return the local day and the UTC month of `now`."""
    return day_and_month(int(now.timestamp()) // 60)


def read(path: Path) -> Limits:
    """Return the limits in the file, or `Limits()` if there is no file.

    Raises `CopilotProxyError`.
    """
    try:
        with open(open_private(path, READ), "rb") as file:
            stored = msgspec.json.decode(file.read())
        return Limits(
            tuple(_limit(one) for one in stored["limits"]),
            tuple(_raise(one) for one in stored["raises"]),
        )
    except FileNotFoundError:
        return Limits()
    except OSError as error:
        raise CopilotProxyError(
            f"{path} cannot be read: {failure_reason(error)}.",
            hint="Make sure that it is a file that you can read.",
        ) from error
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CopilotProxyError(
            f"{path} is damaged.", hint="Remove it and set the budget again."
        ) from error


def report_unenforced(path: Path, source: str) -> None:
    """Log that the limits in the file are not enforced if there are any; `source` is the setting
    that turns off the ledger."""
    try:
        limits = read(path).limits
    except CopilotProxyError:
        return
    if limits:
        log.error("The budget is not enforced: %s turns off the ledger.", source)


def change(path: Path, now: datetime, changed: Callable[[Limits], Limits]) -> None:
    """Replace the limits in the file with the result of `changed`.

    Other processes wait, so that no change is lost. If `changed` raises an exception, the file
    stays unchanged. Raises `CopilotProxyError` if the file cannot be used.
    """
    try:
        make_folder(path.parent)
        with locked(path.with_name(_LOCK)):
            _write(path, changed(read(path)), now)
    except OSError as error:
        raise CopilotProxyError(
            f"{path} cannot be written: {failure_reason(error)}.",
            hint=write_hint(error),
        ) from error


def _write(path: Path, limits: Limits, now: datetime) -> None:
    """Replace the file, keeping only the raises that still apply. Raises `OSError`."""
    _, month = days_of(now)
    stored = {
        "limits": [one._asdict() for one in limits.limits],
        "raises": [one._asdict() for one in limits.raises if one.month == month],
    }
    replace_private(path, msgspec.json.format(msgspec.json.encode(stored)))


def _limit(stored: Mapping[str, Any]) -> Limit:
    limit = Limit(**stored)
    _check(limit)
    if limit.per not in PERIODS:
        raise ValueError("not a limit")
    return limit


def _raise(stored: Mapping[str, Any]) -> Raise:
    more = Raise(**stored)
    _check(more)
    return more


def _check(stored: Limit | Raise) -> None:
    """Raise `ValueError` for an impossible amount or scope."""
    is_scope = stored.kind in ("", *SCOPES) and type(stored.name) is str
    if type(stored.nano) is not int or not is_scope:
        raise ValueError("not a limit")


class LimitsFile:
    """Reads the limits file, and rereads it whenever it has changed."""

    def __init__(self, path: Path, defaults: Iterable[Limit]) -> None:
        self._path = path
        self._defaults = tuple(defaults)
        self._seen: tuple[int, ...] | None = None
        self._problem: str | None = None
        """Why the file cannot currently be used."""
        self.known = Limits().with_defaults(self._defaults)
        """The most recently read limits."""

    def current(self) -> Limits:
        """Return the current limits, or the most recently read ones if the file is unusable."""
        try:
            status = os.stat(self._path)
            # A new file may get the same inode number, possibly within one tick of the clock.
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
        except OSError:
            seen = None
        if seen != self._seen or self._problem is not None:
            self._read(seen)
        return self.known

    def _read(self, seen: tuple[int, ...] | None) -> None:
        try:
            self.known = read(self._path).with_defaults(self._defaults)
        except CopilotProxyError as error:
            if error.message != self._problem:
                remain = "The previous limits remain" if self.known.limits else "No limit is"
                log.error("%s %s in force.", error.message, remain)
            self._problem = error.message
        else:
            if self._problem is not None:
                log.warning("%s can be read again.", self._path)
            self._problem = None
        self._seen = seen
