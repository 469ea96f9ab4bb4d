"""Reservations are summed up in memory, but always match the file."""

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from copilot_proxy.budget.budget import Budget
from copilot_proxy.budget.limits_file import days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.ledger import database as ledger_file
from copilot_proxy.ledger import reserved_sums, settling
from copilot_proxy.ledger import writer as writer_module
from copilot_proxy.ledger.database import open_for_writing, set_aside
from copilot_proxy.ledger.insertion import insert, known
from copilot_proxy.ledger.ledger import Ledger
from copilot_proxy.ledger.limit_states import State, state
from copilot_proxy.ledger.maintenance import forget
from copilot_proxy.ledger.releaser import Releaser
from copilot_proxy.ledger.reservation import common_of
from copilot_proxy.ledger.reservation_file import (
    ReservationFile,
    path_for,
    stored_reservations,
)
from copilot_proxy.ledger.reservation_request import Plan, Refusal, Sender
from copilot_proxy.ledger.reservation_slots import Slot, encode
from copilot_proxy.ledger.reserver import Reserver
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.relay.records import RequestRecord
from tests.ledger.rows import record, row

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY, MONTH = days_of(NOW)
LIMITS = (
    Limit(400, "day"),
    Limit(2000, "month"),
    Limit(200, "session"),
    Limit(200, "day", "client", "codex"),
)


def asked(
    made: RequestRecord, cost: int, limits: Sequence[tuple[Limit, int]]
) -> tuple[str, int, Plan]:
    client, _, _, session, project = made.attribution
    sender = Sender(made.key, client, project, session, made.model, made.api)
    return made.request_id, cost, Plan(sender, limits, DAY, MONTH)


def test_two_servers(tmp_path: Path) -> None:
    """While two servers reserve, write and release, each immediately knows the total.

    Together, they never exceed a limit.
    """
    dice = random.Random(7)
    path = tmp_path / "ledger.sqlite3"
    servers, releaser = (Reserver(path), Reserver(path)), Releaser(path)
    running: list[tuple[str, str, str]] = []
    owners: dict[str, Reserver] = {}
    unsaved: Reserver | None = None
    refused: set[Limit] = set()
    at_once = 0
    with closing(open_for_writing(path)) as database:
        for number in range(400):
            if number == 200:
                forget(database, NOW.date() - timedelta(days=1))
            server, session = unsaved or dice.choice(servers), dice.choice("abcd")
            client = dice.choice(["codex", "claude-code"])
            cost = dice.randrange(1, 60)
            if running and unsaved is None and dice.random() < 0.5:
                name, session, client = running.pop(dice.randrange(len(running)))
                if dice.random() < 0.5:
                    ended = record(name, credits=1e-9, session=session, client=client)
                    days_ago = dice.randrange(3)  # rows of earlier days can be imported
                    insert(database, [row(ended, NOW.timestamp() - 86_400 * days_ago)])
                    if dice.random() < 0.5:
                        releaser.release([name])
                    else:
                        owners[name].end([name])
                        if dice.random() < 0.3:
                            owners[name].flush()
                        else:  # the owner's next reservation writes this
                            unsaved = owners[name]
                elif dice.random() < 0.3:
                    server.settle(name, dice.randrange(30))
                    server.flush()
                    running.append((name, session, client))
                elif dice.random() < 0.5:
                    releaser.release([name])
                else:
                    server.release(name)
                continue
            limits = [(one, one.nano) for one in LIMITS if one.name in ("", client)]
            if dice.random() < 0.2:  # the user has removed limits for a while
                del limits[1:]
            made = record(f"r{number}", session=session, client=client)
            request = asked(made, cost, limits)
            outcome = server.reserve_now(*request)
            at_once += isinstance(outcome, list)
            if not isinstance(outcome, list):
                found = server.reserve(*request)
                if isinstance(found, Refusal):
                    refused.add(found.limit)
                    used = state(database, found.limit, DAY, MONTH, session)
                    assert used == found.used
                    continue
                outcome = found
            running.append((made.request_id, session, client))
            owners[made.request_id], unsaved = server, None
            # Completed requests without rows are counted as spent only if a request is refused.
            states = [state(database, one, DAY, MONTH, session) for one, _ in limits]
            assert [*map(sum, outcome)] == [*map(sum, states)]
            assert all(
                sum(used) <= one.nano for (one, _), used in zip(limits, outcome, strict=True)
            )
    for one in (*servers, releaser):
        one.close()

    assert at_once > 20
    assert len(refused) > 1


