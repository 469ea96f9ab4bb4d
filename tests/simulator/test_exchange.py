"""The token exchange and the account endpoints, as implemented by api.github.com."""

import time
from dataclasses import replace

import httpx
import pytest

from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from copilot_proxy.simulator.plans import PLANS
from copilot_proxy.simulator.state import FOREIGN_TOKEN


def test_a_token_has_the_real_shape(simulator, copilot):
    """The token has the format of Copilot's tokens: pairs, a colon and a MAC.

    The rest of the answer describes how to use the token.
    """
    before = time.time()
    body = copilot.exchange().json()
    after = time.time()
    pairs, _, mac = body["token"].partition(":")
    fields = dict(pair.split("=", 1) for pair in pairs.split(";"))
    assert {"tid", "exp", "sku", "proxy-ep", "chat"} <= set(fields)
    assert (64, str(body["expires_at"])) == (len(mac), fields["exp"])
    assert 1500 == body["refresh_in"]
    assert before + 1799 <= body["expires_at"] <= after + 1801
    assert simulator.url == body["endpoints"]["api"]


def test_every_exchange_is_new_and_counted(simulator, copilot):
    """No two exchanges return the same token."""
    found = {copilot.exchange(scheme=scheme).json()["token"] for scheme in ("token", "Bearer")}
    assert (2, 3) == (len(found), simulator.state.exchanges)


@pytest.mark.parametrize(
    ("token", "status", "message"),
    [
        ("ghu_unknown", 401, "Bad credentials"),
        ("ghp_classic", 401, "Bad credentials"),
        ("github_pat_11A", 403, "Resource not accessible by personal access token"),
        ("gho_unknown", 401, "Bad credentials"),
        (FOREIGN_TOKEN, 404, "Not Found"),
    ],
)
def test_other_tokens_are_refused(copilot, token, status, message):
    """Each wrong kind of token has its own answer, in GitHub's flat format."""
    answer = copilot.exchange(token)
    assert (status, message, str(status)) == (
        answer.status_code,
        answer.json()["message"],
        answer.json()["status"],
    )
    assert answer.headers["x-github-request-id"].count(":") == 4


@pytest.mark.parametrize("header", [None, "Basic abc", "token"])
def test_no_token_is_refused(http, header):
    """Without a usable Authorization header, authentication is required."""
    headers = {} if header is None else {"authorization": header}
    answer = http.get("/copilot_internal/v2/token", headers=headers)
    assert (401, "Requires authentication") == (answer.status_code, answer.json()["message"])


def test_a_user_agent_is_required(http):
    """GitHub's REST API requires a user agent."""
    http.headers["user-agent"] = ""
    headers = {"authorization": f"token {SIMULATED_TOKEN}"}
    assert 403 == http.get("/user", headers=headers).status_code


def test_some_user_agents_are_refused(http):
    """Go's default user agent is refused."""
    headers = {"authorization": f"token {SIMULATED_TOKEN}", "user-agent": "Go-http-client/2.0"}
    answer = http.get("/copilot_internal/v2/token", headers=headers)
    assert (403, "go_http_client") == (
        answer.status_code,
        answer.json()["error_details"]["notification_id"],
    )


@pytest.mark.parametrize(
    "reason", ["no_copilot_access", "programmatic_token_generation", "spammy_user"]
)
def test_a_blocked_account(simulator, copilot, reason):
    """The refusal has a message and a link for the user; unblocking works."""
    simulator.state.block(reason)
    answer = copilot.exchange()
    details = answer.json()["error_details"]
    assert (403, reason) == (answer.status_code, details["notification_id"])
    assert {"message", "notification_id", "title", "url"} == set(details)
    simulator.state.unblock()
    assert 200 == copilot.exchange().status_code


def test_a_notification_with_the_token(simulator, copilot):
    """A valid token may be accompanied by a notification."""
    note = {"notification_id": "subscription_trial_ending", "message": "Soon", "title": "Trial"}
    simulator.state.user_notification = note
    assert note == copilot.exchange().json()["user_notification"]


def test_a_revoked_token_is_bad_credentials(simulator, copilot):
    """A revoked token gets a 401 from the exchange and from `/user` until it is restored."""
    simulator.state.revoke()
    assert 401 == copilot.exchange().status_code
    headers = {"authorization": f"token {SIMULATED_TOKEN}"}
    assert 401 == copilot.http.get("/user", headers=headers).status_code
    simulator.state.restore()
    assert 200 == copilot.exchange().status_code


