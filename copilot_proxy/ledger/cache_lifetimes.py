"""Learns from the ledger how long a pause can be before a prompt leaves a provider's cache."""

import sqlite3
from typing import Final

from copilot_proxy.cost.prompt_match import TTL

_RECENT: Final = 2000
"""The number of rows to read, which usually cover several days."""
_MIN_SHARE_READ: Final = 0.8
"""A prompt counts as cached if at least this share of the previous prompt was read from the
cache."""
_ROWS: Final = """
SELECT model, session, started_us, cache_verdict, ifnull(cache_read_tokens, 0),
    ifnull(input_tokens, 0) + ifnull(cache_read_tokens, 0) + ifnull(cache_write_tokens, 0),
    ifnull(cache_write_1h_tokens, 0)
FROM requests
WHERE id > (SELECT max(id) FROM requests) - ? AND session <> '' AND model <> ''
ORDER BY id
"""


def observed_lifetimes(database: sqlite3.Connection) -> dict[str, int]:
    """Return, for each model, the longest pause in seconds after which a prompt was still cached.

    Pauses of up to `TTL` do not count, nor do sessions that requested a TTL of one hour. If a
    prompt was no longer cached after a pause, only shorter pauses count.
    """
    return {
        model: longest
        for model, pauses in _survived(database).items()
        if (longest := max(pauses, default=0))
    }


def lifetime_shown(database: sqlite3.Connection, model: str, pause: int) -> int:
    """Return the longest pause after which a prompt to `model` was still cached, like
    `observed_lifetimes`, but only count those shorter than `pause`. Returns 0 if there is none."""
    return max((one for one in _survived(database).get(model, ()) if one < pause), default=0)


def _survived(database: sqlite3.Connection) -> dict[str, list[int]]:
    """Return, for each model, the pauses that count; see `observed_lifetimes`."""
    before: dict[tuple[str, str], tuple[int, int]] = {}
    for_an_hour: set[tuple[str, str]] = set()
    survived: dict[str, list[int]] = {}
    gone: dict[str, int] = {}
    for model, session, started, verdict, has_read, prompt, hour in database.execute(
        _ROWS, (_RECENT,)
    ):
        turn = (model, session)
        last, known = before.get(turn, (started, 0))
        before[turn] = started, prompt
        if hour:
            for_an_hour.add(turn)
        pause = (started - last) // 1_000_000
        if pause <= TTL or turn in for_an_hour:
            continue
        if verdict == "ttl_expiry":
            gone[model] = min(pause, gone.get(model, pause))
        elif verdict is None and has_read >= _MIN_SHARE_READ * known > 0:
            survived.setdefault(model, []).append(pause)
    return {
        model: [one for one in pauses if one < gone.get(model, one + 1)]
        for model, pauses in survived.items()
    }
