"""``status``: the account, its plan and its quota."""

import json
from pathlib import Path

import keyring
import pytest

from copilot_proxy.auth.account import Account, AccountQuota, parse_account
from copilot_proxy.auth.github import GitHub
from copilot_proxy.auth.stores import Credential, Credentials
from copilot_proxy.cli.status import quota_text
from copilot_proxy.masking import Secret
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_PAT, SIMULATED_TOKEN
from tests.auth.keyrings import LOCKED, BrokenKeyring
from tests.cli.conftest import Cli

KEYS = [
    "signed_in", "login", "host", "store", "plan", "sku", "chat_enabled", "api_url", "direct",
    "models", "quota",
    "resets_on", "runs_out_on", "notice", "error",
]  # fmt: skip


def paid(
    remaining: float | None, percent: float | None, used_up: bool = False, overage: float = 0
) -> AccountQuota:
    return AccountQuota("premium requests", 300, remaining, percent, False, used_up, True, overage)


@pytest.fixture
def signed_in(simulator: Simulator, own_home: Path) -> Simulator:
    """The simulator, with the user signed in and the token in the file."""
    credential = Credential(Secret(SIMULATED_TOKEN), "github.com", "mona")
    Credentials.from_settings(load_settings()).store("file").save(credential)
    return simulator


def rows(text: str) -> dict[str, str]:
    return {line[:14].strip(): line[14:] for line in text.splitlines()}


def test_status_shows_account_store_and_quota(
    cli: Cli, signed_in: Simulator, own_home: Path
) -> None:
    """The command prints two columns to stdout."""
    ran = cli("status")
    shown = rows(ran.out)

    assert (0, "") == (ran.code, ran.err)
    assert "mona (github.com)" == shown["Signed in as"]
    assert f"in the file {own_home / 'credentials.json'}" == shown["Token"]
    assert "Pro" == shown["Plan"]
    assert signed_in.url == shown["API"]
    assert "AI credits left (" in shown["Quota"]
    assert "01" == shown["Resets on"][-2:]


@pytest.mark.parametrize(
    ("plan", "name", "quota"),
    [
        ("free", "Free", "% of the chat messages left"),
        ("free_credits", "Free", "AI credits left ("),
        ("pro_credits", "Pro", "AI credits left ("),
        ("pro_overage", "Pro", "used beyond the plan"),
        ("business", "Business", "no individual limit"),
        ("enterprise", "Enterprise", "no individual limit"),
        ("pool_exhausted", "Business", "used up: the shared pool is empty"),
        ("pro_plus", "Pro+", "left"),
        ("max", "Max", "left"),
    ],
)
def test_every_plan_has_its_name_and_unit(
    cli: Cli, signed_in: Simulator, plan: str, name: str, quota: str
) -> None:
    """Each plan has its official name and the unit that it is billed in."""
    signed_in.state.plan = plan
    shown = rows(cli("status").out)

    assert name == shown["Plan"]
    assert quota in shown["Quota"]


def test_githubs_notice_to_the_user(cli: Cli, signed_in: Simulator) -> None:
    """The notice that Copilot sends with the token is shown, as in editors."""
    signed_in.state.user_notification = {
        "notification_id": "subscription_trial_ending",
        "title": "Trial",
        "message": "Your trial\x1b[2J ends on\nFriday.",
        "url": "https://github.com/settings/copilot",
    }

    said = "Your trial[2J ends on Friday. https://github.com/settings/copilot"
    assert said == rows(cli("status").out)["GitHub says"]
    assert said == json.loads(cli("status", "--json").out)["notice"]
    signed_in.state.user_notification = None
    assert "GitHub says" not in cli("status").out


@pytest.mark.parametrize("plan", ["none", "no_seat"])
def test_an_account_without_copilot_is_exit_4(cli: Cli, signed_in: Simulator, plan: str) -> None:
    """The error links to the subscription page."""
    signed_in.state.plan = plan
    ran = cli("status")

    assert 4 == ran.code
    assert "Signed in as" in ran.out
    assert "https://github.com/github-copilot/signup" in ran.err


def test_not_signed_in_is_exit_3(cli: Cli) -> None:
    """The hint says how to sign in, or do without an account; stdout stays empty."""
    ran = cli("status")

    assert (3, "") == (ran.code, ran.out)
    assert [
        "Error: Not signed in to GitHub.",
        "Sign in with: copilot-proxy login",
        "Or try it without an account: copilot-proxy status --simulate",
    ] == ran.err.splitlines()


def test_known_data_is_shown_if_github_is_down(cli: Cli, signed_in: Simulator) -> None:
    """Account name and store are shown; the error names the missing data."""
    signed_in.state.github_down = True
    ran = cli("status")

    assert 1 == ran.code
    assert ["Signed in as", "Token"] == list(rows(ran.out))
    assert ran.err.startswith("Error: ")


def test_a_revoked_token_is_exit_3(cli: Cli, signed_in: Simulator) -> None:
    """GitHub's refusal counts, although a token is stored."""
    signed_in.state.revoke()
    ran = cli("status")

    assert 3 == ran.code
    assert "no longer accepts the token" in ran.err


