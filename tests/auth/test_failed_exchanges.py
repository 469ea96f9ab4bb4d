"""The Copilot token while exchanges fail."""

import asyncio
import itertools

import httpx
import pytest

from copilot_proxy.auth.copilot_auth import AuthState, CopilotAuth
from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub
from copilot_proxy.errors import (
    NoCopilotAccess,
    NotSignedIn,
    StoreError,
    UpstreamError,
    UpstreamRefusal,
)
from copilot_proxy.masking import Secret
from copilot_proxy.simulator.server import Simulator
from tests.auth.accounts import MONA, Store, Time, failing, wait_for_exchange
from tests.auth.conftest import settings_for
from tests.auth.scripted_server import Answer, ScriptedServer


async def test_a_failed_refresh_keeps_serving_the_old_token(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """While the old token is valid, no request fails because GitHub is down."""
    first = await auth.token()
    simulator.state.github_down = True
    now.advance(1500)
    for _ in range(20):
        assert first == await auth.token()
        await wait_for_exchange(auth)

    assert "yes" == auth.state().signed_in
    assert "was lost before the answer" in str(auth.state().last_error)


async def test_a_failed_refresh_is_retried_with_growing_pauses(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A failed refresh is retried after increasingly long pauses."""
    await auth.token()
    simulator.state.faults.on("exchange_500")
    now.advance(1441)
    tries: list[float] = []
    for second in range(300):
        before = len(simulator.state.requests)
        await auth.token()
        await wait_for_exchange(auth)
        if len(simulator.state.requests) > before:
            tries.append(second)
        now.advance(1)

    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert 5 <= len(tries) <= 9
    assert pauses == sorted(pauses)


async def test_a_successful_refresh_clears_the_error(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A successful refresh clears the error."""
    first = await auth.token()
    simulator.state.github_down = True
    now.advance(1500)
    await auth.token()
    await wait_for_exchange(auth)
    simulator.state.github_down = False
    now.advance(10)
    await auth.token()
    await wait_for_exchange(auth)

    assert first != await auth.token()
    assert auth.state().last_error is None


async def test_without_a_valid_token_the_failure_is_reported(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Without a valid token, the failure is reported after two quick retries; later requests wait
    for the pause."""
    await auth.token()
    simulator.state.github_down = True
    now.advance(1900)
    asked = len(simulator.state.requests)
    errors = [await failing(auth.token) for _ in range(10)]

    assert all(isinstance(error, UpstreamError) for error in errors)
    assert 3 == len(simulator.state.requests) - asked
    assert [0.5, 1.0] == now.pauses
    waits = [int(error.headers["retry-after"]) for error in errors]
    assert waits == [waits[0]] * 10
    assert 2 <= waits[0] <= 3

    simulator.state.github_down = False
    now.advance(waits[0])
    await auth.token()


@pytest.mark.parametrize("value", ["500", "502", "503"])
async def test_a_brief_failure_is_not_noticed(
    auth: CopilotAuth, simulator: Simulator, now: Time, value: str
) -> None:
    """The first request succeeds even if GitHub fails twice, because an exchange costs nothing."""
    simulator.state.faults.on("exchange_500", value=value, times=2)
    await auth.token()

    assert [0.5, 1.0] == now.pauses
    assert auth.state().last_error is None


@pytest.mark.parametrize(
    "fault", ["exchange_401", "exchange_403", "exchange_404", "exchange_rate_limit"]
)
async def test_a_refusal_is_not_repeated(
    auth: CopilotAuth, simulator: Simulator, now: Time, fault: str
) -> None:
    """If GitHub refuses the exchange, it is not asked again."""
    simulator.state.faults.on(fault)
    await failing(auth.token)

    assert [] == now.pauses


async def test_a_refresh_is_not_hurried(auth: CopilotAuth, simulator: Simulator, now: Time) -> None:
    """While requests have a valid token, a failed refresh is not immediately retried."""
    await auth.token()
    simulator.state.faults.on("exchange_500")
    now.advance(1500)
    await auth.token()
    await wait_for_exchange(auth)

    assert "HTTP 500" in str(auth.state().last_error)
    assert [] == now.pauses


async def test_githubs_retry_after_is_honored(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """No exchange is made before GitHub's Retry-After has passed."""
    limited = Answer({"message": "API rate limit exceeded"}, 403, {"retry-after": "3600"})
    with ScriptedServer(limited) as server:
        settings = settings_for(server.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        error = await failing(auth.token)
        now.advance(3500)
        await failing(auth.token)

    assert isinstance(error, UpstreamRefusal)
    assert 1 == len(server.paths)


async def test_github_is_asked_once_about_a_revoked_sign_in(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """After a revocation, only the store is read again; GitHub is not called."""
    simulator.state.revoke()
    errors = []
    for _ in range(60):
        errors.append(await failing(auth.token))
        now.advance(1)

    assert all(isinstance(error, NotSignedIn) for error in errors)
    assert 1 == len(simulator.state.requests)
    assert 15 <= store.reads <= 21
    assert "no" == auth.state().signed_in


async def test_a_refused_token_is_tried_again_after_15_minutes(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A revoked token is tried again after 15 minutes, so no restart is needed."""
    simulator.state.revoke()
    await failing(auth.token)
    simulator.state.restore()
    now.advance(890)
    await failing(auth.token)
    now.advance(11)

    assert await auth.token()


async def test_a_new_sign_in_is_noticed_within_seconds(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """A new `copilot-proxy login` is used without a restart."""
    simulator.state.revoke()
    await failing(auth.token)
    store.holds = Credential(Secret(simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")))
    await failing(auth.token)
    now.advance(3)

    assert await auth.token()
    assert "yes" == auth.state().signed_in


async def test_not_signed_in(auth: CopilotAuth, simulator: Simulator, store: Store) -> None:
    """Without a sign-in, GitHub is not called, and the error names the command to use."""
    store.holds = None
    error = await failing(auth.token)

    assert "Sign in with: copilot-proxy login" == error.hint
    assert [] == simulator.state.requests
    assert AuthState("no", None, "Not signed in to GitHub.") == auth.state()


async def test_a_sign_in_after_the_start_is_used(
    auth: CopilotAuth, now: Time, store: Store
) -> None:
    """A sign-in that happens after the server has started is used."""
    store.holds = None
    await failing(auth.token)
    store.holds = MONA
    now.advance(3)

    assert await auth.token()


async def test_a_failed_store_is_read_again_later(
    auth: CopilotAuth, now: Time, store: Store
) -> None:
    """A store that failed is read again later, since the keyring may be unlocked by then."""
    store.holds = StoreError("The file /home/mona/credentials.json is odd.")
    error = await failing(auth.token)
    assert isinstance(error, StoreError)
    assert AuthState("unknown", None, "The stored GitHub token could not be read.") == auth.state()
    await failing(auth.token)
    assert 1 == store.reads

    store.holds = MONA
    now.advance(4)
    assert await auth.token()


async def test_every_caller_gets_a_separate_copy_of_an_error(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """Every caller receives a separate copy of a remembered error."""
    simulator.state.block()
    first = await failing(auth.token)
    first.headers["x-request-id"] = "mine"
    first.message = "changed"
    second = await failing(auth.token)

    assert type(first) is type(second)
    assert {} == second.headers
    assert "No access to GitHub Copilot found" in second.message
    assert (second.code, second.status) == (first.code, first.status)


async def test_github_is_rarely_asked_about_an_account_without_copilot(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """GitHub's refusal is remembered for a while; `/health` does not show the login."""
    simulator.state.block()
    for _ in range(40):
        error = await failing(auth.token)
        now.advance(1)

    assert isinstance(error, NoCopilotAccess)
    assert 1 == simulator.state.recorder.records.__len__()
    assert ("yes", "GitHub says that the account has no access to Copilot.") == (
        auth.state().signed_in,
        auth.state().last_error,
    )

    simulator.state.unblock()
    now.advance(60)
    assert await auth.token()


async def test_a_cancelled_request_does_not_cancel_the_exchange(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """If one request is cancelled, the exchange continues for the others."""
    callers = [asyncio.create_task(auth.token()) for _ in range(3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    tokens = await asyncio.gather(*callers[1:])

    assert callers[0].cancelled()
    assert tokens[0] == tokens[1]
    assert 1 == simulator.state.exchanges


async def test_the_token_of_a_cancelled_request_is_used_by_the_next(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """If a request is cancelled, the next one uses the token that the exchange returns."""
    caller = asyncio.create_task(auth.token())
    await asyncio.sleep(0)
    caller.cancel()
    await wait_for_exchange(auth)
    await auth.token()

    assert 1 == simulator.state.exchanges


async def test_closing_stops_an_exchange(auth: CopilotAuth, simulator: Simulator) -> None:
    """Closing cancels an exchange in progress; closing twice is safe."""
    caller = asyncio.create_task(auth.token())
    await asyncio.sleep(0)
    await auth.close()
    await auth.close()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_an_unexpected_exception_is_raised_and_logged(
    auth: CopilotAuth, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The request raises the unexpected exception, which is logged without its text."""

    async def broken() -> Credential | None:
        raise ZeroDivisionError("ghu_secret")

    auth._load_credential = broken
    with pytest.raises(ZeroDivisionError):
        await auth.token()

    assert "failed unexpectedly: ZeroDivisionError" in caplog.text
    assert "ghu_secret" not in "".join(record.getMessage() for record in caplog.records)


async def test_health_does_not_show_githubs_message(
    client: httpx.AsyncClient, now: Time, store: Store
) -> None:
    """`/health` shows only the status, since GitHub's message may name the user."""
    with ScriptedServer(Answer({"message": "mona is a teapot"}, status=418)) as server:
        settings = settings_for(server.url)
        auth = CopilotAuth(GitHub(client, settings), store.load, settings, clock=now.clock)
        await failing(auth.token)

    assert "GitHub responded with HTTP 418." == auth.state().last_error
