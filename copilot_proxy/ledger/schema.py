"""The tables of the ledger, and the migrations from older versions.

docs/usage.md documents the tables, so that other programs can read the file.
"""

import sqlite3
from operator import itemgetter
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError

APPLICATION_ID: Final = 0x43504C31
"""Identifies the file (``PRAGMA application_id``): "CPL1"."""

_REQUESTS: Final = (
    # (column, type); rows are never changed. Append new columns at the end; see `hash_chain`.
    ("request_id", "TEXT NOT NULL UNIQUE"),
    ("corrects", "TEXT"),
    ("day", "TEXT NOT NULL"),
    ("month", "TEXT NOT NULL"),
    ("started_us", "INTEGER NOT NULL"),
    ("ended_us", "INTEGER NOT NULL"),
    ("first_token_ms", "INTEGER"),
    ("account", "TEXT"),
    ("key", "TEXT"),
    ("client", "TEXT"),
    ("client_version", "TEXT"),
    ("user_agent", "TEXT"),
    ("session", "TEXT"),
    ("project", "TEXT"),
    ("api", "TEXT NOT NULL"),
    ("route", "TEXT"),
    ("stream", "INTEGER NOT NULL"),
    ("initiator", "TEXT"),
    ("attempts", "INTEGER NOT NULL"),
    ("upstream_id", "TEXT"),
    ("model_asked", "TEXT"),
    ("model", "TEXT"),
    ("model_answered", "TEXT"),
    ("effort", "TEXT"),
    ("tier", "TEXT"),
    ("input_tokens", "INTEGER"),
    ("cache_read_tokens", "INTEGER"),
    ("cache_write_tokens", "INTEGER"),
    ("cache_write_1h_tokens", "INTEGER"),
    ("output_tokens", "INTEGER"),
    ("reasoning_tokens", "INTEGER"),
    ("images", "INTEGER NOT NULL"),
    ("nano_aiu", "INTEGER"),
    ("cost_source", "TEXT NOT NULL"),
    ("price_date", "TEXT"),
    ("details_json", "TEXT"),
    ("status", "INTEGER NOT NULL"),
    ("outcome", "TEXT NOT NULL"),
    ("error_code", "TEXT"),
    ("finish_reason", "TEXT"),
    ("notes_json", "TEXT"),
    ("quota_unit", "TEXT"),
    ("quota_entitlement", "REAL"),
    ("quota_percent_left", "REAL"),
    ("quota_overage", "REAL"),
    ("quota_resets_at", "TEXT"),
    ("reserved_nano_aiu", "INTEGER"),
    ("cache_verdict", "TEXT"),
    ("cache_lost_nano_aiu", "INTEGER"),
    ("cache_detail", "TEXT"),
)
COLUMNS: Final = tuple(name for name, _ in _REQUESTS)
"""The columns of a row, except `id` and `chain`."""
Row = tuple[Any, ...]
"""The values of `COLUMNS`, in that order, as SQLite stores them."""
INDEX: Final = {name: index for index, name in enumerate(COLUMNS)}
"""The index of each column in a `Row`."""
_TOKENS: Final = (
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"),
    *("output_tokens", "reasoning_tokens"),
)
tokens_of: Final = itemgetter(*(INDEX[name] for name in _TOKENS))
"""Returns the token counts of a `Row` in the order of `cost.tokens.Tokens`. Unknown counts are
None."""

CALLER: Final = "caller"
"""The account of requests with the client's own sign-in. The server's own account has no name."""
GROUPS: Final = ("day", "month", "account", "client", "model", "key", "project", "session")
"""The key of a row in `sums`. Unknown values are "", since SQLite's keys cannot be null."""
AMOUNTS: Final = (
    "requests",
    "nano_aiu",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "unknown_cost_requests",
    "estimated_requests",
    "cache_lost_nano_aiu",
    "cache_write_1h_tokens",
    "unknown_tokens_requests",
)
"""The sums in a row of `sums`. `cache_write_tokens` includes `cache_write_1h_tokens`, and
`unknown_tokens_requests` are those of which neither the tokens nor the cost are known."""
MISSED: Final = "cache_verdict IS NOT NULL AND cache_verdict <> 'cold'"
"""Condition for requests that could have read more from the cache."""

