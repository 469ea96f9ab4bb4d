"""Reads from the ledger why requests missed the prompt cache, and what the next turns will cost."""

import sqlite3
from datetime import datetime
from typing import Final, Literal, NamedTuple

from copilot_proxy.cost.cache_advice import pause_and_ttl
from copilot_proxy.ledger.cache_lifetimes import observed_lifetimes
from copilot_proxy.ledger.periods import Period
from copilot_proxy.ledger.queries import Filters, selection
from copilot_proxy.ledger.schema import MISSED
from copilot_proxy.ledger.sources import conditions

_NUMBERED: Final = ("message",)
"""Kinds of blocks that are listed without their number, which differs from request to request."""
_RECENT_SECONDS: Final = 3600
"""A session counts as open for this many seconds after its last use."""


class Loss(NamedTuple):
    """What one client has lost to cache misses for one reason."""

    client: str | None
    reason: str
    """See `cost.prompt_cache.Reason`; never ``cold``."""
    detail: str | None
    """Depending on `reason`: the changed block, the previous model, or the longest pause and the
    TTL in seconds."""
    requests: int
    nano_aiu: int
    unknown_cost_requests: int


class NextTurn(NamedTuple):
    """The cost of a session's next turn, assuming that its answer is as long as the last one."""

    session: str | None
    """The id of the session; None if the client does not send one."""
    model: str
    prompt_tokens: int
    warm_nano_aiu: int | None
    """The cost while the prompt is in the cache; None if the price is unknown."""
    cold_nano_aiu: int | None
    """The cost once the prompt has left the cache."""
    seconds_left: int
    """The prompt will stay cached for at least this long, in seconds; 0 if it may have left the
    cache."""
    cache_seconds: int
    """Seconds for which the prompt stays in the cache after its last use."""
    cache_seconds_source: Literal["default", "observed"]
    """``observed`` if the ledger shows that prompts stay cached for longer than the default."""


def losses(database: sqlite3.Connection, period: Period, filters: Filters) -> list[Loss]:
    """Return why requests missed the cache, most expensive reason first."""
    where, values = selection([*conditions(period), MISSED], filters)
    found = database.execute(
        "SELECT client, cache_verdict, cache_detail, count(*), "  # noqa: S608  # constants
        "sum(ifnull(cache_lost_nano_aiu, 0)), sum(cache_lost_nano_aiu IS NULL) "
        f"FROM requests {where} GROUP BY 1, 2, 3",
        values,
    )
    sums: dict[tuple[str | None, str, str | None], Loss] = {}
    for client, reason, detail, *counts in found:
        kind = (detail or "").partition(" ")[0]
        name = kind if kind in _NUMBERED else detail
        # Pauses that exceeded the same TTL are listed together.
        group = str(pause_and_ttl(detail)[1]) if reason == "ttl_expiry" else name
        key = (client, reason, group)
        before = sums.get(key, Loss(client, reason, name, 0, 0, 0))
        longest = max(name, before.detail, key=pause_and_ttl) if reason == "ttl_expiry" else name
        sums[key] = Loss(client, reason, longest, *map(int.__add__, before[3:], counts))
    return sorted(sums.values(), key=lambda one: (-one.nano_aiu, -one.requests, one.reason))


def next_turns(
    database: sqlite3.Connection,
    now: datetime,
    *,
    filters: Filters = Filters(),  # noqa: B008  # immutable
    limit: int = 5,
) -> list[NextTurn]:
    """Return the next turn of each of the most recently used sessions, latest session first.

    Sessions without an id are only included if `filters` select nothing but a model, because their
    client, key and project are not recorded.
    """
    moment = round(now.timestamp() * 1e6)
    conditions, values = Filters(model=filters.model).conditions()
    of_session, session_values = filters._replace(model=None).conditions()
    if of_session:
        sessions = f"SELECT session FROM sums WHERE {' AND '.join(of_session)}"  # noqa: S608
        conditions.append(f"conversation IN ({sessions})")
    where = " AND ".join(["started_us > ?", *conditions])
    found = database.execute(
        "SELECT conversation, model, prompt_tokens, warm_nano_aiu, cold_nano_aiu, ttl, "  # noqa: S608
        f"max(started_us) FROM prompts WHERE {where} GROUP BY conversation "
        "ORDER BY started_us DESC LIMIT ?",
        (moment - _RECENT_SECONDS * 1_000_000, *values, *session_values, limit),
    )
    rows = found.fetchall()
    survived = observed_lifetimes(database) if rows else {}
    turns = []
    for conversation, model, tokens, warm, cold, ttl, started in rows:
        seconds = max(ttl, survived.get(model, 0))
        turns.append(
            NextTurn(
                None if conversation.startswith("#") else conversation,
                model,
                tokens,
                warm,
                cold,
                max(0, seconds - (moment - started) // 1_000_000),
                seconds,
                "observed" if seconds > ttl else "default",
            )
        )
    return turns
