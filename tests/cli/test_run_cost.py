"""The cost of a `run` session, in one line."""

import time
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.cli.run_cost import session_cost
from copilot_proxy.ledger.writer import Writer
from tests.ledger.rows import record, row


def test_a_slow_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is counted even if a busy or stopping server writes it late."""
    ledger = tmp_path / "ledger.sqlite3"
    Writer(ledger).close()
    slept = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            writer = Writer(ledger)
            writer.write([row(record("late", credits=2.0, session="run-1"), time.time())])
            writer.close()

    monkeypatch.setattr(time, "sleep", sleep)
    assert "This session: 1 request, 2.00 AI credits, 0% cached." == session_cost(ledger, "run-1")
    assert "This session: no requests." == session_cost(ledger, "run-2")


def test_a_ledger_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server could not write rows, the summary does not claim that there were none."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "file").write_text("")
    found = session_cost(tmp_path / "file" / "ledger.sqlite3", "run-1")
    assert found.startswith("The cost of this session is unknown")


def test_the_last_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is still running when the client ends is written last, and still counted."""
    ledger = tmp_path / "ledger.sqlite3"
    writer = Writer(ledger)
    names = iter(["first", "cut"])

    def sleep(seconds: float) -> None:
        if name := next(names, None):
            writer.write([row(record(name, credits=2.0, session="run-1"), time.time())])

    monkeypatch.setattr(time, "sleep", sleep)
    found = session_cost(ledger, "run-1", was_ended=True)
    writer.close()
    assert found.startswith("This session: 2 requests, 4.00 AI credits")


@pytest.mark.parametrize(
    ("requests", "shown"),
    [
        (
            [{"error": "budget_exceeded"}] * 2,
            "2 requests, all refused because of the budget; nothing was charged",
        ),
        (
            [{"error": "rate_limit_exceeded", "upstream_status": 429}],
            "1 request, refused (rate_limit_exceeded); nothing was charged",
        ),
        (
            [{"error": "budget_exceeded"}, {"credits": 2.0}],
            "2 requests, 2.00 AI credits, 1 refused because of the budget, 0% cached",
        ),
        (
            [
                {"credits": 2.0},
                {"error": "budget_exceeded"},
                {"error": "rate_limit_exceeded", "upstream_status": 429},
            ],
            "3 requests, 2.00 AI credits, 2 refused (budget_exceeded, rate_limit_exceeded), "
            "0% cached",
        ),
        (
            [{"credits": 2.0}, {"credits": None, "client_gone": True, "stream": True}],
            "2 requests, about 2.00 AI credits, 1 with an estimated cost, 0% cached",
        ),
    ],
)
def test_refusals_and_estimates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: list[dict[str, Any]], shown: str
) -> None:
    """A refused session does not look free, and an estimate does not look exact."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    ledger = tmp_path / "ledger.sqlite3"
    writer = Writer(ledger)
    for number, values in enumerate(requests):
        made = record(str(number), session="run-1", **{"credits": None, **values})
        if made.copilot_usage is None:
            made.usage = None
        if made.error == "budget_exceeded":
            made.attempts = 0
        writer.write([row(made, time.time())])
    writer.close()
    assert f"This session: {shown}." == session_cost(ledger, "run-1")
