"""The ledger's data for the page: quota, sums, budgets, sessions, losses and clients."""

import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from copilot_proxy.budget.limits_file import Limits
from copilot_proxy.budget.report import limit_states
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.cost.cache_advice import explain
from copilot_proxy.cost.quota import Quota, runs_out
from copilot_proxy.ledger.activity import clients_since, session_use
from copilot_proxy.ledger.cache_queries import losses, next_turns
from copilot_proxy.ledger.database import Database
from copilot_proxy.ledger.periods import this_month, today
from copilot_proxy.ledger.queries import Filters, Sums, latest_quota, sums_by, total

_SESSIONS: Final = 6
_SEEN_DAYS: Final = 30
"""Days for which clients are listed, including today."""


def overview(
    database: Database, limits: Limits, key: str | None, now: datetime, installed: Iterable[str]
) -> dict[str, Any]:
    """Return everything except individual requests.

    Amounts are in nano-AIU. Times are in seconds since 1970, or in ISO 8601 if their names end in
    ``_at``. With `key`, only requests with the API key of that name are included, and no sessions,
    because a session's key is not recorded. `installed` contains the names of the clients on this
    machine.
    """
    filters = Filters(key=key)
    quota, reported_at = latest_quota(database) or (None, None)
    if quota is not None and quota.was_reset(now):
        quota = reported_at = None  # the quota was reset, and Copilot has not answered since
    states = [
        one
        for one in limit_states(database, limits, now)
        if key is None or not one.limit.kind or (one.limit.kind, one.limit.name) == ("key", key)
    ]
    return {
        "now": now.timestamp(),
        "quota": None if quota is None else quota_json(quota, reported_at, now),
        "today": _sums(total(sums_by(database, "day", today(now), filters))),
        "month": _sums(total(sums_by(database, "month", this_month(now), filters))),
        "budget": [
            {
                "per": one.limit.per,
                "kind": one.limit.kind,
                "name": one.limit.name,
                "limit": one.limit.nano,
                "allowed": one.allowed,
                "spent": one.spent,
                "reserved": one.reserved,
                "left": one.left,
                "resets_at": _iso(one.resets_at),
            }
            for one in states
        ],
        "sessions": [] if key is not None else _sessions(database, now),
        "losses": [
            {
                "client": one.client,
                "requests": one.requests,
                "nano_aiu": one.nano_aiu,
                "what": (words := explain(one.reason, one.detail, one.requests))[0],
                "advice": words[1],
            }
            for one in losses(database, this_month(now), filters)
        ],
        "clients": _clients(database, key, now, set(installed)),
    }


def quota_json(quota: Quota, reported_at: datetime | None, now: datetime) -> dict[str, Any]:
    """Return the remaining quota, and when it will run out at this month's pace."""
    return {
        "unit": quota.unit,
        "entitlement": None if quota.unlimited else quota.entitlement,
        "left": quota.left,
        "used": quota.used,
        "overage": quota.overage,
        "resets_at": _iso(quota.resets_at),
        "reported_at": _iso(reported_at),
        "runs_out_at": _iso(runs_out(quota, now)),
    }


def installed_clients() -> list[str]:
    """Return the names of the clients installed on this machine."""
    return [
        client.name
        for client in CLIENTS
        if any(map(shutil.which, client.programs))
        or any((Path.home() / path).exists() for path in client.paths)
    ]


def _sums(row: Sums) -> dict[str, Any]:
    prompt = row.input_tokens + row.cache_read_tokens + row.cache_write_tokens
    return {
        "nano_aiu": row.known_nano_aiu,
        "requests": row.requests,
        "unknown": row.unknown_cost_requests,
        "estimated": row.estimated_requests,
        "cache_share": row.cache_read_tokens / prompt if prompt else None,
        "cache_lost_nano_aiu": row.cache_lost_nano_aiu,
        "output_tokens": row.output_tokens,
    }


def _sessions(database: Database, now: datetime) -> list[dict[str, Any]]:
    found = []
    for turn in next_turns(database, now, limit=_SESSIONS):
        client, requests, nano = (
            session_use(database, turn.session) if turn.session else (None, None, None)
        )
        found.append(
            {
                "session": turn.session,
                "client": client,
                "model": turn.model,
                "prompt_tokens": turn.prompt_tokens,
                "requests": requests,
                "nano_aiu": nano,
                "warm_nano_aiu": turn.warm_nano_aiu,
                "cold_nano_aiu": turn.cold_nano_aiu,
                "cached_until": now.timestamp() + turn.seconds_left if turn.seconds_left else None,
            }
        )
    return found


def _clients(
    database: Database, key: str | None, now: datetime, installed: set[str]
) -> list[dict[str, Any]]:
    """Return the clients that have recently sent requests, latest first, and then all other
    clients."""
    first = now.date() - timedelta(days=_SEEN_DAYS - 1)
    known = {client.name: client for client in CLIENTS}
    seen = {one.client: one for one in clients_since(database, first, key)}
    return [
        {
            "name": name,
            "title": known[name].title if name in known else name,
            "command": _command(known[name]) if name in known else None,
            "installed": name in installed,
            "last_seen": seen[name].last_us / 1e6 if name in seen else None,
            "requests": seen[name].requests if name in seen else 0,
            "nano_aiu": seen[name].nano_aiu if name in seen else 0,
        }
        for name in dict.fromkeys(
            [*seen, *sorted(known, key=lambda name: (name not in installed, name))]
        )
    ]


def _command(client: Client) -> str:
    """Return the command that starts the client with this server.

    For a client that cannot be started, return the command that configures it permanently.
    """
    return f"copilot-proxy {'connect' if client.launch is None else 'run'} {client.word}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
