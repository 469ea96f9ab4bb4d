"""Sums are the same whether they are read from the table of sums or from the rows."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.ledger.activity import latest_requests
from copilot_proxy.ledger.cache_queries import losses
from copilot_proxy.ledger.database import Database, open_for_writing, open_ledger
from copilot_proxy.ledger.periods import Period, this_month, whole_days
from copilot_proxy.ledger.queries import Filters, Group, requests_named, sums_by, total
from copilot_proxy.ledger.repricing import long_prompts
from copilot_proxy.ledger.schema import COLUMNS, INDEX
from copilot_proxy.ledger.verification import verify
from copilot_proxy.ledger.writer import Writer
from tests.ledger.rows import record, row
from tests.selection import every_value

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger with one request on each of sixty days, and a correction of one request."""
    path = tmp_path / "ledger.sqlite3"
    rows = [
        row(
            record(
                f"r{number}",
                credits=None if number % 7 == 0 else number / 8,
                client=("codex", "opencode", None)[number % 3],
                session=f"s{number // 4}",
                model=f"model-{number % 2}",
                tokens=(number, 2 * number, 3),
                key="laptop" if number % 5 else None,
            ),
            (NOON - timedelta(days=number)).timestamp(),
        )
        for number in range(60)
    ]
    names = dict(zip(COLUMNS, rows[8], strict=True))
    tokens = {name: 0 for name in COLUMNS if name.endswith("_tokens")}
    change = {"request_id": "c1", "corrects": "r8", "nano_aiu": -250_000_000}
    writer = Writer(path)
    writer.write([*rows, tuple({**names, **tokens, **change}.values())])
    writer.close()
    return path


@every_value
@pytest.mark.parametrize("group", ["day", "week", "month", "session", "client", "model", "key"])
@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(), 41),
        (Filters(client="codex", key="laptop"), 11),
        (Filters(client="", project=""), 13),
        (Filters(key=""), 9),
    ],
)
def test_both_sources_agree(path: Path, group: Group, filters: Filters, count: int) -> None:
    """Whole days are read from the sums, and shorter periods from the rows."""
    days = whole_days((NOON - timedelta(days=40)).date(), NOON.date())
    with closing(open_ledger(path)) as database:
        from_sums = sums_by(database, group, days, filters)
        from_rows = sums_by(database, group, Period(days.since, days.until), filters)

    assert from_sums == from_rows
    assert total(from_sums).requests == count


def test_a_correction(path: Path) -> None:
    """A correction changes the cost of the request's day, and does not count as a request."""
    day = (NOON - timedelta(days=8)).date()
    with closing(open_ledger(path)) as database:
        (row,) = sums_by(database, "day", whole_days(day, day), Filters())

    assert (1, 750_000_000) == (row.requests, row.nano_aiu)


def test_this_month(path: Path) -> None:
    """Months are in UTC, whatever the local time zone."""
    with closing(open_ledger(path)) as database:
        (row,) = sums_by(database, "month", this_month(NOON), Filters())

    assert ("2026-11", 20) == (row.name, row.requests)


def test_parts_of_days(tmp_path: Path) -> None:
    """A period may begin and end at any time, and the time zone may have changed in between."""
    path = tmp_path / "ledger.sqlite3"
    hours = range(0, 240, 5)
    ended = [NOON + timedelta(hours=number) for number in hours]
    rows = []
    for number, moment in enumerate(ended):
        zone = timezone(timedelta(hours=(14, 0, -12)[number % 3]))
        made = list(row(record(f"r{number}"), moment.timestamp()))
        made[INDEX["day"]] = f"{moment.astimezone(zone):%Y-%m-%d}"
        rows.append(tuple(made))
    writer = Writer(path)
    writer.write(rows)
    writer.close()
    ends = [None, *[NOON + timedelta(hours=hour) for hour in range(-1, 250, 23)]]
    with closing(open_ledger(path)) as database:
        for since, until in [*combinations(ends, 2), (ends[3], None)]:
            found = total(sums_by(database, "client", Period(since, until), Filters()))
            expected = [
                moment
                for moment in ended
                if (since is None or since <= moment) and (until is None or moment < until)
            ]
            assert found.requests == len(expected), (since, until)


