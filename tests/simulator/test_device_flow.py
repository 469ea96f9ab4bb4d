"""The device flow, as implemented by github.com."""

from urllib.parse import parse_qs

import httpx
import pytest

from copilot_proxy.simulator.github import GRANT

CLIENT = "Iv1.b507a08c87ecfe98"
JSON = {"accept": "application/json"}


def begin(http, **more):
    body = {"client_id": CLIENT, "scope": "read:user", **more}
    return http.post("/login/device/code", json=body, headers=JSON).json()


def poll(http, code, **more):
    body = {"client_id": CLIENT, "device_code": code, "grant_type": GRANT, **more}
    return http.post("/login/oauth/access_token", json=body, headers=JSON)


def test_a_login_begins_with_a_code(simulator, http):
    """The answer has five fields, including the user code and the page on which to enter it."""
    found = begin(http)
    assert {"device_code", "user_code", "verification_uri", "expires_in", "interval"} == set(found)
    assert (40, 9, 899, 5) == (
        len(found["device_code"]),
        len(found["user_code"]),
        found["expires_in"],
        found["interval"],
    )
    assert f"{simulator.url}/login/device" == found["verification_uri"]


def test_forms_and_json_are_accepted(http):
    """A sign-in can be started and polled with either forms or JSON."""
    found = http.post("/login/device/code", data={"client_id": CLIENT}, headers=JSON).json()
    body = {"client_id": CLIENT, "device_code": found["device_code"], "grant_type": GRANT}
    answer = http.post("/login/oauth/access_token", data=body, headers=JSON)
    assert "authorization_pending" == answer.json()["error"]


def test_without_accept_the_answer_is_a_form(http):
    """Without `accept: application/json`, the answer is a form."""
    answer = http.post("/login/device/code", json={"client_id": CLIENT})
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert "user_code" in parse_qs(answer.text)


def test_an_unknown_app_cannot_begin(http):
    """A client id that GitHub does not know gets a 404."""
    answer = http.post("/login/device/code", json={"client_id": "Iv1.nobody"}, headers=JSON)
    assert (404, {"error": "Not Found"}) == (answer.status_code, answer.json())


def test_the_third_poll_succeeds(simulator, http):
    """Without a script, a sign-in succeeds at the third poll, and its token can be exchanged."""
    simulator.state.interval = 0
    code = begin(http)["device_code"]
    found = [poll(http, code) for _ in range(3)]
    assert [200] * 3 == [answer.status_code for answer in found]
    assert ["authorization_pending"] * 2 == [answer.json()["error"] for answer in found[:2]]
    done = found[2].json()
    assert ("bearer", "") == (done["token_type"], done["scope"])
    assert done["access_token"].startswith("ghu_")
    headers = {"authorization": f"token {done['access_token']}"}
    assert 200 == http.get("/copilot_internal/v2/token", headers=headers).status_code
    assert "incorrect_device_code" == poll(http, code).json()["error"]


def test_polling_too_fast_is_slowed_down(http):
    """Polling too fast increases the interval by five seconds each time."""
    code = begin(http)["device_code"]
    found = [poll(http, code).json() for _ in range(3)]
    assert ["authorization_pending", "slow_down", "slow_down"] == [one["error"] for one in found]
    assert [10, 15] == [one["interval"] for one in found[1:]]


def test_approval_on_the_page(simulator, http):
    """Entering the code on the page approves the sign-in."""
    simulator.state.auto_approve = False
    simulator.state.interval = 0
    found = begin(http)
    for _ in range(3):
        assert "authorization_pending" == poll(http, found["device_code"]).json()["error"]
    page = http.get("/login/device", params={"user_code": found["user_code"]})
    assert found["user_code"] in page.text
    done = http.post("/login/device", data={"user_code": found["user_code"].lower()})
    assert (200, True) == (done.status_code, "Done" in done.text)
    assert "access_token" in poll(http, found["device_code"]).json()


def test_refusal_on_the_page(simulator, http):
    """Cancelling, on the page or with JSON, makes the next poll fail."""
    simulator.state.interval = 0
    found = begin(http)
    body = {"user_code": found["user_code"], "answer": "deny"}
    assert 200 == http.post("/login/device", json=body).status_code
    assert "access_denied" == poll(http, found["device_code"]).json()["error"]


def test_a_wrong_code_on_the_page(http):
    """An unknown code gets a 404."""
    assert 404 == http.post("/login/device", json={"user_code": "AAAA-AAAA"}).status_code


def test_a_sign_in_expires(simulator, http):
    """Once a sign-in has expired, polls get expired_token."""
    simulator.state.device_expires_in = 0
    assert "expired_token" == poll(http, begin(http)["device_code"]).json()["error"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"client_id": "nobody"}, "incorrect_client_credentials"),
        ({"client_id": "01ab8ac9400c4e429b23"}, "incorrect_device_code"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"device_code": "0" * 40}, "incorrect_device_code"),
    ],
)
def test_wrong_polls_are_errors_with_status_200(http, changed, error):
    """Poll errors have status 200 and a description."""
    code = begin(http)["device_code"]
    answer = poll(http, code, **changed)
    assert (200, error) == (answer.status_code, answer.json()["error"])
    assert {"error", "error_description", "error_uri"} == set(answer.json())


def test_a_script_decides_every_answer(simulator, http):
    """A script's answers are sent in order, and the last one is repeated."""
    simulator.state.device_flow = [
        "pending",
        "slow_down",
        "http_500",
        "missing_fields",
        "device_flow_disabled",
        "expired",
        "denied",
    ]
    code = begin(http)["device_code"]
    found = [poll(http, code) for _ in range(8)]
    assert [200, 200, 500, 200, 200, 200, 200, 200] == [one.status_code for one in found]
    errors = [one.json().get("error") for one in found]
    assert [
        "authorization_pending",
        "slow_down",
        None,
        None,
        "device_flow_disabled",
        "expired_token",
        "access_denied",
        "access_denied",
    ] == errors
    assert 10 == found[1].json()["interval"]
    assert "access_token" not in found[3].json()


def test_a_script_can_cause_failures(simulator, http):
    """A poll may get an HTML page, or no answer."""
    simulator.state.device_flow = ["html", "drop", "ok"]
    code = begin(http)["device_code"]
    page = poll(http, code)
    assert (502, True) == (page.status_code, page.text.startswith("<!DOCTYPE html>"))
    with pytest.raises(httpx.TransportError):
        poll(http, code)
    assert "access_token" in poll(http, code).json()


def test_other_apps_get_tokens_that_cannot_be_exchanged(simulator, http):
    """Another app's sign-in works, but its token cannot be exchanged."""
    simulator.state.device_flow = ["ok"]
    other = "Ov23li8tweQw6odWQebz"
    code = begin(http, client_id=other)["device_code"]
    token = poll(http, code, client_id=other).json()["access_token"]
    assert token.startswith("gho_")
    headers = {"authorization": f"token {token}"}
    assert 404 == http.get("/copilot_internal/v2/token", headers=headers).status_code
    assert 200 == http.get("/copilot_internal/user", headers=headers).status_code


def test_a_body_that_is_not_an_object(http):
    """A malformed body gets the same answer as an unknown app."""
    answer = http.post("/login/device/code", content=b"nonsense", headers=JSON)
    assert 404 == answer.status_code
