"""Remembers digests of each conversation's latest prompts, and compares new prompts with them.

Runs in the thread of `Ledger`, after the request has been answered. The digests are stored in the
ledger's file, so that all workers and servers share them.
"""

import logging
import sqlite3
import time
from collections.abc import Sequence
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from copilot_proxy.cost.next_turn import next_turn
from copilot_proxy.cost.price_list import PriceList
from copilot_proxy.cost.price_table import table_prices
from copilot_proxy.cost.prompt_cache import CacheMiss, find_cache_miss
from copilot_proxy.cost.prompt_match import (
    DIGEST_BYTES,
    LONG_TTL,
    MIN_TOKENS,
    TTL,
    Earlier,
    Prompt,
)
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.formats.messages.cache_control import keeps_an_hour
from copilot_proxy.formats.prompt_blocks import FILE_SIZE, Place, blocks, needs_marks, size_of
from copilot_proxy.ledger.cache_lifetimes import lifetime_shown
from copilot_proxy.ledger.digest_key import read_key
from copilot_proxy.ledger.schema import INDEX, Row, tokens_of
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.relay.costs import is_complete, prices_of
from copilot_proxy.relay.records import RequestRecord

log = logging.getLogger(__name__)

_MAX_PROMPTS: Final = 1000
"""The maximum number of prompts to remember, for all conversations together."""
_MAX_EARLIER: Final = 8
"""The maximum number of earlier prompts that a request is compared with."""
_MAX_OTHERS: Final = 100
"""The maximum number of prompts of other conversations to search for an earlier prompt."""
_BATCH: Final = 256
"""Number of blocks to process before other threads can run."""
_MAX_NAME: Final = 64
_prompt_of: Final = itemgetter(
    *(INDEX[f"{kind}_tokens"] for kind in ("input", "cache_read", "cache_write", "cache_write_1h"))
)
_MISS_COLUMNS: Final = ("cache_verdict", "cache_lost_nano_aiu", "cache_detail")

_COLUMNS: Final = (
    *("model", "started_us", "ready_us", "prompt_tokens", "cached_tokens", "tier", "ttl", "tools"),
    *("first_message", "digests"),
)
"""The columns that hold the fields of `Earlier`."""
_RECALL: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM prompts WHERE conversation = ? "  # noqa: S608  # constants
    # A session may have many subagents, whose prompts are more recent.
    "ORDER BY head = ? DESC, started_us DESC LIMIT ?"
)
_RECALL_OTHERS: Final = (
    f"SELECT {', '.join(_COLUMNS)} FROM prompts "  # noqa: S608  # constants
    # An index covers the subquery, which thus reads no digests.
    "WHERE (conversation, head, model) IN (SELECT conversation, head, model FROM prompts "
    "ORDER BY started_us DESC LIMIT ?) AND (instr(digests, ?) OR instr(digests, ?))"
)
"""Recalls those of the latest prompts that contain one of two blocks."""
_OTHERS: Final = ("conversation", "head", "warm_nano_aiu", "cold_nano_aiu")
_UPDATED: Final = (*_COLUMNS[1:], "warm_nano_aiu", "cold_nano_aiu")
_REMEMBER: Final = (
    f"INSERT INTO prompts ({', '.join((*_COLUMNS, *_OTHERS))}) "  # noqa: S608  # constants
    f"VALUES ({', '.join('?' * len((*_COLUMNS, *_OTHERS)))}) ON CONFLICT DO UPDATE SET "
    # A prompt that was cached for an hour keeps that TTL, even if later requests only read it.
    + ", ".join(
        f"{name} = {'max(ttl, excluded.ttl)' if name == 'ttl' else f'excluded.{name}'}"
        for name in _UPDATED
    )
    + " WHERE excluded.started_us > started_us"
)


class _ComparablePrompt(NamedTuple):
    """A prompt, and the conversation it belongs to."""

    conversation: str
    head: bytes
    """The digest of everything up to and including the first message. It tells apart the prompts of
    a session, for example those of subagents."""
    prompt: Prompt
    prices: PriceList | None


