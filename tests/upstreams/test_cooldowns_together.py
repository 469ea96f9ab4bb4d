"""Cooldowns with concurrent requests, several accounts and clock changes."""

import contextlib
import logging
import re
import weakref

import pytest

from copilot_proxy.auth.copilot_token import CopilotToken
from copilot_proxy.errors import CooldownRefusal, CopilotProxyError
from copilot_proxy.masking import Secret
from copilot_proxy.upstreams.account_cooldowns import AccountCooldowns
from copilot_proxy.upstreams.cooldowns import Cooldown, Cooldowns
from tests.auth.accounts import Time
from tests.upstreams.refusals import API, MODEL, ask, left, made


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def cooldowns(now: Time) -> Cooldowns:
    return Cooldowns(now.clock.monotonic)


@pytest.mark.parametrize("events", ["403 403 403 +10", "weekly=9000 +3600"])
def test_one_probe_is_sent(cooldowns: Cooldowns, now: Time, events: str) -> None:
    """One probe is sent after a cooldown; other requests are refused until it succeeds."""
    left(cooldowns, now, events)
    with cooldowns.guard(API, MODEL):
        assert all(ask(cooldowns) for _ in range(50))

    assert ask(cooldowns) is None


@pytest.mark.parametrize("events", ["403 403 403 +10", "weekly=9000 +3600"])
def test_a_probe_that_hangs(cooldowns: Cooldowns, now: Time, events: str) -> None:
    """After 30 seconds, another probe is sent; the outcome of the first still counts."""
    left(cooldowns, now, events)
    with cooldowns.guard(API, MODEL):
        now.advance(29)
        assert ask(cooldowns) is not None
        now.advance(1)
        assert ask(cooldowns, "500") is None

    assert not cooldowns.active()


@pytest.mark.parametrize(
    "events",
    [
        "limited=30",
        "limited limited limited",
        "limited limited ok limited",
        "global=60 +59",
        "quota quota quota",
        "vendor vendor vendor +10 vendor",
        "limited limited limited +10 limited +20 limited",
        "500 500 500",
    ],
)
def test_a_refusal_in_an_event_counts_like_a_status(now: Time, events: str) -> None:
    """Copilot may accept a request first; the cooldowns are the same."""
    later = " ".join(
        one if one[0] == "+" or one == "ok" else f"200:{one}" for one in events.split()
    )

    expected = left(Cooldowns(now.clock.monotonic), now, events)
    assert expected == left(Cooldowns(now.clock.monotonic), now, later)


def test_a_disconnected_probe_does_not_count(cooldowns: Cooldowns, now: Time) -> None:
    """When a probe's client disconnects, the next request becomes the probe."""
    left(cooldowns, now, "403 403 403 +10")
    with pytest.raises(KeyboardInterrupt), cooldowns.guard(API, MODEL):
        raise KeyboardInterrupt

    assert ask(cooldowns, "403") is None
    assert ask(cooldowns) is not None


@pytest.mark.parametrize("refused", ["limited=30", "403 403 403"])
def test_an_answer_to_an_earlier_request_does_not_end_it(
    cooldowns: Cooldowns, now: Time, refused: str
) -> None:
    """An answer to a request sent before the refusal does not end the cooldown."""
    with cooldowns.guard(API, MODEL):
        left(cooldowns, now, refused)

    assert ask(cooldowns) is not None


