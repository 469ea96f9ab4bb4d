"""Tokens that clients send with their requests."""

import asyncio

import httpx
import pytest

from copilot_proxy.auth.caller_tokens import CallerCopilotToken, CallerTokens
from copilot_proxy.auth.copilot_auth import AuthState, Clock, CopilotAuth
from copilot_proxy.auth.github import GitHub
from copilot_proxy.errors import NotSignedIn, RequestError, SignInError
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.accounts import Time, failing

NOW = 1_795_000_000
CLOCK = Clock(lambda: 1000.0, lambda: float(NOW))


async def github_com() -> str:
    return "github.com"


async def acme() -> str:
    return "acme.ghe.com"


def copilot(exp: object = NOW + 1000, proxy: str = "proxy.individual.githubcopilot.com") -> str:
    return f"tid=1;exp={exp};sku=yearly;proxy-ep={proxy}:ff"


@pytest.fixture
def callers(client: httpx.AsyncClient, settings: Settings) -> CallerTokens:
    """Caller tokens against the simulator."""
    return CallerTokens(GitHub(client, settings), settings, github_com, clock=CLOCK)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer sk-local",
        "sk-local",
        "Basic dXNlcjpwYXNz",
        "ghp_own",
        "Bearer github_pat_own",
    ],
)
async def test_other_tokens_are_ignored(callers: CallerTokens, value: str | None) -> None:
    """Anything but a GitHub token is ignored, and the server's own sign-in is used."""

    assert callers.for_header(value) is None


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "token {}", "{}", " Bearer  {} "])
async def test_a_github_token_gets_its_own_exchange(
    callers: CallerTokens, simulator: Simulator, form: str
) -> None:
    """A GitHub token is exchanged, whatever authorization scheme the client uses."""
    source = callers.for_header(form.format(SIMULATED_TOKEN))

    assert source is not None
    assert (await source.token()).api_url == simulator.url


async def test_requests_of_a_caller_share_one_exchange(
    callers: CallerTokens, simulator: Simulator
) -> None:
    """All requests from a caller share one Copilot token."""
    for _ in range(3):
        source = callers.for_header(f"Bearer {SIMULATED_TOKEN}")
        assert source is not None
        await source.token()

    assert 1 == simulator.state.exchanges


async def test_a_bad_caller_token_does_not_hammer_github(
    callers: CallerTokens, simulator: Simulator
) -> None:
    """A rejected token is refused without another exchange, with a hint for the client."""
    for _ in range(5):
        source = callers.for_header("Bearer gho_unknown")
        assert source is not None
        with pytest.raises(NotSignedIn) as caught:
            await source.token()

    assert 1 == len(simulator.state.requests)
    assert "The token was sent with the request" in str(caught.value.hint)


