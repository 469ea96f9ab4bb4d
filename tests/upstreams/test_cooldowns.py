"""Cooldowns: tables of Copilot's answers and the resulting pauses."""

import pytest

from copilot_proxy.upstreams.cooldowns import Cooldowns
from tests.auth.accounts import Time
from tests.upstreams.refusals import ask, left, made


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def cooldowns(now: Time) -> Cooldowns:
    return Cooldowns(now.clock.monotonic)


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        # A cooldown lasts exactly as long as the specified wait.
        ("limited=30", 30),
        ("limited=30 +29 -ok", 1),
        ("limited=30 +29.5 -ok", 1),
        ("limited=30 +30 ok ok", 0),
        ("limited400=30", 30),
        ("busy=5", 5),
        ("quota=600", 600),
        ("quota403=600", 600),
        # A second refusal starts a cooldown with its own wait.
        ("limited=30 +30 limited=60", 60),
        # A longer wait is reported, but one probe is sent after an hour.
        ("weekly=183600 +3599 -ok", 180001),
        ("weekly=183600 +3600 ok ok", 0),
        ("weekly=183600 +3600 weekly=180000 -ok +3599 -ok +1 ok", 0),
        ("weekly=183600 +3600 weekly=20 -ok +20 ok", 0),
        # The limit continues if the probe is refused without a wait, or fails for another reason.
        ("weekly=183600 +3600 weekly -ok +3599 -ok", 176401),
        ("weekly=183600 +3600 500 weekly -ok", 180000),
        # Without a wait, the first two refusals have no effect.
        ("limited limited", 0),
        ("limited limited limited", 10),
        ("limited=0 limited=0 limited=0", 10),
        ("quota quota quota", 10),
        ("401 401", 0),
        ("401 401 401", 10),
        ("given given given", 10),
        ("403 403 403", 10),
        ("terms 403 terms", 10),
        # Refusals within a minute are counted together if there is no answer between them.
        ("403 +29 403 +29 403", 10),
        ("403 +31 403 +31 403", 0),
        ("403 +31 403 +31 403 403", 10),
        ("403 403 ok 403 403", 0),
        ("401 403 401 403", 0),
        # After that, one probe is sent at a time, with growing pauses.
        ("403 403 403 +10 403", 20),
        ("403 403 403 +10 403 +20 403", 40),
        ("403 403 403 +10 403 +20 403 +40 403 +80 403 +160 403", 300),
        ("403 403 403 +10 403 +20 403 +40 403 +80 403 +160 403 +300 403", 300),
        ("403 403 403 +10 ok 403 403", 0),
        ("403 403 403 +10 limited=7", 7),
        # A probe that fails for another reason is followed by another probe.
        ("403 403 403 +10 bad 500 cut down 403", 20),
        # Errors in the request, and failures that are not refusals, never count.
        ("bad bad bad bad", 0),
        ("unknown unknown unknown unknown", 0),
        ("sealed sealed sealed sealed", 0),
        ("policy policy policy policy", 0),
        ("404 404 404 404", 0),
        ("413 413 413 413", 0),
        ("422 422 422 422", 0),
        ("466 466 466 466", 0),
        ("500 500 500 500", 0),
        ("busy busy busy busy", 0),
        ("cut cut cut cut", 0),
        ("down down down down", 0),
        ("403 bad 403 500 403", 10),
    ],
)
def test_waits(cooldowns: Cooldowns, now: Time, events: str, waits: int) -> None:
    """Each sequence of answers leads to the expected cooldown."""
    assert waits == left(cooldowns, now, events)


@pytest.mark.parametrize(
    ("events", "same", "other_api", "other_model"),
    [
        ("limited=9", False, False, True),
        ("model=9", False, False, True),
        ("overloaded=9", False, False, True),
        ("vendor=9", False, False, True),
        ("busy=9", False, False, True),
        ("quota=9", False, False, True),
        ("global=9", False, False, False),
        ("weekly=9", False, False, False),
        ("integration=9", False, False, False),
        ("agents=9", False, False, False),
        ("extension extension extension", False, False, False),
        ("limited limited limited", False, False, True),
        ("401 401 401", False, False, False),
        # For example, token counts may be forbidden although answers are allowed.
        ("403 403 403", False, True, True),
    ],
)
def test_scope(
    cooldowns: Cooldowns, now: Time, events: str, same: bool, other_api: bool, other_model: bool
) -> None:
    """A cooldown applies to one API, to all APIs of a model, or to all models."""
    left(cooldowns, now, events)

    assert (same, other_api, other_model) == (
        ask(cooldowns) is None,
        ask(cooldowns, api="embeddings") is None,
        ask(cooldowns, model="other") is None,
    )
    scopes = [one.scope for one in cooldowns.active()]
    assert ["model" if other_model else "account"] == scopes


def test_the_refusal_is_repeated(cooldowns: Cooldowns, now: Time) -> None:
    """A repeated refusal has all details of the original, and the remaining time."""
    first = made("model=90")
    ask(cooldowns, "model=90")
    now.advance(29.2)
    again = ask(cooldowns)

    assert again is not None
    for name in ("status", "code", "type", "param", "upstream_status", "upstream_code"):
        assert getattr(first, name) == getattr(again, name)
    assert first.extra == again.extra
    assert {"retry-after": "61", "x-should-retry": "false"} == again.headers
    assert f"Copilot's earlier response: {first.message}" == again.message
    assert "This limit applies to the model: wait 61 s (1 min), or" in str(again.hint)
    assert str(again.hint).startswith("The request was not sent")


def test_sdks_retry_only_after_a_short_cooldown(cooldowns: Cooldowns, now: Time) -> None:
    """SDKs may retry after a short cooldown, but not after a long or indefinite one."""
    ask(cooldowns, "model=90")
    now.advance(30)
    short = ask(cooldowns)
    left(cooldowns, now, "+60 403 403 403")
    opaque = ask(cooldowns)

    assert short is not None
    assert {"retry-after": "60"} == short.headers
    assert opaque is not None
    assert {"retry-after": "10", "x-should-retry": "false"} == opaque.headers


def test_the_refusal_of_a_callers_token_is_repeated(cooldowns: Cooldowns, now: Time) -> None:
    """If a caller's rejected token is refused again, the error has the original code and status."""
    left(cooldowns, now, "given given given")
    again = ask(cooldowns)

    assert again is not None
    assert (401, "caller_token_refused", "No.") == (again.status, again.code, again.message)