def test_concurrent_refusals(
    cooldowns: Cooldowns, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Concurrent refusals start one cooldown with the longest wait, and cause one log line."""
    requests = [cooldowns.guard(API, MODEL) for _ in range(50)]
    for request in requests:
        request.__enter__()
    for number, request in enumerate(requests):
        error = made("limited=30" if number % 2 else "limited")
        request.__exit__(type(error), error, None)
        now.advance(0.01)

    assert [30] == [one.retry_in for one in cooldowns.active()]
    assert 1 == len(caplog.messages)


def test_a_longer_wait_from_an_earlier_request(cooldowns: Cooldowns, now: Time) -> None:
    """A longer wait from an earlier request extends the cooldown."""
    with pytest.raises(CopilotProxyError), cooldowns.guard(API, MODEL):
        ask(cooldowns, "limited=10")
        raise made("limited=100")

    assert [100] == [one.retry_in for one in cooldowns.active()]
    with pytest.raises(CooldownRefusal):
        cooldowns.guard(API, MODEL).__enter__()


def test_a_shorter_wait_from_an_earlier_request(cooldowns: Cooldowns) -> None:
    """A shorter wait from an earlier request does not shorten the cooldown."""
    with pytest.raises(CopilotProxyError), cooldowns.guard(API, MODEL):
        ask(cooldowns, "limited=100")
        raise made("limited=10")

    assert [100] == [one.retry_in for one in cooldowns.active()]


def test_a_success_and_a_refusal_at_once(cooldowns: Cooldowns, now: Time) -> None:
    """An earlier request that succeeds does not end the cooldown after a later refusal."""
    left(cooldowns, now, "403 403 403 +10")
    with cooldowns.guard(API, MODEL):
        left(cooldowns, now, "+30 403")

    assert [20] == [one.retry_in for one in cooldowns.active()]


def test_two_cooldowns_at_once(cooldowns: Cooldowns, now: Time) -> None:
    """The longer of two cooldowns is reported, and each is probed when it ends."""
    with pytest.raises(CopilotProxyError), cooldowns.guard(API, MODEL):
        ask(cooldowns, "model=20")
        raise made("global=100")
    refusal = ask(cooldowns)
    assert refusal is not None
    assert "100" == refusal.headers["retry-after"]

    now.advance(20)
    refusal = ask(cooldowns)
    assert refusal is not None
    assert "user_global_rate_limited:pro" == refusal.upstream_code
    now.advance(80)
    assert ask(cooldowns) is None


def test_it_is_logged_once(cooldowns: Cooldowns, caplog: pytest.LogCaptureFixture) -> None:
    """One line is logged when a cooldown begins, and none when its refusal is repeated.

    The line contains no secret, and its code has no suffix, which may name a plan.
    """
    with caplog.at_level(logging.WARNING, "copilot_proxy.upstreams"):
        ask(cooldowns, "model=30", model="ghu_0123456789abcdefghij")
        ask(cooldowns, "global=7200")
        for _ in range(10):
            ask(cooldowns)

    assert [
        Cooldown("model", "***", "user_model_rate_limited", 30),
        Cooldown("account", None, "user_global_rate_limited", 7200),
    ] == cooldowns.active()
    assert [
        "Copilot refused requests for the model *** (user_model_rate_limited); none will be sent "
        "for 30 s.",
        "Copilot refused requests for the account (user_global_rate_limited); none will be sent "
        "for 7200 s.",
    ] == caplog.messages


class Body:
    """A long conversation."""


def test_refused_requests_are_not_kept(cooldowns: Cooldowns) -> None:
    """A cooldown does not keep the refused request in memory."""

    def request() -> weakref.ref[Body]:
        body = Body()
        with contextlib.suppress(CopilotProxyError), cooldowns.guard(API, MODEL):
            raise made("limited=30")
        return weakref.ref(body)

    assert request()() is None
    assert cooldowns.active()


def test_the_number_of_models_is_limited(cooldowns: Cooldowns) -> None:
    """The number of remembered models is limited."""
    for number in range(1000):
        ask(cooldowns, "limited=3600", model=f"model-{number}")
        ask(cooldowns, "403", model=f"model-{number + 1000}")

    assert 256 == len(cooldowns.active()) == len(cooldowns._failures)
    assert ask(cooldowns, model="model-999") is not None


class Auth:
    """A signed-in account."""

    def __init__(self, github_token: str) -> None:
        self.token = CopilotToken(Secret("tid=1"), "https://x", github_token=Secret(github_token))


def test_cooldowns_are_per_sign_in(now: Time) -> None:
    """Cooldowns apply to one account, and a new sign-in starts without any."""
    accounts = AccountCooldowns(now.clock)
    mona, hubot = Auth("ghu_mona"), Auth("ghu_hubot")
    before = accounts.of(mona, mona.token)  # type: ignore[arg-type]
    ask(before, "weekly=3600")

    assert ask(accounts.of(mona, Auth("ghu_mona").token)) is not None  # type: ignore[arg-type]
    assert ask(accounts.of(hubot, hubot.token)) is None  # type: ignore[arg-type]
    assert 1 == len(accounts.active(mona))  # type: ignore[arg-type]
    after = accounts.of(mona, Auth("ghu_octocat").token)  # type: ignore[arg-type]
    assert ask(after) is None
    # Requests from the old account do not affect the new one.
    ask(before, "weekly=3600", model="other")
    assert not accounts.active(mona)  # type: ignore[arg-type]


def test_cooldowns_of_dropped_sign_ins_are_dropped(now: Time) -> None:
    """The cooldowns of a dropped caller token are also dropped."""
    accounts = AccountCooldowns(now.clock)
    gone = Auth("ghu_gone")
    ask(accounts.of(gone, gone.token), "limited=30")  # type: ignore[arg-type]
    del gone

    assert 0 == len(accounts._accounts)


@pytest.mark.parametrize(
    ("monotonic", "wall", "waits"),
    [(10, 10, 20), (1, 20, 10), (20, 1, 10), (0, 8 * 3600, 0), (8 * 3600, 0, 0), (10, -9000, 20)],
)
def test_sleep_and_clock_changes(now: Time, monotonic: float, wall: float, waits: int) -> None:
    """Sleep counts toward a cooldown, and a clock set back does not extend it."""
    auth = Auth("ghu_mona")
    accounts = AccountCooldowns(now.clock)
    ask(accounts.of(auth, auth.token), "limited=30")  # type: ignore[arg-type]
    now.monotonic += monotonic
    now.wall += wall

    active = accounts.active(auth)  # type: ignore[arg-type]
    assert waits == max((one.retry_in for one in active), default=0)


def test_without_a_cooldown_the_clock_is_not_read(now: Time) -> None:
    """Without a cooldown, not even the clock is read."""

    def no_clock() -> float:
        raise AssertionError

    assert ask(Cooldowns(no_clock)) is None
    assert ask(Cooldowns(no_clock), "bad") is None


def test_line_breaks_do_not_reach_the_log(
    cooldowns: Cooldowns, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks in a model's name do not reach the log."""
    ask(cooldowns, "limited=30", model="a\n12:00:00 200 fake")

    assert not re.search(r"[\r\n]", caplog.text.strip())
