"""What is reserved is summed up in memory, but never differently from what the file says."""

import asyncio
import os
import random
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copilot_proxy.budget.budget import Budget
from copilot_proxy.budget.limits_file import days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger import reserved_sums
from copilot_proxy.ledger.database import open_for_writing, set_aside
from copilot_proxy.ledger.insertion import insert
from copilot_proxy.ledger.limit_states import State, state
from copilot_proxy.ledger.maintenance import forget
from copilot_proxy.ledger.releaser import Releaser
from copilot_proxy.ledger.reservation import reservation_of
from copilot_proxy.ledger.reservation_file import (
    ReservationFile,
    path_for,
    stored_reservations,
)
from copilot_proxy.ledger.reservation_request import ReservationRequest
from copilot_proxy.ledger.reserver import Refusal, Reserver
from copilot_proxy.ledger.writer import Writer
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
    servers, releaser = (Reserver(path), Reserver(path)), Releaser(path)
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
                    releaser.release([name])
                elif dice.random() < 0.3:
                    server.settle(name, dice.randrange(30))
                    running.append((name, session, client))
                elif dice.random() < 0.5:
                    releaser.release([name])
                else:
                    server.release(name)
                continue
            limits = [(one, one.nano) for one in LIMITS if one.name in ("", client)]
            if dice.random() < 0.2:  # the user has removed limits, for a while
                del limits[1:]
            made = record(f"r{number}", session=session, client=client)
            asked = ReservationRequest(made, cost, limits, DAY, MONTH)
            outcome = server.reserve_now(asked)
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
    for one in (*servers, releaser):
        one.close()

    assert at_once > 20
    assert len(refused) > 1


def test_others_do_not_wait_for_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a request is refused, it waits for those that end; others are admitted meanwhile."""
    server, found = Reserver(tmp_path / "ledger.sqlite3"), []
    limits = [(LIMITS[0], 100)]
    first, second, other = (
        ReservationRequest(record(name), cost, limits, DAY, MONTH)
        for name, cost in (("a", 60), ("b", 60), ("c", 10))
    )
    server.reserve(first)
    monkeypatch.setattr(
        "copilot_proxy.ledger.reserver.time.sleep",
        lambda _: found.append(server.reserve_now(other)),
    )
    refusal = server.reserve(second)
    server.close()

    assert [[State(0, 70)]] == found
    assert Refusal(LIMITS[0], 100, State(0, 70)) == refusal


def test_many_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose price was not known counts when it has ended, however many sessions there
    were meanwhile."""
    monkeypatch.setattr(reserved_sums, "_MAX_UNUSED", 3)
    server = Reserver(tmp_path / "ledger.sqlite3")
    limits = [(LIMITS[0], 100)]
    server.reserve(ReservationRequest(record("a", session="a"), 0, limits, DAY, MONTH))
    for number in range(9):
        other = record(f"r{number}", session=f"s{number}")
        server.reserve(ReservationRequest(other, 1, limits, DAY, MONTH))
        server.release(other.request_id)
    server.settle("a", 90)
    last = ReservationRequest(record("last"), 20, limits, DAY, MONTH)
    assert Refusal(LIMITS[0], 100, State(0, 90)) == server.reserve(last)
    server.close()


def test_a_replaced_file(tmp_path: Path) -> None:
    """If the ledger is damaged, another process replaces it, and the new one counts at once; so
    does what running requests have reserved."""
    path = tmp_path / "ledger.sqlite3"
    limits = [(LIMITS[0], 100)]
    server = Reserver(path)
    server.reserve(ReservationRequest(record("a"), 60, limits, DAY, MONTH))
    set_aside(path)
    assert not server.is_open()
    second = ReservationRequest(record("b"), 60, limits, DAY, MONTH)
    assert Refusal(LIMITS[0], 100, State(0, 60)) == server.reserve(second)
    Releaser(path).release(["a"])
    assert [State(0, 60)] == server.reserve(second)
    assert server.is_open()
    path_for(path).unlink()
    assert [State(0, 60)] == server.reserve(second)
    server.close()
    assert not server.is_open()


@pytest.mark.anyio
async def test_while_another_process_writes(tmp_path: Path) -> None:
    """No request waits for the rows of others, but each waits for their reservations."""
    path = tmp_path / "ledger.sqlite3"
    budget = Budget(path, [Limit(10**12, "month")])
    await budget.admit(record("a"), {"max_tokens": 1})
    with closing(open_for_writing(path)) as database:
        database.execute("BEGIN IMMEDIATE")
        await budget.admit(record("b"), {"max_tokens": 1})
    await asyncio.sleep(0)  # requests that arrive together share a lock
    other = ReservationFile(path)
    assert other.lock()
    waiting = asyncio.create_task(budget.admit(record("c"), {"max_tokens": 1}))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    other.unlock()
    await waiting
    assert ["a", "b", "c"] == [one.request_id for one in stored_reservations(path)]
    other.close()
    budget.close()


def test_as_many_as_there_are(tmp_path: Path) -> None:
    """The file grows with the requests, and shrinks when they have ended."""
    path = tmp_path / "ledger.sqlite3"
    server, releaser = Reserver(path), Releaser(path)
    names = [f"r{number}" for number in range(300)]
    for name in names:
        asked = ReservationRequest(record(name), 1, [(LIMITS[0], 300)], DAY, MONTH)
        assert isinstance(server.reserve_now(asked) or server.reserve(asked), list)
    size = path_for(path).stat().st_size
    releaser.release(names[1:])
    assert path_for(path).stat().st_size < size / 100
    assert ["r0"] == [one.request_id for one in stored_reservations(path)]
    asked = ReservationRequest(record("next"), 1, [(LIMITS[0], 300)], DAY, MONTH)
    assert [State(0, 2)] == server.reserve_now(asked)
    for one in (server, releaser):
        one.close()


