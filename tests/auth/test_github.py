"""The calls to GitHub, and how each answer is interpreted."""

import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from copilot_proxy.auth.github import GitHub, Pending, TokenExchange
from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    LoginFailed,
    NoCopilotAccess,
    NotSignedIn,
    UpstreamRefusal,
    UpstreamUnreachable,
)
from copilot_proxy.headers import CLIENT_ID
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import FOREIGN_TOKEN, SIMULATED_PAT, SIMULATED_TOKEN
from tests.auth.conftest import settings_for
from tests.auth.scripted_server import HTML, Answer, ScriptedServer

TOKEN = Secret(SIMULATED_TOKEN)
EXCHANGE = {"token": "tid=1;exp=2:ff", "expires_at": 1795331400, "refresh_in": 1500}


@pytest.fixture
def github(client: httpx.AsyncClient, settings: Settings) -> GitHub:
    """The simulated GitHub."""
    return GitHub(client, settings)


async def github_with(client: httpx.AsyncClient, *answers: Answer) -> tuple[GitHub, ScriptedServer]:
    server = ScriptedServer(*answers)
    return GitHub(client, settings_for(server.url)), server


async def refusal(
    client: httpx.AsyncClient, answer: Answer, call: str, token: Secret = TOKEN
) -> CopilotProxyError:
    """Return the error that the call raises for `answer`."""
    github, server = await github_with(client, answer)
    with server, pytest.raises(CopilotProxyError) as caught:
        await (github.device_code() if call == "device_code" else getattr(github, call)(token))
    return caught.value


# The device flow.


async def test_a_sign_in_begins_with_a_code(github: GitHub, simulator: Simulator) -> None:
    """A sign-in starts with an address, a code, and the code's lifetime."""
    code = await github.device_code()

    assert f"{simulator.url}/login/device" == code.verification_uri
    assert (899.0, 5.0) == (code.expires_in, code.interval)
    assert 9 == len(code.user_code)
    assert code.device_code.reveal() not in repr(code)


async def test_a_sign_in_ends_with_a_token(github: GitHub, simulator: Simulator) -> None:
    """Polls are pending until the user has approved the sign-in."""
    simulator.state.device_flow = ["pending", "ok"]
    code = await github.device_code()

    assert Pending() == await github.poll(code.device_code)
    answer = await github.poll(code.device_code)
    assert isinstance(answer, Secret)
    assert answer.reveal().startswith("ghu_")


async def test_slow_down_has_the_new_interval(github: GitHub, simulator: Simulator) -> None:
    """A slow_down returns the new interval from GitHub's answer."""
    simulator.state.device_flow = ["slow_down"]
    code = await github.device_code()

    assert Pending(interval=10.0, slower=True) == await github.poll(code.device_code)


async def test_slow_down_without_an_interval(client: httpx.AsyncClient) -> None:
    """A slow_down without an interval is accepted (RFC 8628)."""
    github, server = await github_with(client, Answer({"error": "slow_down"}))
    with server:
        answer = await github.poll(Secret("x"))

    assert Pending(interval=None, slower=True) == answer


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("expired", "expired before it was entered"),
        ("denied", "was canceled on GitHub's page"),
        ("incorrect_device_code", "GitHub refused the sign-in: The device_code provided"),
        ("device_flow_disabled", "does not allow this app to sign in"),
    ],
)
async def test_error_codes_become_readable_messages(
    github: GitHub, simulator: Simulator, step: str, words: str
) -> None:
    """GitHub's error codes become readable messages."""
    simulator.state.device_flow = [step]
    code = await github.device_code()
    with pytest.raises(LoginFailed, match=words) as caught:
        await github.poll(code.device_code)

    assert caught.value.hint


