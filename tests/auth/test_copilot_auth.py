"""The Copilot token while GitHub is available: caching, renewal and secrecy."""

import asyncio
import logging

import httpx
import pytest

from copilot_proxy.auth import copilot_auth
from copilot_proxy.auth.copilot_auth import AuthState, CopilotAuth, CopilotToken
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub
from copilot_proxy.errors import CopilotProxyError, StoreError
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.accounts import MONA, Store, Time, failing, wait_for_exchange
from tests.auth.conftest import settings_for
from tests.auth.scripted_server import Answer, ScriptedServer


async def test_token_and_host_come_from_one_answer(auth: CopilotAuth, simulator: Simulator) -> None:
    """The token and host come from the same answer, and the token is not shown."""
    token = await auth.token()

    assert simulator.url == token.api_url
    assert token.value.reveal().startswith("tid=")
    assert "tid=" not in repr(token)


async def test_two_hundred_first_callers_make_one_exchange(
    auth: CopilotAuth, simulator: Simulator, store: Store
) -> None:
    """Concurrent first requests share one exchange."""
    tokens = await asyncio.gather(*(auth.token() for _ in range(200)))

    assert 1 == len(set(tokens))
    assert (1, 1) == (simulator.state.exchanges, store.reads)


async def test_the_token_is_kept_until_a_minute_before_refresh_in(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The token is renewed one minute before `refresh_in`, not earlier or later."""
    first = await auth.token()
    now.advance(1439)
    assert first == await auth.token()
    await wait_for_exchange(auth)
    assert 1 == simulator.state.exchanges

    now.advance(2)
    assert first == await auth.token()
    await wait_for_exchange(auth)
    assert 2 == simulator.state.exchanges
    assert first != await auth.token()


async def test_requests_do_not_wait_for_a_refresh_ahead_of_time(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Requests immediately get the old token while one refresh runs in the background."""
    first = await auth.token()
    now.advance(1500)
    tokens = await asyncio.gather(*(auth.token() for _ in range(50)))
    await wait_for_exchange(auth)

    assert {first} == set(tokens)
    assert 2 == simulator.state.exchanges


async def test_a_laptop_that_slept_gets_a_new_token(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A token that expired while the monotonic clock stood still is renewed."""
    first = await auth.token()
    now.wall += 8 * 3600

    assert first != await auth.token()
    assert 2 == simulator.state.exchanges


async def test_a_token_is_renewed_in_time_after_the_clock_is_set_back(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A token is renewed in time although the wall clock was set back."""
    first = await auth.token()
    now.advance(1801)
    now.wall -= 3600

    assert first != await auth.token()


async def test_a_short_refresh_in_does_not_cause_a_storm(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A token is kept for half a minute even if `refresh_in` is zero."""
    simulator.state.refresh_in = 0
    await auth.token()
    now.advance(29)
    await auth.token()
    await wait_for_exchange(auth)

    assert 1 == simulator.state.exchanges


async def test_a_short_lived_token_is_renewed_before_it_expires(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """A token is renewed before it expires, even if `refresh_in` is later."""
    answer = Answer({"token": "tid=1;exp=2:ff", "expires_at": 1, "refresh_in": 5})
    with ScriptedServer(answer) as server:
        settings = settings_for(server.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        await auth.token()
        now.advance(29)
        await auth.token()
        await wait_for_exchange(auth)
        assert 1 == len(server.paths)
        now.advance(40)
        await auth.token()

    assert 2 == len(server.paths)


async def test_the_host_of_the_credential_determines_the_addresses(
    client: httpx.AsyncClient, now: Time, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's token is only sent to the tenant, whose own API is the default."""
    asked: list[str] = []

    async def answer(
        self: httpx.AsyncClient, method: str, url: str, **how: object
    ) -> httpx.Response:
        asked.append(url)
        body = {"token": "tid=1;exp=2:ff", "expires_at": 1, "refresh_in": 1500}
        return httpx.Response(200, json=body)

    monkeypatch.setattr(httpx.AsyncClient, "request", answer)
    store.holds = Credential(Secret("ghu_acme"), "acme.ghe.com")
    auth = CopilotAuth(GitHub(client, Settings()), store.load, Settings(), clock=now.clock)
    token = await auth.token()

    assert ["https://api.acme.ghe.com/copilot_internal/v2/token"] == asked
    assert "https://copilot-api.acme.ghe.com" == token.api_url


async def test_an_unknown_api_host_gets_no_token(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """An answer that names an unknown API host is an error, and no token is sent there."""
    answer = Answer(
        {
            "token": "tid=1;exp=2:ff",
            "expires_at": 1,
            "refresh_in": 1500,
            "endpoints": {"api": "https://evil.example"},
        }
    )
    with ScriptedServer(answer) as server:
        settings = settings_for(server.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        error = await failing(auth.token)
        await failing(auth.token)

    assert "strange_api_host" == error.code
    assert 1 == len(server.paths)
    assert "The Copilot token could not be fetched." == auth.state().last_error


# Values that may be shown.


@pytest.mark.parametrize(
    ("holds", "url", "expected"),
    [
        (Credential(Secret("ghu_acme"), "acme.ghe.com"), None, "acme.ghe.com"),
        (Credential(Secret("ghu_acme"), "acme.ghe.com"), "https://github.com", "github.com"),
        (MONA, "https://beta.ghe.com", "beta.ghe.com"),
        (None, None, "github.com"),
        (StoreError("locked"), None, "github.com"),
    ],
)
async def test_the_host_of_the_sign_in(
    client: httpx.AsyncClient,
    store: Store,
    holds: Credential | CopilotProxyError | None,
    url: str | None,
    expected: str,
) -> None:
    """The host comes from the setting or the stored sign-in; without either, it is github.com."""
    settings = load_settings({"github_url": url} if url else {})
    store.holds = holds
    auth = CopilotAuth(GitHub(client, settings), store.load, settings)

    assert [expected] * 2 == [await auth.host(), await auth.host()]
    assert store.reads <= (1 if isinstance(holds, Credential) else 2)


async def test_a_locked_store_does_not_delay_requests(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is locked, the host is github.com."""

    async def never() -> Credential | None:
        return await asyncio.Future()

    monkeypatch.setattr(copilot_auth, "_HOST_TIMEOUT", 0.0)
    auth = CopilotAuth(GitHub(client, Settings()), never, Settings())

    assert "github.com" == await auth.host()


async def test_reading_the_state_does_not_call_github(auth: CopilotAuth) -> None:
    """Reading the state makes no call to GitHub."""

    assert AuthState("unknown", None, None) == auth.state()


async def test_the_state_counts_down(auth: CopilotAuth, now: Time) -> None:
    """The remaining lifetime counts down to zero, but not below."""
    await auth.token()
    now.advance(300)
    left = auth.state().expires_in
    assert left is not None
    assert 1490 < left < 1510

    now.advance(9000)
    assert AuthState("yes", 0.0, None) == auth.state()


async def test_no_token_or_login_is_logged(
    auth: CopilotAuth, simulator: Simulator, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither success nor failure logs a token or a login."""
    caplog.set_level(logging.DEBUG)
    token = await auth.token()
    simulator.state.block()
    now.advance(3000)
    error = await failing(auth.token)

    for hidden in (SIMULATED_TOKEN, token.value.reveal(), "mona"):
        assert hidden not in caplog.text
        assert hidden not in str(auth.state())
    assert SIMULATED_TOKEN not in repr(error) + str(vars(error))


def test_the_repr_of_a_token_shows_only_its_host() -> None:
    """The repr of a token does not contain its value."""
    token = CopilotToken(Secret("tid=1"), "https://api.githubcopilot.com")

    expected = "CopilotToken(value=Secret('***'), api_url='https://api.githubcopilot.com')"
    assert expected == repr(token)
