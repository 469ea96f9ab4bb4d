"""Renewal of a token after Copilot has refused a request (401, 421)."""

import asyncio

import pytest

from copilot_proxy.auth.copilot_auth import CopilotAuth, CopilotToken
from copilot_proxy.errors import NotSignedIn, UpstreamError, UpstreamRefusal
from copilot_proxy.simulator.server import Simulator
from tests.auth.accounts import Time, failing, wait_for_exchange

EXCHANGE = "/copilot_internal/v2/token"


async def renewed(auth: CopilotAuth, stale: CopilotToken) -> CopilotToken:
    """Return the renewed token; fail if there is none."""
    token = await auth.renew(stale)
    assert token is not None
    return token


async def test_requests_refused_together_share_one_renewal(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """One exchange serves all requests that were refused at the same time."""
    stale = await auth.token()
    now.advance(600)
    tokens = await asyncio.gather(*(auth.renew(stale) for _ in range(200)))

    assert 1 == len(set(tokens))
    assert stale not in tokens
    assert None not in tokens
    assert 2 == simulator.state.exchanges


async def test_a_newer_token_is_returned_at_once(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A request that was refused with an older token gets the current token."""
    stale = await auth.token()
    now.advance(600)
    fresh = await auth.renew(stale)

    assert fresh == await auth.renew(stale)
    assert 2 == simulator.state.exchanges


async def test_a_few_renewals_are_made_at_once(auth: CopilotAuth, simulator: Simulator) -> None:
    """Two refusals within a minute each cause an immediate renewal."""
    token = await auth.token()
    for _ in range(5):
        token = await renewed(auth, token)

    assert 6 == simulator.state.exchanges


async def test_a_request_that_is_always_refused_causes_few_exchanges(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """Repeated refusals of one request do not each cause an exchange."""
    for _ in range(600):
        token = await auth.token()
        auth.accepted(token)
        await auth.renew(token)
        now.advance(1)

    # The first, then five immediately, and then one every half minute.
    assert 25 == simulator.state.exchanges


async def test_a_refused_token_is_replaced_within_half_a_minute(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A refused token is replaced even if earlier refusals have used up the renewals."""
    token = await auth.token()
    while (other := await auth.renew(token)) is not None:
        token = other
    asked = len(simulator.state.requests)
    assert await auth.renew(token) is None
    assert token is await auth.token()
    assert asked == len(simulator.state.requests)

    now.advance(30)
    assert token != await renewed(auth, token)


async def test_an_expiring_token_is_always_replaced(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """The limit on renewals does not apply to tokens that are about to expire."""
    token = await auth.token()
    while (other := await auth.renew(token)) is not None:
        token = other
    now.advance(1)
    now.wall += 3600  # the laptop sleeps

    assert token != await renewed(auth, token)


async def test_others_keep_the_token_during_a_renewal(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """Other requests do not wait for the exchange that a refusal has caused."""
    token = await auth.token()
    simulator.state.faults.on("stall_before_headers", path=EXCHANGE)
    refused = asyncio.create_task(auth.renew(token))
    await asyncio.sleep(0)

    assert token is await auth.token()
    await auth.close()
    with pytest.raises(asyncio.CancelledError):
        await refused


async def test_others_keep_the_token_when_a_renewal_fails(
    auth: CopilotAuth, simulator: Simulator
) -> None:
    """Only the refused request receives the error; GitHub is called once."""
    token = await auth.token()
    simulator.state.faults.on("exchange_500")
    asked = len(simulator.state.requests)
    for _ in range(5):
        assert isinstance(await failing(lambda: auth.renew(token)), UpstreamRefusal)
        assert token is await auth.token()
        auth.accepted(token)

    assert 1 == len(simulator.state.requests) - asked
    assert "yes" == auth.state().signed_in


async def test_a_second_refusal_ends_a_token_without_a_successor(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """After a second refusal, the token is not used until GitHub has been called again."""
    token = await auth.token()
    simulator.state.github_down = True
    await failing(lambda: auth.renew(token))
    await failing(lambda: auth.renew(token))
    asked = len(simulator.state.requests)
    assert isinstance(await failing(auth.token), UpstreamError)
    assert asked == len(simulator.state.requests)

    now.advance(3)
    await failing(auth.token)
    assert asked + 1 == len(simulator.state.requests)
    assert token is await auth.token()

    simulator.state.github_down = False
    now.advance(6)
    assert token != await renewed(auth, token)


async def test_a_revoked_sign_in_is_reported_at_once(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """If GitHub confirms a refusal, the token is not used, and GitHub is not called again."""
    token = await auth.token()
    simulator.state.revoke()
    assert isinstance(await failing(lambda: auth.renew(token)), NotSignedIn)
    asked = len(simulator.state.requests)
    for _ in range(100):
        now.advance(1)
        assert isinstance(await failing(auth.token), NotSignedIn)
        assert isinstance(await failing(lambda: auth.renew(token)), NotSignedIn)

    assert asked == len(simulator.state.requests)
    assert ("no", None) == (auth.state().signed_in, auth.state().expires_in)


async def test_a_refusal_waits_for_a_refresh_in_progress(
    auth: CopilotAuth, simulator: Simulator, now: Time
) -> None:
    """A refusal waits for a refresh in progress instead of starting another."""
    token = await auth.token()
    now.advance(1500)
    await auth.token()
    assert token != await renewed(auth, token)
    await wait_for_exchange(auth)

    assert 2 == simulator.state.exchanges
