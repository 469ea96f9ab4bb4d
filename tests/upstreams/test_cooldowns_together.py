"""Cooldowns with concurrent requests, several accounts and clock changes."""

import contextlib
import logging
import re
import weakref

import pytest

from copilot_proxy.auth.copilot_token import CopilotToken
from copilot_proxy.errors import CooldownRefusal, CopilotProxyError
from copilot_proxy.masking import Secret
from copilot_proxy.upstreams.cooldowns import AccountCooldowns, Cooldown, Cooldowns
from tests.auth.accounts import Time
from tests.upstreams.refused import API, MODEL, ask, left, made


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def restraint(now: Time) -> Cooldowns:
    return Cooldowns(now.clock.monotonic)


@pytest.mark.parametrize("events", ["403 403 403 +10", "weekly=9000 +3600"])
def test_one_request_asks(restraint: Cooldowns, now: Time, events: str) -> None:
    """One probe is sent after a cooldown; the others are refused until it succeeds."""
    left(restraint, now, events)
    with restraint.asking(API, MODEL):
        assert all(ask(restraint) for _ in range(50))

    assert ask(restraint) is None


@pytest.mark.parametrize("events", ["403 403 403 +10", "weekly=9000 +3600"])
def test_one_that_hangs_is_not_waited_for(restraint: Cooldowns, now: Time, events: str) -> None:
    """After 30 seconds another probe is sent; the outcome of the first still counts."""
    left(restraint, now, events)
    with restraint.asking(API, MODEL):
        now.passes(29)
        assert ask(restraint) is not None
        now.passes(1)
        assert ask(restraint, "500") is None

    assert not restraint.standing()


def test_one_that_is_left_alone_counts_for_nothing(restraint: Cooldowns, now: Time) -> None:
    """When the client of a probe disconnects, the next request becomes the probe."""
    left(restraint, now, "403 403 403 +10")
    with pytest.raises(KeyboardInterrupt), restraint.asking(API, MODEL):
        raise KeyboardInterrupt

    assert ask(restraint, "403") is None
    assert ask(restraint) is not None


@pytest.mark.parametrize("refused", ["limited=30", "403 403 403"])
def test_an_answer_that_was_under_way_ends_nothing(
    restraint: Cooldowns, now: Time, refused: str
) -> None:
    """An answer to a request sent before the refusal does not end the cooldown."""
    with restraint.asking(API, MODEL):
        left(restraint, now, refused)

    assert ask(restraint) is not None


