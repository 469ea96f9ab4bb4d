"""What is reserved is summed up in memory, but never differently from what the file says."""

import asyncio
import random
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copilot_proxy.budget.budget import Budget
from copilot_proxy.budget.limits_file import days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger.database import open_for_writing, set_aside
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.limit_states import State, state
from copilot_proxy.ledger.maintenance import forget
from copilot_proxy.ledger.reservation_request import ReservationRequest
from copilot_proxy.ledger.reservations import Refusal, release
from copilot_proxy.ledger.reserver import Reserver
from tests.ledger.rows import record, row

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY, MONTH = days_of(NOW)
LIMITS = (
    Limit(400, "day"),
    Limit(2000, "month"),
    Limit(200, "session"),
    Limit(200, "day", "client", "codex"),
)


def test_two_servers(tmp_path: Path) -> None:
    """Whatever two servers reserve, write and release, each knows at once how much is used, and
    together they do not exceed a limit."""
    dice = random.Random(7)
    path = tmp_path / "ledger.sqlite3"
    servers = Reserver(path), Reserver(path)
    running: list[tuple[str, str, str]] = []
    refused: set[Limit] = set()
    at_once = 0
    with closing(open_for_writing(path)) as database:
        for number in range(400):
            if number == 200:
                forget(database, NOW.date() - timedelta(days=1))
            server, session = dice.choice(servers), dice.choice("abcd")
            client = dice.choice(["codex", "claude-code"])
            cost = dice.randrange(1, 60)
            if running and dice.random() < 0.5:
                name, session, client = running.pop(dice.randrange(len(running)))
                if dice.random() < 0.5:
                    ended = record(name, credits=1e-9, session=session, client=client)
                    days_ago = dice.randrange(3)  # rows of earlier days can be imported
                    insert(database, [row(ended, NOW.timestamp() - 86_400 * days_ago)])
                elif dice.random() < 0.5:
                    release(database, [name])
                else:
                    server.release(name)
                continue
            limits = [(one, one.nano) for one in LIMITS if one.name in ("", client)]
            if dice.random() < 0.2:  # the user has removed limits, for a while
                del limits[1:]
            made = record(f"r{number}", session=session, client=client)
            asked = ReservationRequest(made, cost, limits, DAY, MONTH)
            made_now = server.reserve_now([asked])
            outcome = made_now[0] if made_now else None
            at_once += isinstance(outcome, list)
            if not isinstance(outcome, list):
                found = server.reserve(asked)
                if isinstance(found, Refusal):
                    refused.add(found.limit)
                    used = state(database, found.limit, DAY, MONTH, session)
                    assert used == found.used
                    continue
                outcome = found
            running.append((made.request_id, session, client))
            assert outcome == [state(database, one, DAY, MONTH, session) for one, _ in limits]
            assert all(
                sum(used) <= one.nano for (one, _), used in zip(limits, outcome, strict=True)
            )
    for server in servers:
        server.close()

    assert at_once > 20
    assert len(refused) > 1


def test_a_replaced_file(tmp_path: Path) -> None:
    """If the ledger is damaged, another process replaces it, and the new one counts at once."""
    path = tmp_path / "ledger.sqlite3"
    limits = [(LIMITS[0], 100)]
    server = Reserver(path)
    server.reserve(ReservationRequest(record("a"), 60, limits, DAY, MONTH))
    set_aside(path)
    assert not server.is_open()
    second = ReservationRequest(record("b"), 60, limits, DAY, MONTH)
    assert [State(0, 60)] == server.reserve(second)
    assert server.is_open()
    server.close()
    assert not server.is_open()


@pytest.mark.anyio
async def test_while_another_process_writes(tmp_path: Path) -> None:
    """The request waits for it, however long it takes."""
    path = tmp_path / "ledger.sqlite3"
    budget = Budget(path, [Limit(10**12, "month")])
    await budget.admit(record("a"), {"max_tokens": 1})
    with closing(open_for_writing(path)) as database:
        database.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(budget.admit(record("b"), {"max_tokens": 1}))
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        database.execute("COMMIT")
        await waiting
        assert [("a",), ("b",)] == database.execute(
            "SELECT request_id FROM reservations ORDER BY started_us"
        ).fetchall()
    budget.close()


def test_many_that_arrive_together(tmp_path: Path) -> None:
    """They are reserved one after another, in one transaction, so no limit is exceeded."""
    server = Reserver(tmp_path / "ledger.sqlite3")
    made = {"a": 60, "b": 30, "c": 30, "d": 10}
    asked = [
        ReservationRequest(
            record(name, session=name), cost, [(LIMITS[0], 100), (LIMITS[2], 50)], DAY, MONTH
        )
        for name, cost in made.items()
    ]
    server.reserve(ReservationRequest(record("0"), 35, [(LIMITS[0], 100)], DAY, MONTH))
    first, second, third, fourth = server.reserve_now(asked) or []
    assert Refusal(LIMITS[2], 50, State(0, 0)) == first
    assert [State(0, 65), State(0, 30)] == second
    assert [State(0, 95), State(0, 30)] == third
    assert Refusal(LIMITS[0], 100, State(0, 95)) == fourth
    server.close()
