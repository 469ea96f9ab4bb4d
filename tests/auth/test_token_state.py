"""Which events make a token suspect, and which end its use."""

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


def held(now: Time, events: str) -> TokenState:
    """A token, and what happened since."""
    token = CopilotToken(Secret("tid=1"), "https://x", 1440.0, 1800.0, now.monotonic, now.wall)
    holding = TokenState(now.clock)
    holding.succeeded(token)
    for event in events.split():
        if event == "accepted":
            holding.accepted(token)
        elif event == "refused":
            holding.refused()
        elif event == "renewed":
            holding.succeeded(token)
        elif event.isdigit():
            now.passes(int(event))
        else:
            holding.failed(FAILURES[event], MONA)
    return holding


@pytest.mark.parametrize(
    ("events", "usable"),
    [
        ("", True),
        ("accepted", True),
        ("1799", True),
        ("1800", False),
        # A refusal may be about the request, and so may many while exchanges work.
        ("refused", True),
        ("refused refused refused", True),
        # No successor can be had: one refusal is not enough, a second one is.
        ("refused down", True),
        ("refused refused down", True),
        ("refused down refused", False),
        ("refused broken refused", False),
        ("refused locked refused", False),
        ("down refused", True),
        ("down refused refused", False),
        # Taken elsewhere, it is good.
        ("refused down accepted refused", True),
        ("refused down refused accepted", True),
        # After each failure it gets another chance, which one refusal ends.
        ("refused down refused 2 down", True),
        ("refused down refused 2 down refused", False),
        ("refused down refused renewed", True),
        # GitHub's word counts, where upstream has refused it as well.
        ("revoked", True),
        ("blocked", True),
        ("refused accepted revoked", True),
        ("refused revoked", False),
        ("refused blocked", False),
    ],
)
def test_usable(now: Time, events: str, usable: bool) -> None:
    """A token is not withdrawn because of suspicion alone."""

    assert usable == (held(now, events).usable() is not None)


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
    ],
)
def test_due(now: Time, events: str, due: bool) -> None:
    """A successor is fetched ahead of time, with a pause after each failure."""

    assert due == held(now, events).is_due()


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ("", None),
        ("down 1", "down"),
        ("down 3", None),
        ("down renewed", None),
        # A laptop that slept has waited.
        ("down down down down down down slept", None),
        ("down down down down down down 20", "down"),
        ("down down down down down down 38", None),
        ("down down broken 3", None),
        # The store may have another sign-in by now.
        ("revoked 2", "revoked"),
        ("revoked 3", None),
    ],
)
def test_standing(now: Time, events: str, expected: str | None) -> None:
    """A failure is reported from memory for a while."""
    holding = held(now, "")
    holding.looked()
    for event in events.split():
        if event.isdigit():
            now.passes(int(event))
        elif event == "slept":
            now.wall += 8 * 3600
        elif event == "renewed":
            assert holding.token is not None
            holding.succeeded(holding.token)
        else:
            holding.failed(FAILURES[event], MONA)

    assert (FAILURES[expected] if expected else None) is holding.standing()


def test_a_stranger_is_not_taken_for_the_token(now: Time) -> None:
    """The acceptance of an older token does not clear the current one."""
    holding = held(now, "refused down refused")
    holding.accepted(CopilotToken(Secret("tid=0"), "https://x"))

    assert holding.usable() is None
