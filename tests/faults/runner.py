"""Runs one cell of the table: causes the fault, checks what the client sees, finds leftovers."""

import time
from collections.abc import Callable

from tests.faults.answers import Seen, delta, events_of
from tests.faults.cells import MESSAGES, OLLAMA, RESPONSES, Cell
from tests.faults.scripts import first_half
from tests.faults.setups import TIMEOUT, Setup
from tests.matrix_clients import GEMINI


def run(setup: Setup, cell: Cell) -> None:
    """Fail unless the cell has the outcome in the table, without leftovers."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return _run(setup, cell)
        except AssertionError:
            if not setup.is_hasty or time.monotonic() > deadline:
                raise


def _run(setup: Setup, cell: Cell) -> None:
    row, route, stream = cell.row, cell.route, cell.stream
    full = setup.full(route, stream)
    if row.calls == 2 and not row.own:
        # A renewal leaves an idle connection to GitHub open for a while, as intended.
        setup.simulator.state.expire_tokens()
        setup.answer(route, stream)
    before = setup.held()
    with setup.fault(row):
        seen = setup.ask(route, stream, own=row.own, size=row.size)

    check_error(seen, cell)
    if cell.expected is None:
        assert seen.text == full
    elif cell.expected.midway and row.begun:
        check_intact(seen, cell, setup, full)
    assert row.calls == seen.calls, f"{seen.calls} requests reached Copilot"
    assert row.connects in (None, seen.connects), f"{seen.connects} connections were made"
    if row.cause == "script:short_length":
        # Until the gateway has closed the connection, httpx would use it again.
        assert until(lambda: setup.held()[1] <= before[1])
    assert setup.answer(route, stream) == full, "the next request was not answered correctly"
    assert until(lambda: all(now <= was for now, was in zip(setup.held(), before, strict=True))), (
        f"tasks, connections, files: {before} before, {setup.held()} after"
    )


def check_error(seen: Seen, cell: Cell) -> None:
    """Fail unless the client receives the error in the table, or no error if the table has none."""
    expected, error, headers = cell.expected, seen.error, seen.answer.headers
    if expected is None or error is None:
        assert (error is None) is (expected is None), seen.answer.text
        return
    client = cell.route.client
    is_anthropic = client is MESSAGES
    has_own_status = is_anthropic or (client is GEMINI and expected.anthropic_status == 402)
    status = (has_own_status and expected.anthropic_status) or expected.status
    if client.starts_late and expected.midway and not seen.midway:
        # Nothing had been sent yet, so the client receives the status of the failure.
        assert (expected.code, "") == (error["code"], seen.text)
        assert seen.answer.status_code >= 400
        return
    assert (status, expected.midway) == (seen.answer.status_code, seen.midway)
    if is_anthropic:
        assert expected.anthropic == error["type"]
    else:
        assert expected.code == error["code"]
        # In a Responses event, `type` is the type of the event; errors on other APIs have none.
        is_event = seen.midway and client is RESPONSES
        has_type = not is_event and client not in (OLLAMA, GEMINI)
        assert not has_type or expected.type == error["type"]
    assert error["message"]
    assert error["hint"]
    assert (None if expected.retry else "false") == headers.get("x-should-retry")
    assert (str(expected.wait) if expected.wait else None) == headers.get("retry-after")


def check_intact(seen: Seen, cell: Cell, setup: Setup, full: str) -> None:
    """Fail unless everything before the failure has reached the client unchanged."""
    assert seen.text
    assert seen.text != full
    assert full.startswith(seen.text)
    if cell.row.cause.startswith("script:") and cell.row.exact:
        assert setup.gateway.good is not None
        sent = b"".join(first_half(setup.gateway.good)).decode()
        assert "".join(map(delta, events_of(sent))) == seen.text


def until(condition: Callable[[], bool]) -> bool:
    """Wait until `condition` is true; return False after the timeout."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