def test_others_do_not_wait_for_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a request waits for others to end before it is refused, other requests can start."""
    server, found = Reserver(tmp_path / "ledger.sqlite3"), []
    limits = [(LIMITS[0], 100)]
    first, second, other = (
        asked(record(name), cost, limits) for name, cost in (("a", 60), ("b", 60), ("c", 10))
    )
    server.reserve(*first)
    monkeypatch.setattr(
        "copilot_proxy.ledger.reserver.time.sleep",
        lambda _: found.append(server.reserve_now(*other)),
    )
    refusal = server.reserve(*second)
    server.close()

    assert [[State(0, 70)]] == found
    assert Refusal(LIMITS[0], 100, State(0, 70), 30) == refusal


@pytest.mark.parametrize("cost", [30, None])
@pytest.mark.parametrize("is_same", [True, False])
def test_a_completed_request_is_not_running(
    tmp_path: Path, cost: int | None, is_same: bool
) -> None:
    """If a request is refused because of one that has just been answered, and has no row yet, its
    cost is spent, for all processes and for the commands that show the budget."""
    path = tmp_path / "ledger.sqlite3"
    server = Reserver(path)
    other = server if is_same else Reserver(path)
    limits = [(LIMITS[0], 100)]
    server.reserve(*asked(record("answered"), 50, limits))
    server.reserve(*asked(record("running"), 40, limits))
    server.settle("answered", cost)
    server.flush()
    refusal = other.reserve(*asked(record("refused"), 60, limits))
    with closing(open_for_writing(path)) as database:
        shown = state(database, LIMITS[0], DAY, MONTH)
    for one in {server, other}:
        one.close()

    assert isinstance(refusal, Refusal)
    assert (cost or 50, 40) == refusal.used == shown


def test_many_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with an unknown price counts once it has ended, however many sessions there are."""
    monkeypatch.setattr(reserved_sums, "_MAX_UNUSED", 3)
    server = Reserver(tmp_path / "ledger.sqlite3")
    limits = [(LIMITS[0], 100)]
    server.reserve(*asked(record("a", session="a"), 0, limits))
    for number in range(9):
        other = record(f"r{number}", session=f"s{number}")
        server.reserve(*asked(other, 1, limits))
        server.release(other.request_id)
    server.settle("a", 90)
    last = asked(record("last"), 20, limits)
    assert Refusal(LIMITS[0], 100, State(90, 0), 10) == server.reserve(*last)
    server.close()


def test_a_replaced_file(tmp_path: Path) -> None:
    """If another process replaces a damaged ledger, the new ledger counts immediately.

    The reservations of running requests still count.
    """
    path = tmp_path / "ledger.sqlite3"
    limits = [(LIMITS[0], 100)]
    server = Reserver(path)
    server.reserve(*asked(record("a"), 60, limits))
    set_aside(path)
    assert not server.is_open()
    second = asked(record("b"), 60, limits)
    assert Refusal(LIMITS[0], 100, State(0, 60), 20) == server.reserve(*second)
    Releaser(path).release(["a"])
    assert [State(0, 60)] == server.reserve(*second)
    assert server.is_open()
    path_for(path).unlink()
    assert [State(0, 60)] == server.reserve(*second)
    server.close()
    assert not server.is_open()


@pytest.mark.anyio
async def test_while_another_process_writes(tmp_path: Path) -> None:
    """No request waits for other processes' rows, but each waits for their reservations."""
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


@pytest.mark.anyio
async def test_a_process_that_keeps_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If a stopped process holds the lock, only the first requests wait for it, all at the same
    time. When it is released, the budget is enforced again."""
    path = tmp_path / "ledger.sqlite3"
    waits = 0

    def wait(file: ReservationFile) -> bool:
        nonlocal waits
        waits += 1
        raise TimeoutError(110, f"another process keeps {file.path} locked")

    monkeypatch.setattr(ReservationFile, "_wait", wait)
    budget = Budget(path, [Limit(10**12, "day")])
    await budget.admit(record("a"), {"max_tokens": 1})
    other = ReservationFile(path)
    assert other.lock()
    names = [f"b{number}" for number in range(20)]
    await asyncio.gather(*(budget.admit(record(name), {"max_tokens": 1}) for name in names))
    assert 1 <= waits <= 2  # the thread tries again while no request waits
    assert 1 == caplog.text.count("The budget is not enforced")
    other.unlock()
    await budget.admit(record("c"), {"max_tokens": 1})
    assert ["a", "c"] == [one.request_id for one in stored_reservations(path)]
    assert 1 == caplog.text.count("The budget is enforced again.")
    other.close()
    budget.close()


@pytest.mark.anyio
async def test_no_thread_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests are admitted, and none of them is counted later, when a thread starts."""
    path = tmp_path / "ledger.sqlite3"
    budget = Budget(path, [Limit(10**12, "day")])

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", refuse)
        for name in ("a", "b"):
            await budget.admit(record(name), {"max_tokens": 1})
    assert 1 == caplog.text.count("The budget is not enforced")
    await budget.admit(record("c"), {"max_tokens": 1})
    assert ["c"] == [one.request_id for one in stored_reservations(path)]
    assert "The budget is enforced again." in caplog.text
    budget.close()