async def test_an_error_code_without_a_description_is_shown(client: httpx.AsyncClient) -> None:
    """If an error code has no description, the code itself is shown."""
    error = await refusal(client, Answer({"error": "new_word"}, status=400), "poll")

    assert "GitHub refused the sign-in: new_word" == error.message


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer({"message": "Server Error"}, status=500), UpstreamRefusal),
        (Answer(HTML, status=502), UpstreamRefusal),
        (Answer("", status=503), UpstreamRefusal),
        (Answer({"token_type": "bearer"}), BrokenResponse),
        (Answer([1]), BrokenResponse),
        (Answer({"access_token": "ghu_\r\nx-evil: 1"}), BrokenResponse),
        (Answer({"access_token": "ghu_é"}), BrokenResponse),
        (Answer({"access_token": 7}), BrokenResponse),
        (Answer({"message": "no"}, status=418), UpstreamRefusal),
        (Answer({"message": "slower"}, status=429), UpstreamRefusal),
    ],
)
async def test_temporary_errors_are_not_login_failures(
    client: httpx.AsyncClient, answer: Answer, kind: type[CopilotProxyError]
) -> None:
    """Temporary errors are not `LoginFailed`."""

    assert kind is type(await refusal(client, answer, "poll"))


async def test_form_encoded_answers_are_read(client: httpx.AsyncClient) -> None:
    """Form-encoded answers are read, since a proxy may drop the Accept header."""
    github, server = await github_with(
        client,
        Answer("device_code=d1&user_code=A-B&verification_uri=https%3A%2F%2Fx.example&interval=7"),
        Answer("access_token=ghu_1&token_type=bearer"),
    )
    with server:
        code = await github.device_code()
        token = await github.poll(code.device_code)

    assert ("A-B", 7.0, 900.0) == (code.user_code, code.interval, code.expires_in)
    assert "https://x.example" == code.verification_uri
    assert Secret("ghu_1") == token


async def test_the_sign_in_uses_the_client_id_of_the_editor_plugin(
    github: GitHub, simulator: Simulator
) -> None:
    """The client id is the editor plugin's, whose tokens can be exchanged."""
    await github.device_code()
    request = simulator.state.requests[0]

    assert {"client_id": CLIENT_ID, "scope": "read:user"} == request.body
    assert "application/json" == request.headers["accept"]


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "file:///etc/passwd", "x", 7, None, "https://a\x1b"]
)
async def test_only_web_addresses_are_opened(client: httpx.AsyncClient, uri: object) -> None:
    """A verification address that is not http(s) is replaced with GitHub's page."""
    github, server = await github_with(
        client, Answer({"device_code": "d", "user_code": "A\x1b[31m-B", "verification_uri": uri})
    )
    with server:
        code = await github.device_code()

    assert f"{server.url}/login/device" == code.verification_uri
    assert "\x1b" not in code.user_code


async def test_a_captive_portal_is_reported(client: httpx.AsyncClient) -> None:
    """The HTML page of a captive portal or proxy is named as the cause."""
    error = await refusal(client, Answer(HTML), "device_code")

    assert error.message.startswith("The response from 127.0.0.1:")
    assert "HTTPS_PROXY" in str(error.hint)


async def test_redirects_are_not_followed(client: httpx.AsyncClient) -> None:
    """Redirects are not followed, so no token is sent elsewhere."""
    answer = Answer("", status=302, headers={"location": "https://portal.example"})

    assert "not_github" == (await refusal(client, answer, "exchange")).code


async def test_a_device_code_without_its_user_code(client: httpx.AsyncClient) -> None:
    """An answer without a user code is an error."""
    error = await refusal(client, Answer({"device_code": "d"}), "device_code")

    assert isinstance(error, BrokenResponse)


async def test_a_company_host_without_device_flow(client: httpx.AsyncClient) -> None:
    """If the device flow is disabled on a host, the hint mentions the host's administrator."""
    answer = Answer({"error": "device_flow_disabled"})

    assert "administrator" in str((await refusal(client, answer, "device_code")).hint)


# The exchange.


async def test_an_exchange_returns_token_and_host(github: GitHub, simulator: Simulator) -> None:
    """The token, host and times come from one answer."""
    exchange = await github.exchange(TOKEN)

    assert exchange.token.reveal().startswith("tid=")
    assert simulator.url == str(exchange.api_url)
    assert 1500.0 == exchange.refresh_in
    assert 1790 < exchange.lifetime < 1810
    assert "monthly_subscriber_quota" == exchange.sku
    assert exchange.token.reveal() not in repr(exchange)


