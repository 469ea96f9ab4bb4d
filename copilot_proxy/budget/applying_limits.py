"""Finds the limits that apply to a request, and the amounts that they currently allow."""

import time
from datetime import UTC, datetime
from typing import Final

from copilot_proxy.attribution import Attribution
from copilot_proxy.budget.limits_file import Limits, LimitsFile, days_of
from copilot_proxy.ledger.reservation_request import Plan, Sender
from copilot_proxy.relay.records import RequestRecord

_CHECK_SECONDS: Final = 0.02
"""Minimum seconds between checks of the limits file and the clock."""
_MAX_PLANS: Final = 500


_Key = tuple[str | None, Attribution, str | None, str]
"""The API key (by name), the sender, the model and the API of a request."""


class LimitFinder:
    """Finds the limits that apply to a request. The result is reused for requests with the same
    `_Key`, until the minute ends or the limits change."""

    def __init__(self, file: LimitsFile) -> None:
        self._file = file
        self._checked_at = float("-inf")
        """When the limits file and the clock were last checked, in monotonic time."""
        self._minute = 0
        self._limits = Limits()
        self._plans: dict[_Key, Plan] = {}
        """The plans of the current minute, which contain the current limits."""

    def find(self, record: RequestRecord) -> Plan:
        """Return the plan for a request, with the limits that apply to it."""
        now = time.monotonic()
        if now - self._checked_at >= _CHECK_SECONDS:
            self._check()
            self._checked_at = now
        key = record.key, record.attribution, record.model, record.api
        found = self._plans.get(key)
        if found is None:
            found = self._plans[key] = _plan(self._limits, record)
        return found

    def _check(self) -> None:
        limits, minute = self._file.current(), int(time.time()) // 60
        if minute != self._minute or limits is not self._limits or len(self._plans) > _MAX_PLANS:
            self._minute, self._limits = minute, limits
            self._plans.clear()


def _plan(limits: Limits, record: RequestRecord) -> Plan:
    now = datetime.now(UTC)
    client, _, _, session, project = record.attribution
    names = {"": "", "key": record.key, "client": client, "project": project}
    found = [
        (limit, limits.allowed(limit, now))
        for limit in limits.limits
        if names[limit.kind] == limit.name and (session is not None or limit.per != "session")
    ]
    sender = Sender(record.key, client, project, session, record.model, record.api)
    return Plan(sender, found, *days_of(now))