def test_the_file_grows_and_shrinks(tmp_path: Path) -> None:
    """The file grows with the number of requests, and shrinks when they end."""
    path = tmp_path / "ledger.sqlite3"
    server, releaser = Reserver(path), Releaser(path)
    names = [f"r{number}" for number in range(300)]
    for name in names:
        request = asked(record(name), 1, [(LIMITS[0], 300)])
        assert isinstance(server.reserve_now(*request) or server.reserve(*request), list)
    size = path_for(path).stat().st_size
    releaser.release(names[1:])
    assert path_for(path).stat().st_size < size / 100
    assert ["r0"] == [one.request_id for one in stored_reservations(path)]
    request = asked(record("next"), 1, [(LIMITS[0], 300)])
    assert [State(0, 2)] == server.reserve_now(*request)
    for one in (server, releaser):
        one.close()


@pytest.mark.parametrize("content", [b"not reservations" * 100, b"short", None])
def test_a_damaged_file(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The process that finds the damage sets the file aside, and starts a new file."""
    path = tmp_path / "ledger.sqlite3"
    server, releaser = Reserver(path), Releaser(path)
    limits = [(LIMITS[0], 100)]
    server.reserve(*asked(record("a"), 60, limits))
    whole = path_for(path).read_bytes()
    # The last file is only damaged inside, which is noticed when its change counter differs.
    path_for(path).write_bytes(content or whole[:8] + bytes(8) + b"\xff" * 2048)
    if content is None:
        releaser.release(["a"])
    request = asked(record("b"), 60, limits)
    assert [State(0, 60)] == server.reserve(*request)
    for one in (server, releaser):
        one.close()

    (aside,) = tmp_path.glob("ledger-damaged-*.reservations")
    assert 1 == caplog.text.count(f"It was renamed to {aside}")


def test_an_unreadable_reservation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An unreadable reservation, such as a newer server's, does not disable the budget."""
    path = tmp_path / "ledger.sqlite3"
    limits = [(LIMITS[0], 100)]
    first = Reserver(path)
    first.reserve(*asked(record("a"), 60, limits))
    first.close()
    whole = path_for(path).read_bytes()
    path_for(path).write_bytes(whole.replace(DAY.encode(), b"\xff" * len(DAY)))
    server = Reserver(path)
    request = asked(record("b"), 60, limits)
    assert [State(0, 60)] == server.reserve(*request)
    assert isinstance(server.reserve("c", *request[1:]), Refusal)
    server.close()

    assert "was damaged" in caplog.text


@pytest.mark.parametrize("name", ["ü" * 100, "key\x00"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    """A limit applies to any name, however long or unusual."""
    path = tmp_path / "ledger.sqlite3"
    server = Reserver(path)
    limits = [(Limit(100, "day", "client", name), 100), (Limit(100, "session"), 100)]
    first = asked(record("a", client=name, session=name), 60, limits)
    assert [State(0, 60), State(0, 60)] == server.reserve(*first)
    assert Refusal(limits[0][0], 100, State(0, 60), 20) == server.reserve(*first)
    server.close()


def test_a_used_up_limit_and_a_locked_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program writes to the ledger, killed processes' requests cannot be settled, but
    they count toward the limit."""
    path = tmp_path / "ledger.sqlite3"
    monkeypatch.setattr(ledger_file, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(settling, "is_abandoned", lambda *_: True)
    server, limits = Reserver(path), [(LIMITS[0], 100)]
    server.reserve(*asked(record("killed"), 60, limits))
    with closing(open_for_writing(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = server.reserve(*asked(record("next"), 60, limits))
    server.close()
    assert Refusal(LIMITS[0], 100, State(0, 60), 20) == refused


def test_the_log_stays_small(tmp_path: Path) -> None:
    """A constant stream of reservations does not keep SQLite from emptying its write-ahead log."""
    path = tmp_path / "ledger.sqlite3"
    server, writer, ended = Reserver(path), Writer(path), threading.Event()
    request = asked(record("a"), 1, [(Limit(10**12, "month"), 10**12)])

    def reserve() -> None:
        while not ended.is_set():
            if server.reserve_now(*request) is None:
                server.reserve(*request)
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

    # SQLite starts to empty the log at a thousand pages of 4 KiB.
    assert size < 6 * 2**20


def test_a_killed_process_next_to_a_running_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation of a killed process becomes a row.

    This also works if another process keeps the ledger open and never refuses a request.
    """
    path, monotonic = tmp_path / "ledger.sqlite3", time.monotonic
    writer = Writer(path)
    writer.write([row(record("before"), NOW.timestamp())])
    common = common_of(asked(record("dead"), 60, [])[2])._replace(pid=2**22 + 1)
    file = ReservationFile(path)
    with file.locked():
        file.put("dead", Slot(0, 60, time.time_ns() // 1000, encode(common)))
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


def test_a_process_that_was_killed_after_a_row_was_written(tmp_path: Path) -> None:
    """A request that has a row, but whose reservation is still in the file, gets no second row."""
    path = tmp_path / "ledger.sqlite3"
    common = common_of(asked(record("a"), 60, [])[2])._replace(pid=2**22 + 1)
    file = ReservationFile(path)
    with file.locked():
        for name in ("recorded", "running"):
            file.put(name, Slot(0, 60, time.time_ns() // 1000, encode(common)))
    file.close()
    with closing(open_for_writing(path)) as database:
        insert(database, [row(record("recorded", credits=5e-8), NOW.timestamp())])
        writer = Writer(path)
        writer.write([row(record("next", credits=1e-8), NOW.timestamp())])
        writer.close()
        rows = database.execute("SELECT request_id, nano_aiu FROM requests ORDER BY 1").fetchall()

    assert [("next", 10), ("recorded", 50), ("running", 60)] == rows
    assert [] == stored_reservations(path)


@pytest.mark.anyio
async def test_rows_that_the_ledger_has_written(tmp_path: Path) -> None:
    """Within a process, the ledger notifies the budget of requests that have rows.

    No reservation stays in the file, even if no other request follows.
    """
    path = tmp_path / "ledger.sqlite3"
    budget = Budget(path, [Limit(10**12, "month")])
    ledger = Ledger(path, budget.end)
    for name in ("a", "b", "c"):
        made = record(name)
        await budget.admit(made, {"max_tokens": 1})
        ledger(made)
        budget(made)
    for _ in range(2000):
        if not stored_reservations(path):
            break
        await asyncio.sleep(0.01)
    assert [] == stored_reservations(path)
    with closing(open_for_writing(path)) as database:
        found = known(database, ["a", "b", "c"])
        used = state(database, Limit(10**12, "month"), *days_of(datetime.now(UTC)))
    ledger.close()
    budget.close()

    assert {"a", "b", "c"} == found
    assert State(3 * 112_500_000, 0) == used


def test_lost_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the file cannot be written for so long that rows are lost, their cost still counts.

    Their reservations are released, and do not remain until the server stops.
    """
    path, limit = tmp_path / "ledger.sqlite3", Limit(400, "day")
    server = Reserver(path)

    def try_release(request_ids: Sequence[str]) -> bool:
        server.end(request_ids)
        return True

    writer = Writer(path, try_release)
    monkeypatch.setattr(writer_module, "MAX_WAITING", 1)
    with closing(open_for_writing(path)) as database, monkeypatch.context() as patch:
        patch.setattr(writer_module, "insert", _full_disk)
        for name in "abc":
            made = record(name, credits=7e-8, reserved=60)
            server.reserve(*asked(made, 60, [(limit, 400)]))
            server.settle(name, 70)
            server.flush()
            writer.write([row(made, time.time())], is_last=True)
        patch.undo()
        writer.write([], is_last=True)
        server.flush()
        rows = database.execute("SELECT request_id, nano_aiu FROM requests ORDER BY 1").fetchall()

    assert [("a", 70), ("b", 70), ("c", 70)] == rows
    assert [] == stored_reservations(path)
    assert not server.is_waiting
    writer.close()
    server.close()


def _full_disk(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")
