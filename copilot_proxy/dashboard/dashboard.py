"""Everything that the page shows and does, independent of HTTP."""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from copilot_proxy import __version__
from copilot_proxy.budget import limits_file
from copilot_proxy.budget.raising import raise_limits
from copilot_proxy.dashboard.feed import Feed
from copilot_proxy.dashboard.overview import installed_clients, overview, quota_json
from copilot_proxy.dashboard.reader import LedgerReader
from copilot_proxy.dashboard.requests import request, running
from copilot_proxy.errors import with_profile, with_simulate_flag
from copilot_proxy.ledger.activity import latest_requests
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.queries import Filters
from copilot_proxy.ledger.series import Dimension, Series, Span, series
from copilot_proxy.relay.relay import Relay
from copilot_proxy.settings import Settings
from copilot_proxy.upstreams.base import Upstream

_PAGE: Final = 50
"""The number of requests per page."""
_INSTALLED_SECONDS: Final = 60.0
"""Seconds after which to look for installed clients again."""

_COMMANDS: Final = {
    "budget": "copilot-proxy budget set 500/day",
    "login": "copilot-proxy login",
    "run": "copilot-proxy run claude",
}
"""The commands that the page recommends."""


class Dashboard:
    """The page's data. With `key`, a method only covers requests with the API key of that name."""

    def __init__(
        self, settings: Settings, relay: Relay, upstream: Upstream, *, simulated: bool
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._upstream = upstream
        self._simulated = simulated
        self._ledger = LedgerReader(settings.ledger_file)
        self._limits = limits_file.path_for(settings.ledger_file)
        self._installed: list[str] = []
        self._checked_at = float("-inf")
        self.feed = Feed(self, on_idle=self._ledger.close)

    def close(self) -> None:
        """End all streams."""
        self.feed.close()

    def running(self, key: str | None) -> list[dict[str, Any]]:
        """Return the requests that this process is answering, newest first."""
        records = reversed(self._relay.running.values())
        return [running(record) for record in records if key in (None, record.key)]

    def server(self, key: str | None) -> dict[str, Any]:
        """Return the state of the server. Folders are only named for the owner, whose `key` is
        None."""
        state, settings = self._upstream.state(), self._settings
        folder = settings.dump_dir if key is None else None
        return {
            "version": __version__,
            "simulated": self._simulated,
            "profile": settings.profile,
            "commands": {name: self._command(text) for name, text in _COMMANDS.items()},
            "upstream": settings.upstream,
            "signed_in": state.signed_in,
            "last_error": state.last_error,
            "cooldowns": [
                {"scope": one.scope, "model": one.model, "code": one.code, "retry_in": one.retry_in}
                for one in self._upstream.active_cooldowns()
            ],
            "ledger": settings.ledger,
            "ledger_source": settings.sources.get("ledger", "default"),
            "dump_dir": None if folder is None else str(folder.absolute()),
            "workers": settings.workers,
            "needs_key": bool(settings.keys),
            "key": key,
        }

    async def version(self) -> object:
        """Return a value that changes when the ledger, the budget or the day does."""
        if not self._settings.ledger:
            return self._relay.quota
        version = await self._ledger.version()
        return version, _changed(self._limits), datetime.now().date()

    async def overview(self, key: str | None) -> dict[str, Any]:
        """Return the ledger's data, or only the quota if there is no ledger."""
        now = datetime.now().astimezone()
        if not self._settings.ledger:
            quota = self._relay.quota
            return {
                "now": now.timestamp(),
                "quota": None if quota is None else quota_json(quota, now, now),
                "today": None,
                "month": None,
                "budget": [],
                "sessions": [],
                "losses": [],
                "clients": [],
            }

        def read(database: Database) -> dict[str, Any]:
            if time.monotonic() > self._checked_at + _INSTALLED_SECONDS:
                self._installed, self._checked_at = installed_clients(), time.monotonic()
            limits = limits_file.read(self._limits).with_defaults(self._settings.budget)
            # Only the owner may see what is installed on this machine.
            installed = self._installed if key is None else []
            found = overview(database, limits, key, now, installed)
            for client in found["clients"]:
                client["command"] = with_profile(client["command"], self._settings.profile)
            return found

        return await self._ledger.read(read)

    async def rows(self, key: str | None, after: int) -> list[dict[str, Any]]:
        """Return the latest requests in the ledger whose `id` is greater than `after`."""
        return await self.requests(Filters(key=key), after=after)

    async def requests(
        self, filters: Filters, *, after: int = 0, before: int | None = None, failed: bool = False
    ) -> list[dict[str, Any]]:
        """Return a page of requests, newest first."""
        if not self._settings.ledger:
            return []
        return await self._ledger.read(
            lambda database: latest_requests(
                database, filters, after=after, before=before, failed=failed, limit=_PAGE
            )
        )

    async def request(self, request_id: str, key: str | None) -> dict[str, Any] | None:
        """Return all data about a request, or None if it is not in the ledger."""
        if not self._settings.ledger:
            return None
        found = await self._ledger.read(lambda database: request(database, request_id, key))
        if found is not None:
            found["hint"] = self._command(found["hint"])
        return found

    def _command(self, text: str | None) -> str | None:
        """Return `text` with the flags that its commands need for this server's account and
        profile."""
        text = with_simulate_flag(text) if self._simulated else text
        return with_profile(text, self._settings.profile)

    async def spent(self, span: Span, by: Dimension, key: str | None) -> Series:
        """Return the amounts spent over time, grouped by the dimension `by`."""
        now = datetime.now().astimezone()
        if not self._settings.ledger:
            return Series([], [])
        return await self._ledger.read(
            lambda database: series(database, span, by, Filters(key=key), now)
        )

    def raise_budget(self, nano: int, kind: str, name: str, per: str) -> None:
        """Increase the limit of a scope and period. Raises `CopilotProxyError`."""
        self._settings.require_ledger()
        now = datetime.now().astimezone()
        raise_limits(self._limits, self._settings.budget, nano, kind, name, now, per=per)


def _changed(path: Path) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