def test_long_prompts(tmp_path: Path) -> None:
    """The tokens of long prompts are found, whatever the threshold."""
    path = tmp_path / "ledger.sqlite3"
    prompts = (10, 90_000, 150_000, 250_000)
    writer = Writer(path)
    writer.write(
        [row(record(f"r{size}", tokens=(size, 0, 2)), NOON.timestamp()) for size in prompts]
    )
    writer.close()
    with closing(open_ledger(path)) as database:
        for threshold, expected in (
            (250_000, []),
            (200_000, [(250_000, 2)]),
            (100_000, [(400_000, 4)]),
            (50_000, [(490_000, 6)]),
        ):
            for group in ("week", "client"):
                found = long_prompts(database, group, Period(), Filters(), threshold).values()
                assert expected == [(one.input, one.output) for one in found], threshold


def test_older_ledgers_get_the_new_sums(tmp_path: Path) -> None:
    """The sums of a ledger from an older version are computed again from its rows."""
    path = tmp_path / "ledger.sqlite3"
    hourly = list(row(record("hourly", tokens=(5, 0, 2)), NOON.timestamp()))
    hourly[INDEX["cache_write_1h_tokens"]] = 7
    unknown = list(row(record("unknown", credits=None), NOON.timestamp()))
    for name in ("input_tokens", "cache_read_tokens", "output_tokens", "nano_aiu"):
        unknown[INDEX[name]] = None
    correction = list(row(record("correction", credits=3), NOON.timestamp()))
    correction[INDEX["corrects"]] = "hourly"
    writer = Writer(path)
    writer.write([tuple(hourly), tuple(unknown), tuple(correction)])
    writer.close()
    with closing(sqlite3.connect(path)) as database:
        before = database.execute("SELECT * FROM sums").fetchall()
        for name in ("cache_write_1h_tokens", "unknown_tokens_requests"):
            database.execute(f"ALTER TABLE sums DROP COLUMN {name}")
        database.execute("DROP INDEX requests_long")
        database.execute("PRAGMA user_version = 4")
        database.commit()
    open_for_writing(path).close()
    with closing(open_ledger(path)) as database:
        assert before == [tuple(one) for one in database.execute("SELECT * FROM sums")]
        (found,) = sums_by(database, "client", Period(), Filters())
        assert (2, 7, 7, 1) == (
            found.requests,
            found.cache_write_tokens,
            found.cache_write_1h_tokens,
            found.unknown_tokens_requests,
        )
        assert not verify(database).changes


HALF_MONTH = Period(NOON - timedelta(days=15), NOON)
VIEWS: dict[str, Callable[[Database], Any]] = {
    "hours": lambda database: sums_by(database, "client", HALF_MONTH, Filters()),
    "--as": lambda database: long_prompts(database, "day", this_month(NOON), Filters(), 200_000),
    "--why": lambda database: losses(database, this_month(NOON), Filters()),
    "show": lambda database: latest_requests(database, Filters(), period=Period()),
    "show REQUEST": lambda database: requests_named(database, "r8"),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_no_view_reads_all_rows(path: Path, view: Callable[[Database], Any]) -> None:
    """Views find the rows they need with an index, since there may be millions."""
    statements: list[str] = []
    with closing(open_ledger(path)) as database:
        database.set_trace_callback(statements.append)
        view(database)
        database.set_trace_callback(None)
        plans = [
            step[3]
            for statement in statements
            for step in database.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]

    assert any("requests" in step and "INDEX" in step for step in plans)
    assert not [step for step in plans if step == "SCAN requests"]


def test_a_name_without_requests(tmp_path: Path) -> None:
    """Looking for a name that is in no row does not read all rows."""
    path = tmp_path / "ledger.sqlite3"
    first = row(record("r0"), NOON.timestamp())
    writer = Writer(path)
    writer.write([(f"r{number}", *first[1:]) for number in range(1000)])
    writer.close()
    with closing(open_ledger(path)) as database:
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 1

        database.set_progress_handler(count, 10)
        assert [] == latest_requests(database, Filters(client="none"), period=Period())
        assert steps < 100
        assert 9 == len(
            latest_requests(database, Filters("claude-opus-5"), period=Period(), limit=9)
        )
