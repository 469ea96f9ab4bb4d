"""Which events make a token suspect, and which events end its use."""

import pytest

from copilot_proxy.auth.copilot_token import CopilotToken
from copilot_proxy.auth.token_state import TokenState
from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    NoCopilotAccess,
    NotSignedIn,
    StoreError,
    UpstreamUnreachable,
)
from copilot_proxy.masking import Secret
from tests.auth.accounts import MONA, Time

FAILURES: dict[str, CopilotProxyError] = {
    "down": UpstreamUnreachable("GitHub is down.", sent=False),
    "broken": BrokenResponse("Odd."),
    "locked": StoreError("The keyring is locked."),
    "revoked": NotSignedIn(),
    "blocked": NoCopilotAccess("No Copilot."),
}


def state_after(now: Time, events: str) -> TokenState:
    """Return the state of a token after `events`."""
    token = CopilotToken(Secret("tid=1"), "https://x", 1440.0, 1800.0, now.monotonic, now.wall)
    state = TokenState(now.clock)
    state.succeeded(token)
    for event in events.split():
        if event == "accepted":
            state.accepted(token)
        elif event == "refused":
            state.refused()
        elif event == "forbidden":
            state.forbidden(token)
        elif event == "renewed":
            state.succeeded(token)
        elif event.isdigit():
            now.advance(int(event))
        else:
            state.failed(FAILURES[event], MONA)
    return state


@pytest.mark.parametrize(
    ("events", "valid"),
    [
        ("", True),
        ("accepted", True),
        ("1799", True),
        ("1800", False),
        # As long as exchanges work, even many refusals may be about the requests.
        ("refused", True),
        ("refused refused refused", True),
        # Without a successor, the second refusal ends the use of the token, not the first.
        ("refused down", True),
        ("refused refused down", True),
        ("refused down refused", False),
        ("refused broken refused", False),
        ("refused locked refused", False),
        ("down refused", True),
        ("down refused refused", False),
        # A later success with the token clears the suspicion.
        ("refused down accepted refused", True),
        ("refused down refused accepted", True),
        # A failed exchange gives the token another chance, until it is refused again.
        ("refused down refused 2 down", True),
        ("refused down refused 2 down refused", False),
        ("refused down refused renewed", True),
        # GitHub's refusal only counts if Copilot has refused the token as well.
        ("revoked", True),
        ("blocked", True),
        ("refused accepted revoked", True),
        ("refused revoked", False),
        ("refused blocked", False),
        # A 403 alone never ends the use of a token; GitHub's reason for it does.
        ("60 forbidden", True),
        ("60 forbidden down", True),
        ("60 forbidden blocked", False),
    ],
)
def test_valid_token(now: Time, events: str, valid: bool) -> None:
    """Suspicion alone does not end the use of a token."""

    assert valid == (state_after(now, events).valid_token() is not None)


@pytest.mark.parametrize(
    ("events", "due"),
    [
        ("", False),
        ("1439", False),
        ("1440", True),
        ("1440 down", False),
        ("1440 down 3", True),
        ("1440 revoked 890", False),
        ("1440 revoked 900", True),
        ("refused revoked 9999", False),
        # The account may be allowed more than when the token was issued, unless it is new.
        ("59 forbidden", False),
        ("60 forbidden", True),
        ("60 forbidden accepted", False),
        ("60 forbidden renewed", False),
        ("60 forbidden down", False),
        ("60 forbidden down 3", True),
    ],
)
def test_is_refresh_due(now: Time, events: str, due: bool) -> None:
    """A successor is fetched ahead of time, with a backoff after each failure."""

    assert due == state_after(now, events).is_refresh_due()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("", None),
        ("down 1", "down"),
        ("down 3", None),
        ("down renewed", None),
        # A laptop that was asleep has already waited long enough.
        ("down down down down down down slept", None),
        ("down down down down down down 20", "down"),
        ("down down down down down down 38", None),
        ("down down broken 3", None),
        # The store may contain another sign-in now.
        ("revoked 2", "revoked"),
        ("revoked 3", None),
    ],
)
def test_recent_failure(now: Time, events: str, expected: str | None) -> None:
    """A failure is remembered for a while, so that the next attempt does not come too soon."""
    state = state_after(now, "")
    state.store_read()
    for event in events.split():
        if event.isdigit():
            now.advance(int(event))
        elif event == "slept":
            now.wall += 8 * 3600
        elif event == "renewed":
            assert state.token is not None
            state.succeeded(state.token)
        else:
            state.failed(FAILURES[event], MONA)

    assert (FAILURES[expected] if expected else None) is state.recent_failure()


def test_the_acceptance_of_an_older_token_does_not_count(now: Time) -> None:
    """If Copilot accepts an older token, the current one stays suspect."""
    state = state_after(now, "refused down refused")
    state.accepted(CopilotToken(Secret("tid=0"), "https://x"))

    assert state.valid_token() is None
