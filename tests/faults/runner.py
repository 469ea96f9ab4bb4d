"""Runs one cell of the table: lets the fault happen, looks at what the client sees, and then at
what stays behind."""

import time
from collections.abc import Callable

from tests.faults.answers import Seen, delta, events_of
from tests.faults.cells import MESSAGES, RESPONSES, Cell
from tests.faults.scripts import first_half
from tests.faults.stands import TIMEOUT, Stand


def run(stand: Stand, cell: Cell) -> None:
    """Fail unless the cell has the outcome of the table, without leftovers."""
    row, route, stream = cell.row, cell.route, cell.stream
    full = stand.full(route, stream)
    if row.asked == 2 and not row.own:
        # Its token is renewed: the connection to GitHub is kept for a while, as it should be.
        stand.simulator.state.expire_tokens()
        stand.answer(route, stream)
    before = stand.held()
    with stand.fault(row):
        seen = stand.ask(route, stream, own=row.own, size=row.size)

    check_error(seen, cell)
    if cell.expected is None:
        assert seen.text == full
    elif cell.expected.midway and row.begun:
        check_intact(seen, cell, stand, full)
    assert row.asked == seen.asked, f"Copilot was asked {seen.asked} times"
    assert row.connects in (None, seen.connects), f"there were {seen.connects} connections"
    assert stand.answer(route, stream) == full, "the next request is answered"
    assert until(lambda: all(now <= was for now, was in zip(stand.held(), before, strict=True))), (
        f"tasks, connections, files: {before} before, {stand.held()} after"
    )


def check_error(seen: Seen, cell: Cell) -> None:
    """Fail unless the client gets the error of the table, or none."""
    expected, error, headers = cell.expected, seen.error, seen.answer.headers
    if expected is None or error is None:
        assert error is expected, seen.answer.text
        return
    assert (expected.status, expected.midway) == (seen.answer.status_code, seen.midway)
    if cell.route.client is MESSAGES:
        assert expected.anthropic == error["type"]
    else:
        assert expected.code == error["code"]
        # An event of Responses has a type that is the event's own.
        is_event = seen.midway and cell.route.client is RESPONSES
        assert is_event or expected.type == error["type"]
    assert error["message"]
    assert error["hint"]
    assert (None if expected.again else "false") == headers.get("x-should-retry")
    assert (str(expected.wait) if expected.wait else None) == headers.get("retry-after")


def check_intact(seen: Seen, cell: Cell, stand: Stand, full: str) -> None:
    """Fail unless everything before the failure has reached the client unchanged."""
    assert seen.text
    assert seen.text != full
    assert full.startswith(seen.text)
    if cell.row.made.startswith("script:") and cell.row.exact:
        assert stand.gateway.good is not None
        sent = b"".join(first_half(stand.gateway.good)).decode()
        assert "".join(map(delta, events_of(sent))) == seen.text


def until(met: Callable[[], bool]) -> bool:
    """Return whether a condition is met in time."""
    deadline = time.monotonic() + TIMEOUT
    while not met():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
