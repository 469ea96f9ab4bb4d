"""The cost reserved for a running request, and the limits that it counts toward."""

import os
import platform
import time
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger.reservation_request import Plan
from copilot_proxy.ledger.schema import COLUMNS, Row

MAX_AGE_US: Final = 24 * 3600 * 1_000_000
"""One day in microseconds: the process of an older reservation is assumed to have ended."""
_LOADED_US: Final = time.time_ns() // 1000
"""When this process loaded the module, which is before its first reservation."""
_MAX_BYTES: Final = 120
"""Maximum size of a string in UTF-8. An entire reservation must fit into a slot of the file; see
`reservation_file`."""

Target = tuple[str, str, str, str]
"""What a limit applies to: the kind of period; the day, month or session; the kind of scope; and
the name of the scope."""
Group = tuple[str, str, str, str, str, str]
"""The day, month, key, client, project and session of a reservation."""


class Common(NamedTuple):
    """The values that all reservations of a plan share. Unknown strings are ""."""

    host: str
    """The name of the machine or container, since each has its own process ids."""
    pid: int
    day: str
    month: str
    key: str
    client: str
    project: str
    session: str
    model: str
    api: str

    @property
    def group(self) -> Group:
        """The values that determine which limits a reservation counts toward."""
        return self[2:8]


class Reservation(NamedTuple):
    """The cost reserved for a request; it has the fields of `Common` and those of `Slot`."""

    request_id: str
    host: str
    pid: int
    started_us: int
    day: str
    month: str
    key: str
    client: str
    project: str
    session: str
    model: str
    api: str
    nano_aiu: int
    has_ended: bool = False
    """Whether the request is completed, so that the amount is spent and only lacks a row."""

    @property
    def group(self) -> Group:
        """The values that determine which limits a reservation counts toward."""
        return self[4:10]


def reservation_of(
    request_id: str, started_us: int, nano: int, common: Common, has_ended: bool
) -> Reservation:
    """Return the reservation of a request, for which `nano` nano-AIU are reserved."""
    return Reservation(request_id, *common[:2], started_us, *common[2:], nano, has_ended)


def targets_of(group: Group) -> Iterator[Target]:
    """Yield all targets that a reservation counts toward."""
    day, month, key, client, project, session = group
    periods = {"day": day, "month": month, "session": session}
    scopes = {"": "", "key": key, "client": client, "project": project}
    for per, which in periods.items():
        for kind, name in scopes.items():
            if which and (name or not kind):
                yield per, which, kind, name


@lru_cache(maxsize=256)  # most strings are the same as in the previous plan
def short(text: str | None) -> str:
    """Return `text` or, if it is too long for a reservation, its hash."""
    encoded = (text or "").encode("utf-8", "replace")
    return encoded.decode() if len(encoded) <= _MAX_BYTES else sha256(encoded).hexdigest()


_HOST: Final = short(platform.node())


def common_of(plan: Plan) -> Common:
    """Return the values that all reservations of a plan share."""
    key, client, project, session, model, _ = map(short, plan.sender)
    names = (key, client, project, session, model, plan.sender.api)
    return Common(_HOST, os.getpid(), plan.day, plan.month, *names)


def target_of(limit: Limit, day: str, month: str, session: str) -> Target:
    """Return the target of a limit, for the given day, month or session."""
    which = day if limit.per == "day" else month if limit.per == "month" else short(session)
    return limit.per, which, limit.kind, short(limit.name)


def is_abandoned(one: Reservation, now_us: int) -> bool:
    """Return whether the process that made a reservation has certainly ended."""
    return one.started_us < now_us - MAX_AGE_US or not _is_running(one)


def _is_running(one: Reservation) -> bool:
    """Return whether the process that made a reservation may still be running."""
    if one.host != _HOST or os.name != "posix":
        return True
    if one.pid == os.getpid():  # in a container, process ids are the same after a restart
        return one.started_us >= _LOADED_US
    try:
        os.kill(one.pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(one.pid)


def _is_zombie(pid: int) -> bool:
    """Return whether a process has ended, but has not been reaped by its parent (Linux)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in ("Z", "X")
    except (OSError, IndexError):
        return False


def row_of_abandoned(one: Reservation, now_us: int, *, is_lost: bool = False) -> Row:
    """Return a row for a request whose process has ended, since the request may have been billed.

    With `is_lost`, the process is still running, but the actual row was lost.
    """
    values: dict[str, Any] = {
        **{name: value or None for name, value in one._asdict().items()},
        "ended_us": max(one.started_us, min(now_us, one.started_us + 1_000_000)),
        "stream": 0,
        "attempts": 1,
        "images": 0,
        "nano_aiu": one.nano_aiu,
        "cost_source": "estimated",
        "status": 0,
        "outcome": "broken",
        "error_code": "row_lost" if is_lost else "server_killed",
    }
    return tuple(values.get(name) for name in COLUMNS)