def test_refusals_that_were_under_way(
    restraint: Cooldowns, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Many that are refused together make one rest, the longest that any of them was told, and
    one line in the log."""
    requests = [restraint.asking(API, MODEL) for _ in range(50)]
    for request in requests:
        request.__enter__()
    for number, request in enumerate(requests):
        error = made("limited=30" if number % 2 else "limited")
        request.__exit__(type(error), error, None)
        now.passes(0.01)

    assert [30] == [one.retry_in for one in restraint.standing()]
    assert 1 == len(caplog.messages)


def test_a_time_that_came_late_is_kept(restraint: Cooldowns, now: Time) -> None:
    """A longer wait from an earlier request extends the cooldown."""
    with pytest.raises(CopilotProxyError), restraint.asking(API, MODEL):
        ask(restraint, "limited=10")
        raise made("limited=100")

    assert [100] == [one.retry_in for one in restraint.standing()]
    with pytest.raises(CooldownRefusal):
        restraint.asking(API, MODEL).__enter__()


def test_a_shorter_time_that_came_late_changes_nothing(restraint: Cooldowns) -> None:
    """A shorter wait from an earlier request does not shorten the cooldown."""
    with pytest.raises(CopilotProxyError), restraint.asking(API, MODEL):
        ask(restraint, "limited=100")
        raise made("limited=10")

    assert [100] == [one.retry_in for one in restraint.standing()]


def test_two_that_asked_at_odds(restraint: Cooldowns, now: Time) -> None:
    """A success of an earlier request does not end the cooldown of a later refusal."""
    left(restraint, now, "403 403 403 +10")
    with restraint.asking(API, MODEL):
        left(restraint, now, "+30 403")

    assert [20] == [one.retry_in for one in restraint.standing()]


def test_two_rests_at_once(restraint: Cooldowns, now: Time) -> None:
    """Of two cooldowns the longer one is reported, and each is probed when it ends."""
    with pytest.raises(CopilotProxyError), restraint.asking(API, MODEL):
        ask(restraint, "model=20")
        raise made("global=100")
    told = ask(restraint)
    assert told is not None
    assert "100" == told.headers["retry-after"]

    now.passes(20)
    told = ask(restraint)
    assert told is not None
    assert "user_global_rate_limited:pro" == told.upstream_code
    now.passes(80)
    assert ask(restraint) is None


def test_what_is_told_of_it(restraint: Cooldowns, caplog: pytest.LogCaptureFixture) -> None:
    """One line when a rest begins, none when it is told again; no suffix, which may name a plan,
    and nothing that is a secret."""
    with caplog.at_level(logging.WARNING, "copilot_proxy.upstreams"):
        ask(restraint, "model=30", model="ghu_0123456789abcdefghij")
        ask(restraint, "global=7200")
        for _ in range(10):
            ask(restraint)

    assert [
        Cooldown("model", "***", "user_model_rate_limited", 30),
        Cooldown("account", None, "user_global_rate_limited", 7200),
    ] == restraint.standing()
    assert [
        "Copilot refuses the model *** (user_model_rate_limited): it is not asked for 30 s",
        "Copilot refuses the account (user_global_rate_limited): it is not asked for 7200 s",
    ] == caplog.messages


class Body:
    """A long conversation."""


def test_what_was_asked_is_not_kept(restraint: Cooldowns) -> None:
    """A cooldown does not keep the refused request in memory."""

    def request() -> weakref.ref[Body]:
        body = Body()
        with contextlib.suppress(CopilotProxyError), restraint.asking(API, MODEL):
            raise made("limited=30")
        return weakref.ref(body)

    assert request()() is None
    assert restraint.standing()


def test_made_up_models_take_no_room(restraint: Cooldowns) -> None:
    """The number of remembered models is limited."""
    for number in range(1000):
        ask(restraint, "limited=3600", model=f"model-{number}")
        ask(restraint, "403", model=f"model-{number + 1000}")

    assert 256 == len(restraint.standing()) == len(restraint._strikes)
    assert ask(restraint, model="model-999") is not None


class Auth:
    """A signed-in account."""

    def __init__(self, github_token: str) -> None:
        self.token = CopilotToken(Secret("tid=1"), "https://x", github_token=Secret(github_token))


def test_each_sign_in_by_itself(now: Time) -> None:
    """Cooldowns apply to one account, and a new sign-in starts without any."""
    restraints = AccountCooldowns(now.clock)
    mona, hubot = Auth("ghu_mona"), Auth("ghu_hubot")
    before = restraints.of(mona, mona.token)  # type: ignore[arg-type]
    ask(before, "weekly=3600")

    assert ask(restraints.of(mona, Auth("ghu_mona").token)) is not None  # type: ignore[arg-type]
    assert ask(restraints.of(hubot, hubot.token)) is None  # type: ignore[arg-type]
    assert 1 == len(restraints.standing(mona))  # type: ignore[arg-type]
    after = restraints.of(mona, Auth("ghu_octocat").token)  # type: ignore[arg-type]
    assert ask(after) is None
    # What was under way for the old account says nothing about the new one.
    ask(before, "weekly=3600", model="other")
    assert not restraints.standing(mona)  # type: ignore[arg-type]


def test_sign_ins_that_are_gone_are_forgotten(now: Time) -> None:
    """The cooldowns of a dropped caller token are dropped, too."""
    restraints = AccountCooldowns(now.clock)
    gone = Auth("ghu_gone")
    ask(restraints.of(gone, gone.token), "limited=30")  # type: ignore[arg-type]
    del gone

    assert 0 == len(restraints._kept)


@pytest.mark.parametrize(
    ("monotonic", "wall", "waits"),
    [(10, 10, 20), (1, 20, 10), (20, 1, 10), (0, 8 * 3600, 0), (8 * 3600, 0, 0), (10, -9000, 20)],
)
def test_clocks_that_jump(now: Time, monotonic: float, wall: float, waits: int) -> None:
    """Sleep counts towards a cooldown, and a clock set back does not extend it."""
    auth = Auth("ghu_mona")
    restraints = AccountCooldowns(now.clock)
    ask(restraints.of(auth, auth.token), "limited=30")  # type: ignore[arg-type]
    now.monotonic += monotonic
    now.wall += wall

    standing = restraints.standing(auth)  # type: ignore[arg-type]
    assert waits == max((one.retry_in for one in standing), default=0)


def test_nothing_is_looked_up_while_nothing_rests(now: Time) -> None:
    """Without a cooldown not even the clock is read."""

    def no_clock() -> float:
        raise AssertionError

    assert ask(Cooldowns(no_clock)) is None
    assert ask(Cooldowns(no_clock), "bad") is None


def test_the_words_of_the_log_hold_no_line_breaks(
    restraint: Cooldowns, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks in a model's name do not reach the log."""
    ask(restraint, "limited=30", model="a\n12:00:00 200 fake")

    assert not re.search(r"[\r\n]", caplog.text.strip())
