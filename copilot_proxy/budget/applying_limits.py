"""Finds the limits that apply to a request, and what they allow at the moment."""

import time
from datetime import UTC, datetime
from typing import Final, NamedTuple

from copilot_proxy.budget.limits_file import Limits, LimitsFile, days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.relay.records import RequestRecord

_LOOK_SECONDS: Final = 0.02
"""Minimum seconds between two checks of the limits file, so that not every request checks it."""

_Sender = tuple[str | None, str | None, str | None, bool]
"""A key, a client, a project, and whether the session is known."""


class ApplyingLimits(NamedTuple):
    """The limits that apply to a request, with what they allow now, in nano-AIU."""

    limits: tuple[tuple[Limit, int], ...]
    day: str
    """Today, in local time."""
    month: str
    """This month, in UTC."""

    def period(self, limit: Limit, record: RequestRecord) -> str:
        """Return the day, month or session for which a request counts towards a limit."""
        if limit.per == "session":
            return record.attribution.session or ""
        return self.day if limit.per == "day" else self.month


class LimitFinder:
    """Finds them; for all requests of one sender, once a minute is enough."""

    def __init__(self, file: LimitsFile) -> None:
        self._file = file
        self._minute = 0
        self._limits = Limits()
        self._found: dict[_Sender, ApplyingLimits] = {}
        """What was found in that minute, with these limits."""

    def find(self, record: RequestRecord) -> ApplyingLimits:
        """Return the limits that apply to a request; raises `CopilotProxyError` if the file of the
        limits is unusable."""
        limits, minute = self._file.current(_LOOK_SECONDS), int(time.time()) // 60
        if minute != self._minute or limits is not self._limits:
            self._minute, self._limits = minute, limits
            self._found.clear()
        who = record.attribution
        sender = record.key, who.client, who.project, who.session is not None
        found = self._found.get(sender)
        if found is None:
            found = self._found[sender] = _applying(limits, sender)
        return found


def _applying(limits: Limits, sender: _Sender) -> ApplyingLimits:
    now = datetime.now(UTC)
    key, client, project, has_session = sender
    names = {"": "", "key": key, "client": client, "project": project}
    found = [
        (limit, limits.allowed(limit, now))
        for limit in limits.limits
        if names[limit.kind] == limit.name and (has_session or limit.per != "session")
    ]
    return ApplyingLimits(tuple(found), *days_of(now))