def test_an_expired_copilot_token_is_401_in_plain_text(simulator, copilot):
    """Expiring tokens takes effect immediately; a new exchange fixes it."""
    simulator.state.expire_tokens()
    answer = copilot.chat()
    assert (401, "IDE token expired: unauthorized: token expired\n") == (
        answer.status_code,
        answer.text,
    )
    copilot.renew()
    assert 200 == copilot.chat().status_code


def test_times_can_be_set(simulator, copilot):
    """Lifetime, early renewal and a wrong clock can be simulated."""
    simulator.state.expires_in = 0
    simulator.state.refresh_in = 7
    simulator.state.expires_at = 12345
    body = copilot.exchange().json()
    assert (12345, 7) == (body["expires_at"], body["refresh_in"])
    copilot.headers["authorization"] = f"Bearer {body['token']}"
    assert 401 == copilot.chat().status_code


def test_github_can_be_down(simulator, copilot):
    """Connections to GitHub break while the Copilot API keeps working."""
    simulator.state.github_down = True
    assert simulator.state.github_down
    with pytest.raises(httpx.TransportError):
        copilot.exchange()
    assert 200 == copilot.chat().status_code
    simulator.state.github_down = False
    assert 200 == copilot.exchange().status_code


def test_settings_at_the_start():
    """All settings can be given when the simulator is created."""
    simulator = Simulator(
        github_down=True, plan="max", faults=["rate_limited=7", "crlf"], catalogue=[]
    )
    state = simulator.state
    assert (True, "max", []) == (state.github_down, state.plan, state.catalogue)
    on = state.faults.listed()["on"]
    assert ("7", None) == (on["rate_limited"]["value"], on["crlf"]["value"])


def test_unknown_plans_are_refused():
    """A misspelled plan causes an error that lists the plans."""
    with pytest.raises(ValueError, match="free_credits"):
        Simulator(plan="premium")


def test_user_has_the_login(copilot):
    """`/user` returns the login."""
    headers = {"authorization": f"token {SIMULATED_TOKEN}"}
    assert "mona" == copilot.http.get("/user", headers=headers).json()["login"]


def account(copilot, plan):
    copilot.simulator.state.plan = plan
    headers = {"authorization": f"token {SIMULATED_TOKEN}"}
    return copilot.http.get("/copilot_internal/user", headers=headers).json()


@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_has_its_account(simulator, copilot, plan):
    """Every plan's account is served, and names the simulator as its API host."""
    found = account(copilot, plan)
    assert (PLANS[plan].sku, simulator.url) == (found["access_type_sku"], found["endpoints"]["api"])
    assert PLANS[plan].chat_enabled == found["chat_enabled"]


def test_free_accounts_with_monthly_quotas(copilot):
    """The older free plan has the remaining quota in separate fields, and no snapshots."""
    found = account(copilot, "free")
    assert {"chat": 410, "completions": 4000} == found["limited_user_quotas"]
    assert {"chat": 500, "completions": 4000} == found["monthly_quotas"]
    assert "quota_snapshots" not in found
    token = copilot.exchange().json()
    assert (True, 410) == (token["individual"], token["limited_user_quotas"]["chat"])
    assert token["limited_user_reset_date"] > time.time()


def test_free_accounts_billed_by_tokens(copilot):
    """The newer free plan has snapshots; its premium interactions are zero."""
    found = account(copilot, "free_credits")["quota_snapshots"]
    assert (97.8, 0, 100) == (
        found["chat"]["percent_remaining"],
        found["premium_interactions"]["percent_remaining"],
        found["completions"]["percent_remaining"],
    )


def test_pro_accounts_with_premium_interactions(copilot):
    """Paid plans are unlimited, except for premium interactions."""
    found = account(copilot, "pro")
    premium = found["quota_snapshots"]["premium_interactions"]
    assert (300, 171, 171.67, 57.2, False) == (
        premium["entitlement"],
        premium["remaining"],
        premium["quota_remaining"],
        premium["percent_remaining"],
        premium["unlimited"],
    )
    assert found["quota_snapshots"]["chat"]["unlimited"]
    assert (False, True) == (found["token_based_billing"], "quota_reset_date_utc" in found)


def test_pro_accounts_billed_by_tokens(copilot):
    """The quota has the credits used and the time of the reset."""
    premium = account(copilot, "pro_credits")["quota_snapshots"]["premium_interactions"]
    assert (1500, 596.59, True) == (
        premium["entitlement"],
        premium["credits_used"],
        premium["token_based_billing"],
    )
    assert premium["quota_reset_at"] > time.time()


def test_overage_is_counted(copilot):
    """Usage beyond the plan is counted."""
    premium = account(copilot, "pro_overage")["quota_snapshots"]["premium_interactions"]
    assert (0, True, 1025) == (
        premium["percent_remaining"],
        premium["overage_permitted"],
        premium["overage_count"],
    )