PROMPT: Final = (
    "(ifnull(input_tokens, 0) + ifnull(cache_read_tokens, 0) + ifnull(cache_write_tokens, 0) "
    "+ ifnull(cache_write_1h_tokens, 0))"
)
"""The length of a request's prompt in tokens."""
LONG_PROMPT: Final = 100_000
"""The length in tokens above which a prompt counts as long here. No model charges more for prompts
that are shorter than this."""
ROW_SUMS: Final = (
    *("corrects IS NULL", "ifnull(nano_aiu, 0)", "ifnull(input_tokens, 0)"),
    "ifnull(cache_read_tokens, 0)",
    "ifnull(cache_write_tokens, 0) + ifnull(cache_write_1h_tokens, 0)",
    *("ifnull(output_tokens, 0)", "ifnull(reasoning_tokens, 0)"),
    "nano_aiu IS NULL AND corrects IS NULL",
    "cost_source = 'estimated' AND corrects IS NULL",
    *("ifnull(cache_lost_nano_aiu, 0)", "ifnull(cache_write_1h_tokens, 0)"),
    "nano_aiu IS NULL AND input_tokens IS NULL AND corrects IS NULL",
)
"""What a row of `requests` adds to each of `AMOUNTS`, in SQL."""

_SUMS: Final = f"""
CREATE TABLE sums (
    {", ".join(f"{name} TEXT NOT NULL" for name in GROUPS)},
    {", ".join(f"{name} INTEGER NOT NULL" for name in AMOUNTS)},
    first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL,
    PRIMARY KEY ({", ".join(GROUPS)})
) STRICT, WITHOUT ROWID;
CREATE INDEX sums_session ON sums (session);
"""
_FIRST_VERSION: Final = f"""
CREATE TABLE requests (
    id INTEGER PRIMARY KEY,
    {", ".join(f"{name} {kind}" for name, kind in _REQUESTS)},
    chain BLOB NOT NULL
) STRICT;
CREATE INDEX requests_ended ON requests (ended_us);
CREATE TABLE days (
    day TEXT PRIMARY KEY,
    rows INTEGER NOT NULL,
    chain BLOB NOT NULL
) STRICT, WITHOUT ROWID;
{_SUMS}
CREATE TABLE prompts (
    conversation TEXT NOT NULL,
    head BLOB NOT NULL,
    model TEXT NOT NULL,
    started_us INTEGER NOT NULL,
    ready_us INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    tier TEXT,
    ttl INTEGER NOT NULL,
    tools INTEGER NOT NULL,
    first_message INTEGER NOT NULL,
    warm_nano_aiu INTEGER,
    cold_nano_aiu INTEGER,
    digests BLOB NOT NULL,
    PRIMARY KEY (conversation, head, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX prompts_started ON prompts (started_us);
CREATE INDEX requests_missed ON requests (
    month, day, ended_us, client, cache_verdict, cache_detail, cache_lost_nano_aiu
) WHERE {MISSED};
"""
_SIGN_INS: Final = """
CREATE TABLE sign_ins (since_us INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT;
"""
_QUICK_VIEWS: Final = f"""
CREATE INDEX requests_corrects ON requests (corrects) WHERE corrects IS NOT NULL;
DROP INDEX IF EXISTS requests_missed;
CREATE INDEX requests_missed ON requests (
    day, month, ended_us, client, cache_verdict, cache_detail, cache_lost_nano_aiu
) WHERE {MISSED};
"""
_LONG_PROMPTS: Final = f"""
DROP INDEX IF EXISTS requests_uneven;
CREATE INDEX requests_long ON requests (
    day, month, ended_us, account, client, model, key, project, session, input_tokens,
    cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens
) WHERE {PROMPT} > {LONG_PROMPT};
DROP TABLE sums;
{_SUMS}
INSERT INTO sums SELECT
    {", ".join(f"ifnull({name}, '')" for name in GROUPS)},
    {", ".join(f"sum({value})" for value in ROW_SUMS)}, min(ended_us), max(ended_us)
FROM requests GROUP BY {", ".join(f"ifnull({name}, '')" for name in GROUPS)};
"""  # noqa: S608  # constants
_MIGRATIONS: Final = (  # version 1 was never released
    *("", _FIRST_VERSION, _SIGN_INS, _QUICK_VIEWS, _LONG_PROMPTS),
)
"""The script at index n migrates a file from version n to n + 1. Only append to this list."""
VERSION: Final = len(_MIGRATIONS)


class NewerLedger(CopilotProxyError):
    """The file was written by a newer version of this program."""


def version_of(database: sqlite3.Connection) -> int:
    """Return the version of the file's tables, or 0 for an empty file.

    Raises `NewerLedger` if this program does not support it.
    """
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise NewerLedger(
            "The ledger was written by a newer version of copilot-proxy.",
            hint="Upgrade copilot-proxy, or set COPILOT_PROXY_LEDGER=false.",
        )
    return version


def migrate(database: sqlite3.Connection) -> None:
    """Create the tables or bring them up to date, even if another process is doing the same."""
    if version_of(database) == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version_of(database), VERSION):
            for statement in filter(str.strip, _MIGRATIONS[number].split(";")):
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # on a full disk, SQLite has already ended the transaction
            database.execute("ROLLBACK")
        raise
