"""The short-lived token: cached, renewed in time, and never in a storm."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from copilot_proxy.auth.copilot_auth import AuthState, Clock, CopilotAuth, CopilotToken
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub
from copilot_proxy.errors import (
    CopilotProxyError,
    NoCopilotAccess,
    NotSignedIn,
    Refused,
    SignInError,
    StoreError,
    UpstreamError,
)
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.conftest import settings_for
from tests.auth.stranger import Answer, Stranger

MONA = Credential(Secret(SIMULATED_TOKEN), login="mona", source="keyring")


class Time:
    """Both clocks, moved by the test; a sleeping laptop moves only the wall's."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 1_795_000_000.0
        self.clock = Clock(lambda: self.monotonic, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


class Store:
    """Where the credential is, and how often somebody looked."""

    def __init__(self) -> None:
        self.holds: Credential | CopilotProxyError | None = MONA
        self.looks = 0

    async def load(self) -> Credential | None:
        self.looks += 1
        await asyncio.sleep(0)
        if isinstance(self.holds, CopilotProxyError):
            raise self.holds
        return self.holds


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def auth(
    client: httpx.AsyncClient, settings: Settings, now: Time, store: Store
) -> AsyncIterator[CopilotAuth]:
    """Against the simulator, with the test's clocks and store."""
    made = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
    yield made
    await made.close()


async def settle(auth: CopilotAuth) -> None:
    """Waits for the background's exchange."""
    while auth._task is not None:
        await asyncio.wait([auth._task])
        await asyncio.sleep(0)


async def failing(call: Callable[[], object]) -> CopilotProxyError:
    with pytest.raises(CopilotProxyError) as caught:
        await call()  # type: ignore[misc]
    return caught.value


# The good days


async def test_token_and_host_are_one(auth: CopilotAuth, simulator: Simulator) -> None:
    """They come from the same answer, and the token stays hidden."""
    token = await auth.token()

    assert simulator.url == token.api_url
    assert token.authorization.startswith("Bearer tid=")
    assert "tid=" not in repr(token)
    assert "monthly_subscriber_quota" == token.sku


async def test_two_hundred_first_callers_make_one_exchange(
    auth: CopilotAuth, simulator: Simulator, store: Store
) -> None:
    """Many exchanges at once are what GitHub calls unusual activity."""
    tokens = await asyncio.gather(*(auth.token() for _ in range(200)))

    assert 1 == len(set(tokens))
    assert (1, 1) == (simulator.state.exchanges, store.looks)


async def test_the_token_is_kept_until_a_minute_before_refresh_in(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Not a moment longer, and no exchange before."""
    first = await auth.token()
    now.passes(1439)
    assert first == await auth.token()
    await settle(auth)
    assert 1 == simulator.state.exchanges

    now.passes(2)
    assert first == await auth.token()
    await settle(auth)
    assert 2 == simulator.state.exchanges
    assert first != await auth.token()


async def test_nobody_waits_for_a_refresh_ahead_of_time(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Many requests get the old token at once, and one exchange is made behind them."""
    first = await auth.token()
    now.passes(1500)
    tokens = await asyncio.gather(*(auth.token() for _ in range(50)))
    await settle(auth)

    assert {first} == set(tokens)
    assert 2 == simulator.state.exchanges


async def test_a_laptop_that_slept_gets_a_new_token(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The monotonic clock stood still meanwhile; the wall's did not."""
    first = await auth.token()
    now.wall += 8 * 3600

    assert first != await auth.token()
    assert 2 == simulator.state.exchanges


async def test_a_clock_that_is_set_back_keeps_no_old_token(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The wall's clock jumped back an hour; the monotonic one counts."""
    first = await auth.token()
    now.passes(1801)
    now.wall -= 3600

    assert first != await auth.token()


async def test_a_short_refresh_in_is_no_storm(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Even an answer that says "refresh at once" is good for half a minute."""
    simulator.state.refresh_in = 0
    await auth.token()
    now.passes(29)
    await auth.token()
    await settle(auth)

    assert 1 == simulator.state.exchanges


async def test_a_token_that_is_short_lived_is_still_used(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """Its life counts, not what `refresh_in` hopes for."""
    answer = Answer({"token": "tid=1;exp=2:ff", "expires_at": 1, "refresh_in": 5})
    with Stranger(answer) as stranger:
        settings = settings_for(stranger.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        await auth.token()
        now.passes(29)
        await auth.token()
        await settle(auth)
        assert 1 == len(stranger.paths)
        now.passes(40)
        await auth.token()

    assert 2 == len(stranger.paths)


async def test_the_host_of_the_credential_decides_where_to_ask(
    client: httpx.AsyncClient, now: Time, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant's token goes to the tenant, and its answer without a host means the tenant's."""
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


async def test_a_strange_api_host_gets_no_token(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """An answer that was changed on its way ends in an error, not in a leak."""
    answer = Answer(
        {
            "token": "tid=1;exp=2:ff",
            "expires_at": 1,
            "refresh_in": 1500,
            "endpoints": {"api": "https://evil.example"},
        }
    )
    with Stranger(answer) as stranger:
        settings = settings_for(stranger.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        error = await failing(auth.token)
        await failing(auth.token)

    assert "strange_api_host" == error.code
    assert 1 == len(stranger.paths)
    assert "The Copilot token could not be fetched." == auth.state().last_error


# The bad days


async def test_a_failed_refresh_keeps_serving_the_old_token(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """While it works, no request fails because GitHub is down."""
    first = await auth.token()
    simulator.state.github_down = True
    now.passes(1500)
    for _ in range(20):
        assert first == await auth.token()
        await settle(auth)

    assert "yes" == auth.state().signed_in
    assert "broke before the answer" in str(auth.state().last_error)


async def test_a_failed_refresh_is_tried_again_ever_more_rarely(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """At most once a pause, and the pauses grow."""
    await auth.token()
    simulator.state.faults.on("exchange_500")
    now.passes(1441)
    tries: list[float] = []
    for second in range(300):
        before = len(simulator.state.requests)
        await auth.token()
        await settle(auth)
        if len(simulator.state.requests) > before:
            tries.append(second)
        now.passes(1)

    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert 5 <= len(tries) <= 9
    assert pauses == sorted(pauses)


async def test_a_refresh_that_works_again_is_the_end_of_it(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The error is forgotten."""
    first = await auth.token()
    simulator.state.github_down = True
    now.passes(1500)
    await auth.token()
    await settle(auth)
    simulator.state.github_down = False
    now.passes(10)
    await auth.token()
    await settle(auth)

    assert first != await auth.token()
    assert auth.state().last_error is None


async def test_without_a_working_token_the_failure_is_told(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """And the next try comes after a pause, not with each request."""
    await auth.token()
    simulator.state.github_down = True
    now.passes(1900)
    asked = len(simulator.state.requests)
    errors = [await failing(auth.token) for _ in range(10)]

    assert all(isinstance(error, UpstreamError) for error in errors)
    assert 1 == len(simulator.state.requests) - asked

    simulator.state.github_down = False
    now.passes(31)
    await auth.token()


async def test_githubs_retry_after_is_waited_for(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """A rate limit of an hour is an hour without an exchange."""
    limited = Answer({"message": "API rate limit exceeded"}, 403, {"retry-after": "3600"})
    with Stranger(limited) as stranger:
        settings = settings_for(stranger.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        error = await failing(auth.token)
        now.passes(3500)
        await failing(auth.token)

    assert isinstance(error, Refused)
    assert 1 == len(stranger.paths)


async def test_a_revoked_sign_in_asks_github_once(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """One clear error, then quiet: the store is read now and then, GitHub is not asked."""
    simulator.state.revoke()
    errors = []
    for _ in range(60):
        errors.append(await failing(auth.token))
        now.passes(1)

    assert all(isinstance(error, NotSignedIn) for error in errors)
    assert 1 == len(simulator.state.requests)
    assert 15 <= store.looks <= 21
    assert "no" == auth.state().signed_in


async def test_a_refusal_is_doubted_after_a_quarter_of_an_hour(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """GitHub has been wrong about tokens before, and a server should not need a restart."""
    simulator.state.revoke()
    await failing(auth.token)
    simulator.state.restore()
    now.passes(890)
    await failing(auth.token)
    now.passes(11)

    assert await auth.token()


async def test_a_new_sign_in_is_noticed_within_seconds(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """`copilot-proxy login` in another window ends the trouble, without a restart."""
    simulator.state.revoke()
    await failing(auth.token)
    store.holds = Credential(Secret(simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")))
    await failing(auth.token)
    now.passes(3)

    assert await auth.token()
    assert "yes" == auth.state().signed_in


async def test_nobody_signed_in(auth: CopilotAuth, simulator: Simulator, store: Store) -> None:
    """No call to GitHub is made, and the line to type is told."""
    store.holds = None
    error = await failing(auth.token)

    assert "Sign in with: copilot-proxy login" == error.hint
    assert [] == simulator.state.requests
    assert AuthState("no", None, "Not signed in to GitHub.") == auth.state()


async def test_somebody_signs_in_after_the_start(
    auth: CopilotAuth, now: Time, store: Store
) -> None:
    """A server that started too early picks the token up."""
    store.holds = None
    await failing(auth.token)
    store.holds = MONA
    now.passes(3)

    assert await auth.token()


async def test_a_store_that_fails_is_asked_again_later(
    auth: CopilotAuth, now: Time, store: Store
) -> None:
    """The keyring may be unlocked by then."""
    store.holds = StoreError("The file /home/mona/credentials.json is odd.")
    error = await failing(auth.token)
    assert isinstance(error, StoreError)
    assert AuthState("unknown", None, "The store of the GitHub token failed.") == auth.state()
    await failing(auth.token)
    assert 1 == store.looks

    store.holds = MONA
    now.passes(4)
    assert await auth.token()


async def test_what_one_caller_adds_to_an_error_no_other_sees(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """The remembered error is told to many."""
    simulator.state.block()
    first = await failing(auth.token)
    first.headers["x-request-id"] = "mine"
    first.message = "changed"
    second = await failing(auth.token)

    assert type(first) is type(second)
    assert {} == second.headers
    assert "No access to GitHub Copilot found" in second.message
    assert (second.code, second.status) == (first.code, first.status)


async def test_an_account_without_copilot_is_asked_about_rarely(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """GitHub's sentence is repeated from memory; no name is told to strangers."""
    simulator.state.block()
    for _ in range(40):
        error = await failing(auth.token)
        now.passes(1)

    assert isinstance(error, NoCopilotAccess)
    assert 1 == simulator.state.recorder.records.__len__()
    assert ("yes", "GitHub says that the account may not use Copilot.") == (
        auth.state().signed_in,
        auth.state().last_error,
    )

    simulator.state.unblock()
    now.passes(60)
    assert await auth.token()


async def test_one_caller_who_leaves_takes_nothing_from_the_others(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """The exchange goes on for whoever still waits."""
    callers = [asyncio.create_task(auth.token()) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    tokens = await asyncio.gather(*callers[1:])

    assert callers[0].cancelled()
    assert tokens[0] == tokens[1]
    assert 1 == simulator.state.exchanges


async def test_an_exchange_that_nobody_waits_for_is_not_lost(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """It was made, so the next request uses it."""
    caller = asyncio.create_task(auth.token())
    await asyncio.sleep(0)
    caller.cancel()
    await settle(auth)
    await auth.token()

    assert 1 == simulator.state.exchanges


async def test_closing_stops_an_exchange(auth: CopilotAuth, simulator: Simulator) -> None:
    """Nothing runs on after the server has stopped; closing twice is fine."""
    caller = asyncio.create_task(auth.token())
    await asyncio.sleep(0)
    await auth.close()
    await auth.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_an_unexpected_failure_is_no_silence(
    auth: CopilotAuth, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect here reaches whoever waits, and the log without its text."""

    async def broken() -> Credential | None:
        raise ZeroDivisionError("ghu_secret")

    auth._load_credential = broken
    with pytest.raises(ZeroDivisionError):
        await auth.token()

    assert "failed unexpectedly: ZeroDivisionError" in caplog.text
    assert "ghu_secret" not in "".join(record.getMessage() for record in caplog.records)


async def test_githubs_own_words_are_not_for_strangers(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """They may name the person; the status code is enough for `/health`."""
    with Stranger(Answer({"message": "mona is a teapot"}, status=418)) as stranger:
        settings = settings_for(stranger.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        await failing(auth.token)

    assert "GitHub answered with HTTP 418." == auth.state().last_error


# Renewal by force


async def test_a_refused_token_is_replaced_once_for_all(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Many requests are refused together; one exchange serves them all."""
    stale = await auth.token()
    now.passes(600)
    tokens = await asyncio.gather(*(auth.renew(stale) for _ in range(50)))

    assert 1 == len(set(tokens))
    assert stale not in tokens
    assert 2 == simulator.state.exchanges


async def test_a_newer_token_is_handed_over_at_once(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Whoever comes late with an old token gets what is there."""
    stale = await auth.token()
    now.passes(600)
    fresh = await auth.renew(stale)

    assert fresh == await auth.renew(stale)
    assert 2 == simulator.state.exchanges


async def test_a_token_that_is_refused_when_fresh_makes_no_storm(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A second one is fetched; when that is refused as well, each further try waits longer."""
    token = await auth.renew(await auth.token())
    error = await failing(lambda: auth.renew(token))
    assert (401, "copilot_token_refused") == (error.status, error.code)
    assert isinstance(error, SignInError)
    assert 2 == simulator.state.exchanges

    for _ in range(600):
        now.passes(1)
        try:
            token = await auth.renew(await auth.token())
        except SignInError:
            continue

    # At 20, 60, 140, 300 and 600 seconds.
    assert 7 == simulator.state.exchanges


async def test_a_token_that_worked_is_renewed_without_delay(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """One that upstream has taken is a good one, however soon it is refused."""
    for _ in range(5):
        token = await auth.token()
        auth.accepted(token)
        now.passes(1)
        await auth.renew(token)

    assert 6 == simulator.state.exchanges


async def test_a_token_that_lasted_is_renewed_without_delay(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The pause is for tokens that never work, not for one that was refused in the end."""
    for _ in range(3):
        token = await auth.token()
        now.passes(700)
        await auth.renew(token)

    assert 4 == simulator.state.exchanges


async def test_a_renewal_that_fails_does_not_bring_the_refused_token_back(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """It is not sent again; the failure is told, after a pause GitHub is asked again."""
    token = await auth.token()
    now.passes(100)
    simulator.state.github_down = True
    await failing(lambda: auth.renew(token))
    asked = len(simulator.state.requests)
    await failing(lambda: auth.renew(token))
    await failing(auth.token)
    assert asked == len(simulator.state.requests)
    assert "unknown" == auth.state().signed_in

    simulator.state.github_down = False
    now.passes(5)
    assert token != await auth.renew(token)


# What may be told


async def test_the_state_before_anything_was_asked(auth: CopilotAuth) -> None:
    """Nobody is asked just to fill a page."""

    assert AuthState("unknown", None, None) == auth.state()


async def test_the_state_counts_down(auth: CopilotAuth, now: Time) -> None:
    """To zero, and no further."""
    await auth.token()
    now.passes(300)
    left = auth.state().expires_in
    assert left is not None
    assert 1490 < left < 1510

    now.passes(9000)
    assert AuthState("yes", 0.0, None) == auth.state()


async def test_no_secret_and_no_name_is_logged(
    auth: CopilotAuth, simulator: Simulator, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither when all is well nor when it is not."""
    caplog.set_level(logging.DEBUG)
    token = await auth.token()
    simulator.state.block()
    now.passes(3000)
    error = await failing(auth.token)

    for hidden in (SIMULATED_TOKEN, token.value.reveal(), "mona"):
        assert hidden not in caplog.text
        assert hidden not in str(auth.state())
    assert SIMULATED_TOKEN not in repr(error) + str(vars(error))


def test_a_token_shows_its_host_only() -> None:
    """Its value is a `Secret`."""
    token = CopilotToken(Secret("tid=1"), "https://api.githubcopilot.com")

    assert (
        "CopilotToken(value=Secret('***'), api_url='https://api.githubcopilot.com', sku=None)"
        == repr(token)
    )