def test_business_seats(copilot):
    """An organization's seat is unlimited, and has only one snapshot."""
    found = account(copilot, "business")
    assert ["acme"] == found["organization_login_list"]
    assert ["premium_interactions"] == list(found["quota_snapshots"])
    assert "x-usage-ratelimit-weekly" in copilot.get("/models").headers
    assert -1 == found["quota_snapshots"]["premium_interactions"]["entitlement"]
    assert 3 == len(account(copilot, "enterprise")["quota_snapshots"])
    token = copilot.exchange().json()
    assert (False, 1) == (token["individual"], len(token["organization_list"]))


def test_an_exhausted_pool_is_unlimited_without_quota(copilot):
    """The account is reported as unlimited although nothing is left.

    Only has_quota shows that nothing is left, and premium models answer 402.
    """
    premium = account(copilot, "pool_exhausted")["quota_snapshots"]["premium_interactions"]
    assert (True, False) == (premium["unlimited"], premium["has_quota"])
    answer = copilot.chat(model="claude-sonnet-4.5")
    assert (402, "quota_exceeded") == (answer.status_code, answer.json()["error"]["code"])
    assert 200 == copilot.chat(model="gpt-4o").status_code


@pytest.mark.parametrize("plan", ["no_seat", "none"])
def test_accounts_without_copilot(copilot, plan):
    """Without a seat or a subscription, there are no quotas and no token."""
    assert "quota_snapshots" not in account(copilot, plan)
    answer = copilot.exchange()
    assert (403, "no_copilot_access") == (
        answer.status_code,
        answer.json()["error_details"]["notification_id"],
    )


def test_the_account_endpoint_can_fail(simulator, copilot):
    """The account endpoint can be switched to answer 404 or 500."""
    headers = {"authorization": f"token {SIMULATED_TOKEN}"}
    for fault, status in (("user_404", 404), ("user_500", 500)):
        simulator.state.faults.on(fault, times=1)
        assert status == copilot.http.get("/copilot_internal/user", headers=headers).status_code


def test_quota_is_spent_by_users_and_not_by_agents(simulator, copilot):
    """A user's request costs the model's multiplier, and an agent's is free; the headers agree."""
    simulator.state.plan = "pro"
    body = {"model": "claude-opus-4.6", "messages": [{"role": "user", "content": "Hi"}]}
    copilot.post("/chat/completions", body, x_initiator="agent")
    assert 0 == simulator.state.spent
    copilot.post("/chat/completions", body, x_initiator="user")
    assert 3 == simulator.state.spent
    copilot.post("/chat/completions", {**body, "model": "gpt-4o"})
    assert 3 == simulator.state.spent
    answer = copilot.get("/models")
    assert "rem=56.2" in answer.headers["x-quota-snapshot-premium_interactions"]
    assert "ent=-1" in answer.headers["x-quota-snapshot-chat"]
    assert 168 == account(copilot, "pro")["quota_snapshots"]["premium_interactions"]["remaining"]


@pytest.mark.parametrize("initiator", ["user", "agent"])
def test_credits_are_spent_as_charged(simulator, copilot, initiator):
    """On a plan billed in credits, each answer's cost is deducted from the quota, on every API."""
    message = {"role": "user", "content": "Hi"}
    charged = 0
    for path, model, more in (
        ("/chat/completions", "claude-opus-4.6", {"messages": [message]}),
        ("/responses", "gpt-5.4", {"input": "Hi"}),
        ("/v1/messages", "claude-opus-4.6", {"messages": [message], "max_tokens": 99}),
    ):
        answer = copilot.post(path, {"model": model, **more}, x_initiator=initiator)
        charged += answer.json()["copilot_usage"]["total_nano_aiu"]
        assert charged == round(simulator.state.spent * 1e9) > 0


def test_a_used_up_quota_is_402(simulator, copilot, monkeypatch):
    """Without overage, only free models are served once the quota is used up."""
    monkeypatch.setitem(PLANS, "pro_credits", replace(PLANS["pro_credits"], overage=False))
    simulator.state.plan = "pro_credits"
    simulator.state.spent = 1000
    assert 402 == copilot.chat(model="claude-sonnet-4.5").status_code
    assert 200 == copilot.chat(model="gpt-4o").status_code
    simulator.state.plan = "free"
    answer = copilot.chat()
    assert (402, "free_quota_exceeded") == (answer.status_code, answer.json()["error"]["code"])
    simulator.state.spent = 0
    assert 200 == copilot.chat().status_code
    assert 1 == simulator.state.spent