class PromptComparer:
    """Compares prompts for one process; the digest key is stored next to the ledger."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger.parent
        self._keyed: Any = None
        """A hash object that has already been fed the key."""

    def try_comparing(
        self, writer: Writer, records: Sequence[RequestRecord], rows: list[Row]
    ) -> list[Row]:
        """Return `rows` with the reasons for their cache misses, or unchanged if finding the
        reasons fails. In either case, the prompts are removed from `records`."""
        try:
            compared = writer.attempt(lambda database: self.compared(database, records, rows))
        except Exception:  # unexpected data from a client must not end the thread
            log.exception("The prompt could not be compared with earlier ones.")
            compared = None
        for record in records:
            record.prompt = None
        return rows if compared is None else compared

    def compared(
        self,
        database: sqlite3.Connection,
        records: Sequence[RequestRecord],
        rows: Sequence[Row],
    ) -> list[Row]:
        """Return `rows` with the reasons for their cache misses; see `try_comparing`.

        Raises `sqlite3.Error` or `OSError`.
        """
        seen = [
            self._comparable(record, row) if is_comparable(record, row) else None
            for record, row in zip(records, rows, strict=True)
        ]
        if not any(seen):
            return list(rows)
        database.execute("BEGIN IMMEDIATE")
        try:
            compared = [
                row if one is None else _with_miss(row, _compare(database, one))
                for one, row in zip(seen, rows, strict=True)
            ]
            database.execute(
                "DELETE FROM prompts WHERE started_us < (SELECT started_us FROM prompts "
                "ORDER BY started_us DESC LIMIT 1 OFFSET ?)",
                (_MAX_PROMPTS,),
            )
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return compared

    def _comparable(self, record: RequestRecord, row: Row) -> _ComparablePrompt:
        """Return the prompt of a comparable request."""
        prompt = self._digest(record, record.prompt, row, _tokens(row))
        beginning = prompt.beginning
        start = b"".join(prompt.digests[: prompt.first_message])
        head = sha256(start + beginning).digest()[:DIGEST_BYTES]
        conversation = record.attribution.session or f"#{sha256(beginning).hexdigest()[:16]}"
        prices = prices_of(record.listed) if record.listed is not None else None
        prices = prices or table_prices(record.model or "")
        return _ComparablePrompt(conversation, head, prompt, prices)

    def _digest(self, record: RequestRecord, body: Any, row: Row, tokens: Tokens) -> Prompt:
        if self._keyed is None:
            self._keyed = sha256(read_key(self._folder))
        keyed, route = self._keyed.copy, record.route or ""
        places: list[Place] = []
        digests: list[bytes] = []
        sizes: list[int] = []
        for place, data in blocks(route, body):
            places.append(place)
            (digest := keyed()).update(data)
            digests.append(digest.digest()[:DIGEST_BYTES])
            size = len(data)
            sizes.append(size if size <= FILE_SIZE else size_of(data))
            if len(sizes) % _BATCH == 0:
                time.sleep(0)  # yields to the event loop
        started = row[INDEX["started_us"]]
        first_ms = row[INDEX["first_token_ms"]] or 0
        return Prompt(
            model=record.model or "",
            started_us=started,
            ready_us=started + 1000 * first_ms,
            tokens=tokens,
            tier=row[INDEX["tier"]],
            marked=needs_marks(route) or tokens.cache_write > 0,
            ttl=_ttl(route, body, tokens),
            digests=tuple(digests),
            sizes=tuple(sizes),
            places=tuple(places),
        )


def is_comparable(record: RequestRecord, row: Row) -> bool:
    """Return whether a request's tokens are known, and its prompt is long enough to be cached."""
    return (
        record.prompt is not None
        and record.model is not None
        and sum(filter(None, _prompt_of(row))) >= MIN_TOKENS
        and is_complete(record)
    )


def _ttl(route: str, body: Any, tokens: Tokens) -> int:
    """Return for how many seconds the end of a prompt stays in the cache.

    The tools and the system prompt may stay longer, if only they are marked for an hour.
    """
    is_long = keeps_an_hour(body) if needs_marks(route) else tokens.cache_write_1h > 0
    return LONG_TTL if is_long else TTL


def _tokens(row: Row) -> Tokens:
    return Tokens(*[value or 0 for value in tokens_of(row)])


def _compare(database: sqlite3.Connection, seen: _ComparablePrompt) -> CacheMiss | None:
    """Return why a request missed the cache, and remember its prompt for the next request."""
    prompt = seen.prompt
    recalled = (seen.conversation, seen.head, _MAX_EARLIER)
    earlier = [Earlier(*one) for one in database.execute(_RECALL, recalled)]
    miss = find_cache_miss(prompt, earlier, seen.prices, lambda: _continued(database, prompt))
    if miss is not None and miss.reason == "ttl_expiry":
        miss = miss._replace(detail=_with_lifetime(database, prompt.model, miss.detail or ""))
    warm, cold = (
        (None, None)
        if seen.prices is None
        else next_turn(prompt.tokens, prompt.cached, seen.prices, writes=prompt.marked)
    )
    remembered = Earlier(
        prompt.model,
        prompt.started_us,
        prompt.ready_us,
        prompt.tokens.prompt,
        prompt.cached,
        prompt.tier,
        prompt.ttl,
        prompt.tools,
        prompt.first_message,
        b"".join(prompt.digests),
    )
    database.execute(_REMEMBER, (*remembered, seen.conversation, seen.head, warm, cold))
    return miss


def _continued(database: sqlite3.Connection, prompt: Prompt) -> list[Earlier]:
    """Return prompts of any conversation that `prompt` may continue.

    A client may continue a conversation in a new session, or send no session and edit the first
    message.
    """
    end = prompt.first_message + len(prompt.beginning) // DIGEST_BYTES
    if end == len(prompt.digests):
        return []  # a new conversation
    around = prompt.digests[end - 1 : end + 1]
    return [Earlier(*one) for one in database.execute(_RECALL_OTHERS, (_MAX_OTHERS, *around))]


def _with_lifetime(database: sqlite3.Connection, model: str, detail: str) -> str:
    """Return the `detail` of a pause, with a longer TTL if shorter pauses have shown one."""
    pause, ttl = map(int, detail.split())
    return f"{pause} {max(ttl, lifetime_shown(database, model, pause))}"


def _with_miss(row: Row, miss: CacheMiss | None) -> Row:
    if miss is None:
        return row
    values = list(row)
    detail = miss.detail
    if detail is not None:
        detail = "".join(filter(str.isprintable, detail))[:_MAX_NAME]
    found = (miss.reason, miss.lost, detail)
    for name, value in zip(_MISS_COLUMNS, found, strict=True):
        values[INDEX[name]] = value
    return tuple(values)