async def test_the_exchange_identifies_this_program(github: GitHub, simulator: Simulator) -> None:
    """The exchange sends our user agent, the editor version and GitHub's API version."""
    await github.exchange(TOKEN)
    sent = simulator.state.requests[0].headers

    assert sent["user-agent"].startswith("g-copilot-proxy/")
    assert sent["editor-version"].startswith("vscode/")
    assert "2025-04-01" == sent["x-github-api-version"]


async def test_a_wrong_local_clock_does_not_shorten_the_token(client: httpx.AsyncClient) -> None:
    """The token's lifetime is measured from the Date header of GitHub's answer."""
    now = 1_000_000_000
    github, server = await github_with(
        client,
        Answer(
            {**EXCHANGE, "expires_at": now + 1800}, headers={"date": formatdate(now, usegmt=True)}
        ),
    )
    with server:
        exchange = await github.exchange(TOKEN)

    assert 1800.0 == exchange.lifetime


@pytest.mark.parametrize("date", ["", "odd"])
async def test_without_a_date_header_the_local_clock_is_used(
    client: httpx.AsyncClient, date: str
) -> None:
    """Without a valid Date header, the local clock is used."""
    soon = time.time() + 1700
    github, server = await github_with(
        client, Answer({**EXCHANGE, "expires_at": soon}, headers={"date": date})
    )
    with server:
        exchange = await github.exchange(TOKEN)

    assert exchange.lifetime == pytest.approx(1700, abs=5)


async def test_the_life_of_a_token_that_seems_expired_is_refresh_in(
    client: httpx.AsyncClient,
) -> None:
    """If the clock is far off, `refresh_in` is used as the token's lifetime."""
    github, server = await github_with(client, Answer({**EXCHANGE, "expires_at": 1}))
    with server:
        exchange = await github.exchange(TOKEN)

    assert (1500.0, 1560.0) == (exchange.refresh_in, exchange.lifetime)


@pytest.mark.parametrize(
    "drift",
    [
        {"endpoints": {"api": "https://api.githubcopilot.com", "new": 7}, "sku": "x"},
        {"endpoints": {"api": "https://api.githubcopilot.com"}, "sku": ["x"]},
    ],
)
async def test_unused_fields_may_have_any_type(
    client: httpx.AsyncClient, drift: dict[str, object]
) -> None:
    """Only token, expires_at and refresh_in must have the expected types."""
    github, server = await github_with(client, Answer({**EXCHANGE, **drift}))
    with server:
        exchange = await github.exchange(TOKEN)

    assert ("https://api.githubcopilot.com", None) == (exchange.api_url, exchange.sku)


@pytest.mark.parametrize("endpoints", ["odd", {"api": 7}, None])
async def test_malformed_endpoints_are_ignored(
    client: httpx.AsyncClient, endpoints: object
) -> None:
    """Malformed endpoints are treated as missing."""
    github, server = await github_with(client, Answer({**EXCHANGE, "endpoints": endpoints}))
    with server:
        exchange = await github.exchange(TOKEN)

    assert exchange.api_url is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**EXCHANGE, "token": 7},
        {**EXCHANGE, "refresh_in": "soon"},
        {**EXCHANGE, "token": ""},
        {**EXCHANGE, "token": "tid=1\r\nx-evil: 1"},
        {**EXCHANGE, "token": "tid=é"},
        [],
        HTML,
    ],
)
async def test_an_exchange_without_a_usable_token_is_an_error(
    client: httpx.AsyncClient, body: Any
) -> None:
    """An exchange without a usable token is an error."""
    error = await refusal(client, Answer(body), "exchange")

    assert isinstance(error, BrokenResponse)
    assert "another model" not in str(error.hint)
    assert "tid=" not in repr(error) + error.message


async def test_a_revoked_token(github: GitHub, simulator: Simulator) -> None:
    """A 401 becomes an error that asks the user to sign in again."""
    simulator.state.revoke()
    with pytest.raises(NotSignedIn, match="no longer accepts the token") as caught:
        await github.exchange(TOKEN)

    assert "copilot-proxy login" in str(caught.value.hint)
    assert 3 == caught.value.exit_code


