"""Tells the kinds of tokens apart by their looks, before any of them goes anywhere."""

import re
from typing import Final

from copilot_proxy.errors import NotSignedIn
from copilot_proxy.masking import Secret

_PERSONAL: Final = ("ghp_", "github_pat_")
_OAUTH: Final = re.compile(r"gh[uo]_[A-Za-z0-9_]+")
_COPILOT: Final = re.compile(r"[!-~]+")


def is_personal(token: Secret) -> bool:
    """Whether it is a personal access token, which Copilot takes from nobody."""
    return token.reveal().startswith(_PERSONAL)


def is_oauth(token: Secret) -> bool:
    """Whether it looks like a token that a sign-in at GitHub gave to an app."""
    return _OAUTH.fullmatch(token.reveal()) is not None


def is_copilot(token: Secret) -> bool:
    """Whether it looks like Copilot's own short-lived token."""
    value = token.reveal()
    fields = copilot_fields(token)
    return "tid" in fields and "exp" in fields and _COPILOT.fullmatch(value) is not None


def copilot_fields(token: Secret) -> dict[str, str]:
    """The ``key=value`` pairs that a Copilot token carries in front of its signature."""
    readable = token.reveal().partition(":")[0]
    pairs = (pair.partition("=") for pair in readable.split(";"))
    return {key.strip(): value for key, found, value in pairs if found}


def refuse_personal(token: Secret, *, where: str, first: str = "") -> None:
    """Raises `NotSignedIn` for a personal access token; `where` says where it was found, `first`
    what has to be done before a sign-in helps."""
    if is_personal(token):
        raise NotSignedIn(
            f"The token {where} is a personal access token, which Copilot does not take.",
            hint=f"{first}Sign in with: copilot-proxy login. That makes a token of the right kind.",
            code="personal_access_token",
        )
