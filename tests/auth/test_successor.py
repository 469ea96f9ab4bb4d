"""The search for a new sign-in when the current token does not work."""

import asyncio

from copilot_proxy.auth.copilot_auth import CopilotAuth
from copilot_proxy.auth.credential import Credential
from copilot_proxy.errors import StoreError
from copilot_proxy.masking import Secret
from copilot_proxy.simulator.server import Simulator
from tests.auth.accounts import MONA, Store, Time


def hubot(simulator: Simulator) -> Credential:
    return Credential(Secret(simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")))


async def test_the_same_sign_in_is_not_a_successor(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """The store is read at most every ten seconds, and GitHub is not called for the same token."""
    token = await auth.token()
    for _ in range(60):
        assert await auth.successor(token) is None
        now.advance(1)

    assert 6 == store.reads
    assert 1 == simulator.state.exchanges


async def test_a_new_sign_in_is_used(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """A new sign-in is exchanged once, and then used by all requests."""
    token = await auth.token()
    store.holds = hubot(simulator)
    assert await auth.successor(token) is None
    now.advance(10)
    found = await asyncio.gather(*(auth.successor(token) for _ in range(50)))
    later = await auth.successor(token)

    assert later is not None
    assert store.holds.token == later.github_token
    assert {None, later} >= set(found)
    assert later == await auth.token()
    assert await auth.successor(later) is None
    assert 2 == simulator.state.exchanges


async def test_a_failed_successor_leaves_the_old_token_in_use(
    auth: CopilotAuth, simulator: Simulator, now: Time, store: Store
) -> None:
    """If the new sign-in fails or the store is empty, other requests keep the old token."""
    token = await auth.token()
    for held in (Credential(Secret("ghu_unknown")), StoreError("Locked."), None, MONA):
        store.holds = held
        now.advance(10)
        assert await auth.successor(token) is None
        assert token == await auth.token()

    store.holds = hubot(simulator)
    simulator.state.github_down = True
    now.advance(10)
    assert await auth.successor(token) is None
    assert token == await auth.token()
