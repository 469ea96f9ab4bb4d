"""All faults that can be switched on, one at a time."""

import time

import httpx
import pytest

from copilot_proxy.simulator import FAULTS
from copilot_proxy.simulator.exchange_answers import EXCHANGE_ANSWERS
from copilot_proxy.simulator.fault_answers import ANSWERS
from copilot_proxy.simulator.refusal import TOO_OLD
from tests.selection import share

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Count to 12"}], "stream": True}
NO_QUOTA = {"error": {"message": "You have no quota", "code": "quota_exceeded"}}


def on(copilot, name, **more):
    copilot.simulator.state.faults.on(name, times=1, **more)


def code(answer):
    return answer.json()["error"]["code"]


def test_the_catalogue_explains_every_fault():
    """Every fault has a description."""
    assert len(FAULTS) > 100
    assert all(isinstance(text, str) and len(text) > 10 for text in FAULTS.values())


def test_unknown_faults_are_refused(simulator):
    """A misspelled name causes an error that lists the faults."""
    with pytest.raises(ValueError, match="rate_limited"):
        simulator.state.faults.on("rate_limit")


PATHS = ("/chat/completions", "/responses", "/v1/messages", "/embeddings")


@pytest.mark.parametrize("name", ANSWERS)
def test_every_error_response_can_be_switched_on(copilot, name):
    """Each error response has the status that its description names, on the model APIs."""
    expected = int(ANSWERS[name].description[:3])
    for path in share(PATHS, name, 2):
        on(copilot, name)
        answer = copilot.post(path, {})
        assert (expected, True) == (answer.status_code, "x-github-request-id" in answer.headers)
        assert 400 == copilot.post(path, {}).status_code


def test_errors_read_as_documented(copilot):
    """The bodies that clients match on are the same as Copilot's."""
    on(copilot, "quota_exceeded")
    answer = copilot.chat()
    assert (402, NO_QUOTA) == (answer.status_code, answer.json())
    assert "retry-after" not in answer.headers
    on(copilot, "quota_exceeded", value="overage_limit_reached")
    assert "overage_limit_reached" == code(copilot.chat())
    on(copilot, "api_version_466")
    assert TOO_OLD == copilot.chat().text
    on(copilot, "resource_exhausted")
    assert 429 == code(copilot.chat())
    on(copilot, "nested_json_429")
    assert "RESOURCE_EXHAUSTED" in copilot.chat().json()["error"]["message"]
    on(copilot, "bad_gateway_html")
    page = copilot.chat()
    assert (502, True) == (page.status_code, page.headers["content-type"].startswith("text/html"))
    on(copilot, "foreign_item_id", value=401)
    assert 401 == copilot.responses().status_code
    on(copilot, "unsupported_api_for_model", value="gpt-4o")
    assert '"gpt-4o" is not accessible via the' in copilot.chat().json()["error"]["message"]
    on(copilot, "rate_limited_body", value=9)
    assert 9 == copilot.chat().json()["error"]["retry_after"]
    on(copilot, "prompt_too_long_anthropic")
    assert "error" == copilot.messages().json()["type"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "30"), (7, "7"), ("Wed, 21 Oct 2026 07:28:00 GMT",) * 2, ("none", None)],
)
def test_retry_after_of_rate_limits(copilot, value, expected):
    """Retry-After has the fault's value (seconds or a date), or is missing."""
    on(copilot, "rate_limited", value=value)
    answer = copilot.chat()
    assert (429, expected) == (answer.status_code, answer.headers.get("retry-after"))
    assert "rate_limited" == answer.headers["x-ratelimit-exceeded"] == code(answer)


def test_weekly_limits_take_days(copilot):
    """The weekly limit lasts for days; its error mentions the terms, but not abuse."""
    on(copilot, "user_weekly_rate_limited")
    answer = copilot.chat()
    assert int(answer.headers["retry-after"]) > 100_000
    assert "Terms of Service" in answer.json()["error"]["message"]


def test_the_number_of_failures_can_be_set(copilot):
    """`times` limits a fault; without it, a fault stays until it is switched off."""
    faults = copilot.simulator.state.faults
    faults.on("forbidden", times=2)
    assert [403, 403, 200] == [copilot.chat().status_code for _ in range(3)]
    faults.on("forbidden")
    assert [403] * 3 == [copilot.chat().status_code for _ in range(3)]
    assert (True, False) == (faults.off("forbidden"), faults.off("forbidden"))
    faults.on("forbidden")
    faults.clear()
    assert 200 == copilot.chat().status_code


def test_the_path_of_a_fault_can_be_set(copilot):
    """`path` limits a fault to a path, even a path where it would otherwise not apply."""
    faults = copilot.simulator.state.faults
    faults.on("server_error_500", path="/responses")
    assert (200, 500) == (copilot.chat().status_code, copilot.responses().status_code)
    assert 200 == copilot.get("/models").status_code
    faults.on("server_error_500", path="/models")
    assert (200, 500) == (copilot.chat().status_code, copilot.get("/models").status_code)


def test_faults_do_not_bypass_authentication(copilot):
    """A request without a token is refused for that reason, whatever fault is on."""
    copilot.simulator.state.faults.on("quota_exceeded")
    assert 400 == copilot.http.post("/chat/completions", json={}).status_code


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("exchange_401", None, 401),
        ("exchange_403", "billing_locked", 403),
        ("exchange_403", None, 403),
        ("exchange_404", None, 404),
        ("exchange_rate_limit", None, 403),
        ("exchange_500", None, 500),
        ("exchange_500", "503", 503),
        ("exchange_html", None, 502),
        ("exchange_missing_fields", None, 200),
        ("exchange_empty", None, 200),
    ],
)
def test_the_exchange_can_fail(copilot, name, value, status):
    """Each failure of the exchange can be switched on and off."""
    before = copilot.simulator.state.exchanges
    on(copilot, name, value=value)
    answer = copilot.exchange()
    assert (status, before) == (answer.status_code, copilot.simulator.state.exchanges)
    if name == "exchange_403":
        details = answer.json()["error_details"]
        assert (value or "no_copilot_access") == details["notification_id"]
    assert name in EXCHANGE_ANSWERS
    assert 200 == copilot.exchange().status_code


def test_the_connection_can_be_reset_before_the_answer(copilot):
    """The client sees a reset instead of an answer."""
    on(copilot, "cut_before_headers")
    with pytest.raises(httpx.ReadError):
        copilot.chat()
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.finished == "fault")
    assert ("/chat/completions", None) == (record.path, record.status)


def test_faults_before_the_answer_reach_every_path_that_is_named(copilot):
    """Other paths, such as the token exchange, can also be cut off or stalled."""
    on(copilot, "cut_before_headers", path="/copilot_internal/v2/token")
    assert 200 == copilot.chat().status_code
    with pytest.raises(httpx.TransportError):
        copilot.exchange()


def test_the_answer_can_be_delayed(copilot):
    """The headers are delayed by the fault's value, or until the client disconnects."""
    on(copilot, "stall_before_headers", value=0.05)
    begun = time.monotonic()
    assert 200 == copilot.chat().status_code
    assert time.monotonic() - begun >= 0.05
    on(copilot, "stall_before_headers")
    with pytest.raises(httpx.ReadTimeout):
        copilot.http.post("/chat/completions", json=CHAT, headers=copilot.headers, timeout=0.05)
    record = copilot.simulator.state.recorder.wait_for(lambda one: one.closed_by_client)
    assert None is record.status
