"""The ledger matches a fake Copilot's known charges, even if servers are killed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from copilot_proxy.ledger.verification import verify
from copilot_proxy.ledger.writer import Writer
from tests.billing.agents import run_agents
from tests.billing.trial import run_trial
from tests.ledger.rows import record, row
from tests.selection import only_in_ci

ORDERS = 250
"""The number of orders; `make ledger` places 10,000."""


def test_nothing_is_lost_or_counted_twice(tmp_path: Path) -> None:
    """The ledger is correct even if streams fail, clients disconnect, and servers are killed."""
    found, sound, _ = run_trial(tmp_path / "home", ORDERS)

    assert [] == found.problems
    assert sound
    assert found.charged == found.recorded > 0
    assert {"reported", "details", "models", "estimated", "free", "unknown"} == {*found.sources}
    assert 0.9 * ORDERS < found.rows <= ORDERS


@only_in_ci
def test_parallel_agents(tmp_path: Path) -> None:
    """Twenty agents spend at most the limit plus the estimation error of running requests."""
    found = run_agents(tmp_path / "home", 3)

    assert 20 == found.refused
    assert found.spent == found.recorded
    assert 0.5 * found.limit < found.spent <= found.limit + found.running_error


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE requests SET nano_aiu = nano_aiu + 1 WHERE id = 3",
        "UPDATE requests SET client = 'somebody' WHERE id = 3",
        "UPDATE requests SET notes_json = '[]' WHERE id = 3",
        "DELETE FROM requests WHERE id = 1",
        "DELETE FROM requests WHERE id = 3",
        "DELETE FROM requests WHERE id = (SELECT max(id) FROM requests)",
        "UPDATE requests SET id = 1000 WHERE id = 2",
        "INSERT INTO requests SELECT 99, 'copy', * FROM rest",
        "UPDATE requests SET details_json = 'nonsense' WHERE id = 3",
        "UPDATE requests SET details_json = '[]' WHERE id = 3",
        "UPDATE sums SET nano_aiu = nano_aiu - 1",
        "DELETE FROM days",
        "DELETE FROM requests; DELETE FROM days",
    ],
)
def test_tampering_is_found(tmp_path: Path, change: str) -> None:
    path = tmp_path / "ledger.sqlite3"
    writer = Writer(path)
    writer.write([row(record(str(number)), 1_795_000_000 + number) for number in range(5)])
    writer.close()
    with closing(sqlite3.connect(path)) as database:
        assert [] == verify(database).changes
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(requests)")][2:]
        database.execute(
            f"CREATE TEMP VIEW rest AS SELECT {', '.join(names)} FROM requests WHERE id = 3"  # noqa: S608
        )
        database.executescript(change)
        database.commit()
        assert 1 <= len(verify(database).changes)