async def test_the_number_of_callers_is_bounded(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """The least recently used caller is dropped, and tokens are not kept as keys."""
    callers = CallerTokens(GitHub(client, settings), settings, github_com, clock=CLOCK, limit=2)
    first, second = callers.for_header("ghu_one"), callers.for_header("ghu_two")
    assert first is callers.for_header("ghu_one")
    callers.for_header("ghu_three")

    assert first is callers.for_header("ghu_one")
    assert second is not callers.for_header("ghu_two")
    assert all(b"ghu_" not in key for key in callers._sources)


async def test_made_up_tokens_do_not_push_out_working_ones(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """Made-up tokens do not evict callers whose exchange has succeeded."""
    callers = CallerTokens(GitHub(client, settings), settings, github_com, clock=CLOCK, limit=2)
    good = callers.for_header(SIMULATED_TOKEN)
    assert good is not None
    await good.token()
    for number in range(5):
        callers.for_header(f"ghu_{number}")
    assert good is callers.for_header(SIMULATED_TOKEN)

    callers = CallerTokens(GitHub(client, settings), settings, github_com, clock=CLOCK, limit=1)
    good = callers.for_header(SIMULATED_TOKEN)
    assert good is not None
    await good.token()
    assert callers.for_header("ghu_one") is callers.for_header("ghu_one")


async def test_made_up_tokens_do_not_hammer_github(
    client: httpx.AsyncClient, settings: Settings, simulator: Simulator
) -> None:
    """A few tokens are tried immediately, then one every ten seconds; others get a Retry-After."""
    now = Time()
    callers = CallerTokens(GitHub(client, settings), settings, github_com, clock=now.clock)
    codes = []
    for number in range(200):
        source = callers.for_header(f"gho_{number}")
        assert source is not None
        error = await failing(source.token)
        codes.append(error.code)

    assert ["github_token_refused"] * 10 + ["too_many_caller_tokens"] * 190 == codes
    assert 10 == len(simulator.state.requests)
    assert isinstance(error, RequestError)
    assert (429, "10") == (error.status, error.headers["retry-after"])
    assert "Try again in 10 seconds" in str(error.hint)

    now.advance(10)
    source = callers.for_header(SIMULATED_TOKEN)
    assert source is not None
    assert await source.token()


@pytest.mark.parametrize(
    ("token", "asked", "api_url"),
    [
        (
            "ghu_acme",
            ["https://api.acme.ghe.com/copilot_internal/v2/token"],
            "https://copilot-api.acme.ghe.com",
        ),
        ("tid=1;exp=1795009999:ff", [], "https://copilot-api.acme.ghe.com"),
    ],
)
async def test_a_token_belongs_to_the_host_that_the_server_is_signed_in_to(
    client: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    asked: list[str],
    api_url: str,
) -> None:
    """A tenant's token goes to the tenant, never to github.com."""
    urls: list[str] = []

    async def answer(
        self: httpx.AsyncClient, method: str, url: str, **how: object
    ) -> httpx.Response:
        urls.append(url)
        body = {"token": "tid=1;exp=2:ff", "expires_at": 1, "refresh_in": 1500}
        return httpx.Response(200, json=body)

    monkeypatch.setattr(httpx.AsyncClient, "request", answer)
    callers = CallerTokens(GitHub(client, Settings()), Settings(), acme, clock=CLOCK)
    source = callers.for_header(token)

    assert source is not None
    assert api_url == (await source.token()).api_url
    assert asked == urls


@pytest.fixture
def real(client: httpx.AsyncClient) -> CallerTokens:
    """Caller tokens with GitHub's real addresses, to which the tests send nothing."""
    settings = Settings()
    return CallerTokens(GitHub(client, settings), settings, github_com, clock=CLOCK)


async def test_a_copilot_token_is_used_directly(real: CallerTokens) -> None:
    """A Copilot token is used directly, with the host that the token names."""
    source = real.for_header(f"Bearer {copilot()}")

    assert isinstance(source, CallerCopilotToken)
    token = await source.token()
    assert copilot() == token.value.reveal()
    assert token is await source.token()
    assert "https://api.individual.githubcopilot.com" == token.api_url
    assert AuthState("unknown", None, None) == source.state()


async def test_a_copilot_token_is_not_renewed(real: CallerTokens) -> None:
    """A Copilot token is not renewed, since only the client can get a new token."""
    source = real.for_header(copilot())
    assert source is not None
    with pytest.raises(RequestError) as caught:
        await source.renew(await source.token())

    assert (401, "caller_token_refused") == (caught.value.status, caught.value.code)


@pytest.mark.parametrize("exp", [NOW - 61, 0, "soon"])
async def test_an_expired_copilot_token_is_refused(real: CallerTokens, exp: object) -> None:
    """An expired Copilot token is refused without a call to Copilot."""
    with pytest.raises(RequestError, match="has expired") as caught:
        real.for_header(copilot(exp))

    assert 401 == caught.value.status


async def test_a_slightly_fast_clock_does_not_refuse_tokens(real: CallerTokens) -> None:
    """In the last minute of a token's life, Copilot decides whether it is valid."""

    assert real.for_header(copilot(NOW - 59)) is not None


async def test_a_copilot_token_for_an_unknown_host_is_refused(real: CallerTokens) -> None:
    """A Copilot token for a host other than GitHub's is refused."""
    source = real.for_header(copilot(proxy="proxy.evil.example"))
    assert source is not None
    with pytest.raises(SignInError, match="neither a GitHub host nor in your settings"):
        await source.token()


async def test_the_setting_decides_the_host_of_a_copilot_token(client: httpx.AsyncClient) -> None:
    """The setting for the Copilot API's URL also applies to callers' tokens."""
    settings = load_settings(environ={"COPILOT_PROXY_COPILOT_API_URL": "http://127.0.0.1:9"})
    callers = CallerTokens(GitHub(client, settings), settings, acme, clock=CLOCK)
    source = callers.for_header(copilot(proxy="proxy.evil.example"))
    assert source is not None

    assert "http://127.0.0.1:9" == (await source.token()).api_url


async def test_closing_cancels_exchanges_in_progress(callers: CallerTokens) -> None:
    """Exchanges in progress are cancelled when the server stops."""
    source = callers.for_header("ghu_one")
    callers.for_header(copilot(proxy=""))
    assert source is not None
    waiting = asyncio.create_task(source.token())
    await asyncio.sleep(0)
    await callers.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_the_system_clock_is_the_default(client: httpx.AsyncClient) -> None:
    """By default, the system clock decides whether a token has expired."""
    settings = Settings()
    callers = CallerTokens(GitHub(client, settings), settings, github_com)
    with pytest.raises(RequestError):
        callers.for_header(copilot(1))
    assert isinstance(callers.for_header("ghu_x"), CopilotAuth)