@pytest.mark.parametrize("content", [b"not reservations" * 100, b"short", None])
def test_a_damaged_file(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is set aside by whoever finds it, and the budget goes on with a new one."""
    path = tmp_path / "ledger.sqlite3"
    server, releaser = Reserver(path), Releaser(path)
    limits = [(LIMITS[0], 100)]
    server.reserve(ReservationRequest(record("a"), 60, limits, DAY, MONTH))
    whole = path_for(path).read_bytes()
    # The last one is damaged only inside, which is noticed when the count of changes differs.
    path_for(path).write_bytes(content or whole[:8] + bytes(8) + b"\xff" * 2048)
    if content is None:
        releaser.release(["a"])
    asked = ReservationRequest(record("b"), 60, limits, DAY, MONTH)
    assert [State(0, 60)] == server.reserve(asked)
    for one in (server, releaser):
        one.close()

    (aside,) = tmp_path.glob("ledger-damaged-*.reservations")
    assert 1 == caplog.text.count(f"It was renamed to {aside}")


def test_an_unreadable_reservation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that starts with it, such as one of another version wrote, has a budget all the
    same."""
    path = tmp_path / "ledger.sqlite3"
    limits = [(LIMITS[0], 100)]
    first = Reserver(path)
    first.reserve(ReservationRequest(record("a"), 60, limits, DAY, MONTH))
    first.close()
    whole = path_for(path).read_bytes()
    path_for(path).write_bytes(whole.replace(DAY.encode(), b"\xff" * len(DAY)))
    server = Reserver(path)
    asked = ReservationRequest(record("b"), 60, limits, DAY, MONTH)
    assert [State(0, 60)] == server.reserve(asked)
    assert isinstance(server.reserve(asked._replace(record=record("c"))), Refusal)
    server.close()

    assert "was damaged" in caplog.text


@pytest.mark.parametrize("name", ["ü" * 100, "key\x00"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    """A limit counts whatever is called as it is, however long."""
    path = tmp_path / "ledger.sqlite3"
    server = Reserver(path)
    limits = [(Limit(100, "day", "client", name), 100), (Limit(100, "session"), 100)]
    first = ReservationRequest(record("a", client=name, session=name), 60, limits, DAY, MONTH)
    assert [State(0, 60), State(0, 60)] == server.reserve(first)
    assert Refusal(limits[0][0], 100, State(0, 60)) == server.reserve(first)
    server.close()


def test_the_log_stays_small(tmp_path: Path) -> None:
    """Constant reservations do not keep SQLite from emptying its write-ahead log."""
    path = tmp_path / "ledger.sqlite3"
    server, writer, ended = Reserver(path), Writer(path), threading.Event()
    asked = ReservationRequest(record("a"), 1, [(Limit(10**12, "month"), 10**12)], DAY, MONTH)

    def reserve() -> None:
        while not ended.is_set():
            if server.reserve_now(asked) is None:
                server.reserve(asked)
            server.release("a")

    thread = threading.Thread(target=reserve)
    thread.start()
    made = row(record("b"), NOW.timestamp())
    for number in range(40):
        writer.write([(f"{number}-{one}", *made[1:]) for one in range(300)])
    ended.set()
    thread.join()
    size = path.with_name("ledger.sqlite3-wal").stat().st_size
    for one in (server, writer):
        one.close()

    # SQLite begins to empty it at a thousand pages of 4 KiB.
    assert size < 6 * 2**20


def test_reservations_of_an_older_version(tmp_path: Path) -> None:
    """It kept them in the ledger. Those of processes that have ended become rows, once."""
    path = tmp_path / "ledger.sqlite3"
    old = reservation_of(ReservationRequest(record("a"), 60, [], DAY, MONTH))
    with closing(open_for_writing(path)) as database:
        for name, pid in (("dead", 2**22 + 1), ("running", os.getpid())):
            values = old._replace(request_id=name, pid=pid)
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT INTO reservations VALUES ({marks})", values)  # noqa: S608
    for _ in range(2):
        writer = Writer(path)
        writer.write([row(record("b"), NOW.timestamp())])
        writer.close()
    with closing(open_for_writing(path)) as database:
        assert [("dead", 60)] == database.execute(
            "SELECT request_id, nano_aiu FROM requests WHERE error_code = 'server_killed'"
        ).fetchall()
        left = database.execute("SELECT request_id FROM reservations").fetchall()
    assert [("running",)] == left


def test_a_killed_process_beside_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had reserved becomes a row even if the other process keeps the ledger open, and has
    nothing to refuse."""
    path, monotonic = tmp_path / "ledger.sqlite3", time.monotonic
    writer = Writer(path)
    writer.write([row(record("before"), NOW.timestamp())])
    dead = reservation_of(ReservationRequest(record("dead"), 60, [], DAY, MONTH))
    file = ReservationFile(path)
    with file.locked():
        file.put(dead._replace(pid=2**22 + 1))
    writer.write([row(record("soon"), NOW.timestamp())])
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 31)
    writer.write([row(record("later"), NOW.timestamp())])
    left = stored_reservations(path)
    with closing(open_for_writing(path)) as database:
        (costs,) = database.execute(
            "SELECT nano_aiu FROM requests WHERE error_code = 'server_killed'"
        ).fetchall()
    file.close()
    writer.close()

    assert ([], (60,)) == (left, costs)
