"""Limits and their file, the text of refusals, and the cost estimate of a request."""

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.budget.estimate import Estimator
from copilot_proxy.budget.formatting import advised_raise, amount, limit_amount
from copilot_proxy.budget.limits_file import Limits, LimitsFile, Raise, change, days_of, read
from copilot_proxy.cost.limits import Limit, parse_limit, parse_limits
from copilot_proxy.cost.nano_aiu import NANO
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.permanent_errors import looks_retryable
from copilot_proxy.relay.records import new_request_id
from tests.ledger.rows import record

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500/day", Limit(500 * NANO, "day")),
        ("12.5 / Session", Limit(12_500_000_000, "session")),
        ("0/month", Limit(0, "month")),
    ],
)
def test_limits(text: str, expected: Limit) -> None:
    """A limit is an amount of AI credits and a period."""
    assert expected == parse_limit(text)
    assert (expected,) == parse_limits([text]) == parse_limits(text)


@pytest.mark.parametrize(
    "text", ["", "500", "500/week", "-1/day", "1e3/day", "/day", "5k/day", "0.0001/day"]
)
def test_invalid_limits(text: str) -> None:
    """A malformed limit is an error, as are two limits for the same period."""
    with pytest.raises(ValueError, match="such as 500/day, with at most three decimals"):
        parse_limit(text)
    with pytest.raises(ValueError, match="two limits"):
        parse_limits("1/day,2/day")


def test_no_refusal_looks_like_a_temporary_failure() -> None:
    """No amount looks like a status that some clients react to, such as 500 or 429."""
    for credits in [*range(0, 60_000, 7), *range(400, 600), 42_900, 50_000, 50_250, 429_503]:
        assert not looks_retryable(amount(credits * NANO + 20_000_000)), credits
        assert not looks_retryable(limit_amount(credits * NANO + 20_000_000)), credits
    assert "450.00 AI credits" == amount(450 * NANO)
    assert "450 AI credits" == limit_amount(450 * NANO)
    assert "$5.00" == amount(500 * NANO)
    assert not any(looks_retryable(new_request_id()) for _ in range(500))


def test_the_file_is_read_again(tmp_path: Path) -> None:
    """A running server notices every change; a limit in the file replaces the one in the settings
    for the same period and scope."""
    path = tmp_path / "state" / "budget.json"
    default = Limit(5, "day")
    file = LimitsFile(path, [default])
    assert (default,) == file.current().limits
    for nano in (7, 9):
        more = Limits((Limit(nano, "day"), Limit(1, "day", "client", "codex")))
        change(path, NOW, partial(lambda new, _: new, more))
        assert [nano, 1] == [limit.nano for limit in file.current().limits]
    path.unlink()
    assert (default,) == file.current().limits
    path.write_text("{}")
    assert (default,) == file.current().limits  # damaged file


@pytest.mark.parametrize(
    ("limits", "raises"),
    [
        ([{"nano": 5, "per": "day", "kind": "bogus"}], []),
        ([{"nano": 5, "per": "day", "kind": []}], []),
        ([{"nano": 5, "per": "day", "kind": "key", "name": ["a"]}], []),
        ([], [{"nano": "5", "day": "2026-11-30", "month": "2026-11"}]),
    ],
)
def test_a_file_with_unknown_values(tmp_path: Path, limits: list[Any], raises: list[Any]) -> None:
    """A file with impossible values is treated as damaged, so requests do not fail."""
    default = Limit(5, "day")
    path = tmp_path / "budget.json"
    path.write_text(json.dumps({"limits": limits, "raises": raises}))

    assert (default,) == LimitsFile(path, [default]).current().limits
    with pytest.raises(CopilotProxyError, match="is damaged"):
        read(path)


def test_raising(tmp_path: Path) -> None:
    """A daily limit is raised for that day, a monthly limit for that month; old raises expire."""
    path = tmp_path / "budget.json"
    more = Raise(100, *days_of(NOW))
    change(path, NOW, lambda _: Limits((Limit(5, "day"), Limit(6, "month")), (more,)))
    day, month = (limits := read(path)).limits

    assert (105, 106) == (limits.allowed(day, NOW), limits.allowed(month, NOW))
    tomorrow = NOW + timedelta(days=1)
    assert (5, 106) == (limits.allowed(day, tomorrow), limits.allowed(month, tomorrow))
    assert 5 == limits.allowed(Limit(5, "day", "client", "codex"), NOW)
    change(path, NOW + timedelta(days=30), lambda stored: stored)
    assert [] == json.loads(path.read_text())["raises"]


RAISING = """
import sys
from datetime import datetime
from pathlib import Path
from copilot_proxy.budget.raising import raise_limits

print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    raise_limits(Path(sys.argv[1]), (), 1, "", "", datetime.now().astimezone())
"""


def test_raising_at_once(tmp_path: Path) -> None:
    """No raise is lost if several commands and servers change the file at the same time."""
    path = tmp_path / "budget.json"
    change(path, NOW, lambda _: Limits((Limit(0, "day"),)))
    with ExitStack() as stack:
        programs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RAISING, str(path)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(2)
        ]
        for program in programs:
            assert program.stdout
            program.stdout.readline()
        for program in programs:
            program.communicate(b"go\n", timeout=60)
    now = datetime.now().astimezone()
    assert 100 == read(path).allowed(Limit(0, "day"), now)


@pytest.mark.parametrize(
    ("limit", "missing", "advised"),
    [
        ("5/day", 1, "5"),
        ("500/day", 1, "100"),
        ("500/day", 230 * NANO, "300"),
        ("500/month", 450 * NANO, "600"),  # some clients retry if they read 500
        ("0/day", 0, "1"),
        ("1.5/session", NANO // 2, "2"),
    ],
)
def test_the_suggested_raise(limit: str, missing: int, advised: str) -> None:
    """The suggested raise is a round amount, in proportion to the limit, and sufficient."""
    assert f"copilot-proxy budget raise {advised}" == advised_raise(parse_limit(limit), missing)


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_estimate() -> None:
    """The estimate uses the prompt, the session's cached tokens, and the usual output length."""
    time = Time()
    estimator = Estimator(time)
    asked = record("a", session="s")  # claude-opus-5: 5, 0.5 and 25 dollars per million
    request = {"model": "m", "input": "word " * 800, "max_output_tokens": 5000}
    prompt = 1000 + len("modelinputmax_output_tokensm") // 4

    assert prompt * 625_000 + 1000 * 2_500_000 == estimator.estimate(asked, request).nano
    assert 100 * 2_500_000 == estimator.estimate(asked, {"max_tokens": 100}).nano - 2 * 625_000
    for number in range(10):
        ended = record(str(number), session="s", tokens=(900, 0, 10 * number))
        estimator.learn(ended, Tokens(input=900, output=10 * number))
    learned = 900 * 50_000 + (prompt - 900) * 625_000 + 80 * 2_500_000
    assert learned == estimator.estimate(asked, request).nano
    time.now = 301
    assert prompt * 625_000 + 80 * 2_500_000 == estimator.estimate(asked, request).nano
    assert 0 == estimator.estimate(record("b", model="nobody-knows-it"), request).nano