def test_a_failing_keyring_is_reported(cli: Cli) -> None:
    """A failed keyring is not reported as being signed out."""
    keyring.set_keyring(BrokenKeyring(LOCKED))
    ran = cli("status")

    assert (1, "") == (ran.code, ran.out)
    assert "The keyring is locked." in ran.err


def test_an_untrusted_api_host_is_reported(
    cli: Cli, signed_in: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is shown, and the untrusted API host is not used."""
    monkeypatch.setattr("copilot_proxy.auth.hosts._is_set_host", lambda parts, settings: False)
    ran = cli("status")

    assert 1 == ran.code
    assert "Plan" in rows(ran.out)
    assert "API" not in rows(ran.out)
    assert "No token was sent to it" in ran.err


def test_json_has_every_key_and_no_secret(cli: Cli, signed_in: Simulator) -> None:
    """The keys are always the same, so that scripts can rely on them."""
    ran = cli("status", "--json")
    shown = json.loads(ran.out)

    assert (0, "") == (ran.code, ran.err)
    assert [*KEYS, "profile", "profiles"] == list(shown)
    assert (True, "mona", "github.com", "file", "Pro", "monthly_subscriber_quota", True) == tuple(
        shown[key] for key in KEYS[:5] + KEYS[5:7]
    )
    assert "AI credits" == shown["quota"]["unit"]
    assert shown["error"] is None
    assert SIMULATED_TOKEN not in ran.out


@pytest.mark.parametrize(
    ("trouble", "code", "signed"), [("nobody", 3, False), ("down", 1, True), ("revoked", 3, False)]
)
def test_json_of_a_failure_is_still_json(
    cli: Cli, simulator: Simulator, request: pytest.FixtureRequest, trouble: str, code: int,
    signed: bool,
) -> None:  # fmt: skip
    """The error is in the JSON, and on stderr for the user."""
    if trouble != "nobody":
        request.getfixturevalue("signed_in")
    simulator.state.github_down = trouble == "down"
    if trouble == "revoked":
        simulator.state.revoke()
    ran = cli("status", "--json")
    shown = json.loads(ran.out)

    assert code == ran.code
    assert [*KEYS, "profile", "profiles"] == list(shown)
    assert signed is shown["signed_in"]
    assert shown["error"]["message"] in ran.err


def test_the_login_of_a_token_in_the_environment(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login is fetched, since no login is stored with a token in the environment."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)
    shown = rows(cli("status").out)

    assert "mona (github.com)" == shown["Signed in as"]
    assert "in COPILOT_PROXY_GITHUB_TOKEN" == shown["Token"]


def test_an_unknown_login(cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the login is neither stored nor available from GitHub, the output says so."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)
    simulator.state.github_down = True

    assert "not checked (github.com)" == rows(cli("status").out)["Signed in as"]


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        (paid(remaining=171.67, percent=57.2), "171.7 of 300 premium requests left (57%)"),
        (
            paid(remaining=0, percent=0, used_up=True),
            "0.0 of 300 premium requests left (0%); further use is billed",
        ),
        (
            paid(remaining=-5, percent=-0.3, used_up=True, overage=1025),
            "0.0 of 300 premium requests left (0%); 1,025 used beyond the plan",
        ),
        (paid(remaining=5, percent=None), "5.0 of 300 premium requests left"),
        (paid(remaining=None, percent=40), "40% of the premium requests left"),
        (
            AccountQuota("chat messages", 500, 410, 82, False, False, False, 0),
            "82% of the chat messages left",
        ),
        (
            AccountQuota("chat messages", None, None, None, False, False, False, 0),
            "chat messages: unknown",
        ),
    ],
)
def test_the_remaining_quota(quota: AccountQuota, expected: str) -> None:
    """Numbers are shown where they are meaningful; the percentage is always shown."""

    assert expected == quota_text(quota)


@pytest.mark.parametrize("as_json", [True, False])
def test_disabled_chat_is_exit_4(
    cli: Cli, signed_in: Simulator, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    """GitHub returns the account, but Copilot Chat is disabled for it."""

    async def without(self: GitHub, token: Secret) -> Account:
        return parse_account({"login": "mona", "chat_enabled": False})

    monkeypatch.setattr(GitHub, "copilot_user", without)
    ran = cli("status", *["--json"] * as_json)

    assert 4 == ran.code
    assert "mona" in ran.out
    assert "Copilot Chat is not enabled" in ran.err


def test_status_without_quota_and_reset_day(
    cli: Cli, signed_in: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing values are left out."""

    async def bare(self: GitHub, token: Secret) -> Account:
        return parse_account({"login": "mona"})

    monkeypatch.setattr(GitHub, "copilot_user", bare)

    assert ["Signed in as", "Token", "Plan", "API"] == list(rows(cli("status").out))


# The token exchange, which every request needs.


def test_a_failed_token_exchange(cli: Cli, signed_in: Simulator) -> None:
    """The account is shown, and the error says that the token exchange failed."""
    signed_in.state.notification = "feature_flag_blocked"
    ran = cli("status")

    assert 4 == ran.code
    assert "Pro" == rows(ran.out)["Plan"]
    assert "Error: " in ran.err


def test_a_brief_failure_of_github(cli: Cli, signed_in: Simulator) -> None:
    """If GitHub fails once, the request is repeated."""
    signed_in.state.faults.on("exchange_500", value=503, times=1)
    signed_in.state.faults.on("user_500", value=502, times=1)
    ran = cli("status")

    assert (0, "Pro") == (ran.code, rows(ran.out)["Plan"])


def test_an_unavailable_token_exchange(cli: Cli, signed_in: Simulator) -> None:
    """The error says that the Copilot token is the problem."""
    signed_in.state.faults.on("exchange_500")
    ran = cli("status")

    assert 1 == ran.code
    assert "Pro" == rows(ran.out)["Plan"]
    assert "GitHub did not issue a Copilot token: " in ran.err


def test_a_missing_account_endpoint(cli: Cli, signed_in: Simulator) -> None:
    """If the token exchange works, its data is shown, and the exit code is 0."""
    signed_in.state.faults.on("user_404")
    ran = cli("status")
    shown = rows(ran.out)

    assert (0, "") == (ran.code, ran.err)
    assert ["Signed in as", "Token", "Plan", "API"] == list(shown)
    assert ("mona (github.com)", "Pro") == (shown["Signed in as"], shown["Plan"])


def test_a_failing_account_endpoint(cli: Cli, signed_in: Simulator) -> None:
    """The data from the token exchange is shown, with an error for the rest."""
    signed_in.state.faults.on("user_500")
    ran = cli("status")

    assert 1 == ran.code
    assert "Pro" == rows(ran.out)["Plan"]
    assert "GitHub is temporarily unavailable" in ran.err


def test_a_refused_token_in_the_environment(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is not reported as signed in, and the error names the variable."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_unknown")
    ran = cli("status")

    assert (3, ["Token"]) == (ran.code, list(rows(ran.out)))
    assert (
        "COPILOT_PROXY_GITHUB_TOKEN is set and takes precedence over a sign-in: unset it."
        in ran.err
    )


def test_the_simulators_account(cli: Cli) -> None:
    """No account is needed to see an example."""
    ran = cli("status", "--simulate")

    assert (0, "") == (ran.code, ran.err)
    assert "mona (github.com)" == rows(ran.out)["Signed in as"]
    assert "in the simulator" == rows(ran.out)["Token"]
    assert "simulator" == json.loads(cli("status", "--simulate", "--json").out)["store"]


def test_the_simulators_quota(cli: Cli) -> None:
    """The simulated quota decreases by the ledger's total, in every command and after restarts."""
    before = json.loads(cli("status", "--simulate", "--json").out)["quota"]["remaining"]
    for _ in range(2):
        assert 0 == cli("chat", "--simulate", "--no-stream", "word " * 20_000, terminal=True).code
    month = json.loads(cli("usage", "--simulate", "--verify", "--json").out)["month"]
    after = json.loads(cli("status", "--simulate", "--json").out)["quota"]["remaining"]

    assert month["ledger"] > 2
    assert after == pytest.approx(before - month["ledger"], abs=0.01)
    # The answer's headers have the amount before that answer, in steps.
    last = month["ledger"] / 2
    assert month["others"] == pytest.approx(1500 - before, abs=last + month["step"])


def test_an_unexpected_error_is_not_reported_as_a_refusal(
    cli: Cli, signed_in: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is reported as unexpected."""

    async def broken(self: GitHub, token: Secret) -> Account:
        raise ZeroDivisionError

    monkeypatch.setattr(GitHub, "copilot_user", broken)

    assert "An unexpected error occurred" in cli("status").err


def use(simulator: Simulator, token: str) -> None:
    simulator.state._oauth[token] = False
    credential = Credential(Secret(token), "github.com", "mona")
    Credentials.from_settings(load_settings()).store("file").save(credential)


def test_a_token_that_is_used_directly(cli: Cli, simulator: Simulator, own_home: Path) -> None:
    """GitHub may accept a token that Copilot refuses, so Copilot's model list is also requested."""
    use(simulator, SIMULATED_PAT)
    ran = cli("status")
    assert 0 == ran.code, ran.err
    used = rows(ran.out)["Used"]
    shown = json.loads(cli("status", "--json").out)
    assert f"Copilot accepts it and lists {shown['models']} models" in used
    assert shown["models"] > 0
    assert shown["direct"] is True


def test_a_direct_token_that_copilot_refuses(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The error names the missing permission."""
    use(simulator, "github_pat_11Without0000000000")
    ran = cli("status")
    assert 3 == ran.code
    assert '"Copilot Requests"' in ran.err
    assert "directly" in rows(ran.out)["Used"]
    assert json.loads(cli("status", "--json").out)["signed_in"] is False