@pytest.mark.parametrize(
    "notification", ["no_copilot_access", "subscription_ended", "programmatic_token_generation"]
)
async def test_an_account_without_copilot(
    github: GitHub, simulator: Simulator, notification: str
) -> None:
    """GitHub's message and link are passed on, with the placeholder filled in."""
    simulator.state.block(notification)
    with pytest.raises(NoCopilotAccess) as caught:
        await github.exchange(TOKEN)

    assert notification == caught.value.code
    assert 4 == caught.value.exit_code
    assert "{EDITOR}" not in str(caught.value.hint)
    assert "https://" in str(caught.value.hint)


async def test_a_refusal_of_the_account_without_details(client: httpx.AsyncClient) -> None:
    """Even empty error details mean that GitHub refused the account."""
    error = await refusal(client, Answer({"error_details": {}}, status=403), "exchange")

    assert isinstance(error, NoCopilotAccess)
    assert "This account has no access to GitHub Copilot." == error.message
    assert "github.com/settings/copilot" in str(error.hint)


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"message": "API rate limit exceeded for user ID 12345."}, status=403),
        Answer({"message": "You have exceeded a secondary rate limit."}, status=403),
        Answer({"message": "no"}, status=403, headers={"x-ratelimit-remaining": "0"}),
        Answer({"message": "no"}, status=429),
    ],
)
async def test_a_rate_limit_is_temporary(client: httpx.AsyncClient, answer: Answer) -> None:
    """A rate limit is temporary, and is not about the account."""
    error = await refusal(client, answer, "exchange")

    assert isinstance(error, UpstreamRefusal)
    assert (429, "rate_limited") == (error.status, error.code)


async def test_retry_after_is_passed_on(client: httpx.AsyncClient) -> None:
    """A Retry-After in seconds is passed on; other values are ignored."""
    limited: Any = {"status": 429, "body": {"message": "no"}}
    numbered = await refusal(client, Answer(**limited, headers={"retry-after": "77"}), "exchange")
    dated = await refusal(client, Answer(**limited, headers={"retry-after": "soon"}), "exchange")

    assert ({"retry-after": "77"}, {}) == (numbered.headers, dated.headers)


async def test_githubs_refusal_of_a_personal_access_token(client: httpx.AsyncClient) -> None:
    """Personal access tokens are recognized by GitHub's message or by their prefix."""
    said = {"message": "Resource not accessible by personal access token"}
    by_words = await refusal(client, Answer(said, status=403), "exchange")
    by_prefix = await refusal(client, Answer(status=403), "exchange", Secret("ghp_abc"))

    assert ["personal_access_token"] * 2 == [by_words.code, by_prefix.code]


async def test_a_token_of_another_app_is_used_itself(github: GitHub, simulator: Simulator) -> None:
    """If the exchange returns 404, the API host comes from the account endpoint."""
    found = await github.exchange(Secret(FOREIGN_TOKEN))

    assert (True, FOREIGN_TOKEN, simulator.url) == (
        found.direct,
        found.token.reveal(),
        found.api_url,
    )


async def test_a_token_of_another_app_without_copilot(github: GitHub, simulator: Simulator) -> None:
    """If the exchange returns 404 and the account has no Copilot, the error says so."""
    simulator.state.plan = "none"
    with pytest.raises(NoCopilotAccess):
        await github.exchange(Secret(FOREIGN_TOKEN))


async def test_a_fine_grained_token_is_never_exchanged(
    github: GitHub, simulator: Simulator
) -> None:
    """A fine-grained token is never exchanged, since GitHub would refuse the exchange."""
    found = await github.exchange(Secret(SIMULATED_PAT))

    assert found.direct
    assert ["/copilot_internal/user"] == [one.path for one in simulator.state.requests]


async def test_a_404_for_our_own_apps_token(client: httpx.AsyncClient) -> None:
    """A 404 for our app's token means that the account has no Copilot."""
    answer = Answer({"message": "Not Found"}, status=404)
    error = await refusal(client, answer, "exchange", Secret("ghu_abc"))

    assert isinstance(error, NoCopilotAccess)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Protected by \x1b[31mSAML\nghu_secret1"}, "Protected by [31mSAML ***"),
        ({}, "forbidden"),
        ({"message": 7}, "forbidden"),
    ],
)
async def test_githubs_message_about_the_account_is_sanitized(
    client: httpx.AsyncClient, body: object, words: str
) -> None:
    """GitHub's message is shown without control characters and tokens."""
    error = await refusal(client, Answer(body, status=403), "exchange")

    assert isinstance(error, NoCopilotAccess)
    assert f"GitHub does not allow this account to use Copilot: {words}" == error.message


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [HTML, {"message": "Server Error"}])
async def test_server_errors_are_temporary(
    client: httpx.AsyncClient, status: int, body: object
) -> None:
    """Server errors are temporary, whether HTML or JSON."""
    error = await refusal(client, Answer(body, status=status), "exchange")

    assert isinstance(error, UpstreamRefusal)
    assert (503, status) == (error.status, error.upstream_status)


