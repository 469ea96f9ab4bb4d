"""The short-lived token while GitHub does not give another."""

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
from tests.auth.accounts import MONA, Store, Time, failing, settle
from tests.auth.conftest import settings_for
from tests.auth.stranger import Answer, Stranger


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

    assert isinstance(error, UpstreamRefusal)
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
    assert AuthState("unknown", None, "The stored GitHub token could not be read.") == auth.state()
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
    assert ("yes", "GitHub says that the account has no access to Copilot.") == (
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
