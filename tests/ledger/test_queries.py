"""Sums are the same whether they are read from the table of sums or from the rows."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copilot_proxy.ledger.database import open_ledger
from copilot_proxy.ledger.periods import Period, this_month, whole_days
from copilot_proxy.ledger.queries import Filters, Group, sums_by, total
from copilot_proxy.ledger.schema import COLUMNS
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