async def test_a_failure_of_github_is_not_a_refusal(client: httpx.AsyncClient) -> None:
    """A 403 with which GitHub reports its own failure says nothing about the account."""
    details = {"message": "Something went wrong.", "notification_id": "server_error"}
    error = await refusal(client, Answer({"error_details": details}, status=403), "exchange")

    assert isinstance(error, UpstreamRefusal)
    assert "Something went wrong." == error.message
    assert (503, "github_unavailable", 1) == (error.status, error.code, error.exit_code)


async def test_a_403_page_of_a_proxy_is_not_a_refusal(client: httpx.AsyncClient) -> None:
    """A proxy's block page is not taken for a refusal of the account."""

    assert "not_github" == (await refusal(client, Answer(HTML, status=403), "exchange")).code


async def test_an_unknown_refusal_is_shown(client: httpx.AsyncClient) -> None:
    """An unknown refusal is shown with its status."""
    error = await refusal(client, Answer({"message": "Teapot"}, status=418), "exchange")

    assert "GitHub refused the request (HTTP 418): Teapot" == error.message


async def test_github_cannot_be_reached(github: GitHub, simulator: Simulator) -> None:
    """A failed connection raises `UpstreamUnreachable`, whose causes do not contain the request."""
    simulator.state.github_down = True
    with pytest.raises(UpstreamUnreachable) as caught:
        await github.exchange(TOKEN)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# The account.


async def test_user_returns_the_login(github: GitHub, simulator: Simulator) -> None:
    """`/user` returns the login, and is called with its own API version."""

    assert "mona" == await github.user(TOKEN)
    assert "2022-11-28" == simulator.state.requests[0].headers["x-github-api-version"]


@pytest.mark.parametrize("body", [{}, {"login": 7}, {"login": ""}])
async def test_a_user_without_a_login_is_an_error(client: httpx.AsyncClient, body: object) -> None:
    """An answer from `/user` without a login is an error."""

    assert isinstance(await refusal(client, Answer(body), "user"), BrokenResponse)


async def test_the_account_has_plan_and_quota(github: GitHub) -> None:
    """The account endpoint returns all data that `status` needs."""
    account = await github.copilot_user(TOKEN)

    assert ("mona", "Pro") == (account.login, account.plan)
    assert account.quota is not None


@pytest.mark.parametrize("call", ["user", "copilot_user"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer({"message": "Bad credentials"}, status=401), NotSignedIn),
        (Answer({"message": "Not Found"}, status=404), NoCopilotAccess),
        (Answer({"message": "no"}, status=403), NoCopilotAccess),
        (Answer({"message": "Teapot"}, status=418), UpstreamRefusal),
        (Answer(HTML, status=200), BrokenResponse),
        (Answer(HTML, status=404), BrokenResponse),
        (Answer(HTML, status=502), UpstreamRefusal),
    ],
)
async def test_refusals_of_the_account_endpoints(
    client: httpx.AsyncClient, call: str, answer: Answer, kind: type[CopilotProxyError]
) -> None:
    """Refusals by the account endpoints cause the usual errors."""

    assert kind is type(await refusal(client, answer, call))


async def test_another_host_is_another_github(client: httpx.AsyncClient) -> None:
    """Another host has other addresses; for the same host, the `GitHub` object is reused."""
    github = GitHub(client, Settings())

    assert github is github.at("github.com")
    assert "https://api.acme.ghe.com" == github.at("acme.ghe.com").addresses.api


def test_the_repr_of_an_exchange_hides_its_token() -> None:
    """The repr of an exchange hides its token."""
    exchange = TokenExchange(Secret("tid=1;exp=2:ff"), 1.0, 2.0, None, None)

    assert "tid" not in repr(exchange)
