"""Distinguishes types of tokens by their format, before any of them is sent."""

import re
from typing import Final

from copilot_proxy.errors import NotSignedIn
from copilot_proxy.masking import Secret

_CLASSIC: Final = "ghp_"
_FINE_GRAINED: Final = "github_pat_"
_OAUTH: Final = re.compile(r"gh[uo]_[A-Za-z0-9_]+")
_COPILOT: Final = re.compile(r"[!-~]+")
_GITHUB: Final = re.compile(r"[A-Za-z0-9_.-]{10,}")
"""Matches every type of GitHub token. Tokens of older servers may have fewer than 40 characters."""


def may_be_token(token: Secret) -> bool:
    """Return whether GitHub may have issued `token`; if not, it is not sent."""
    return _GITHUB.fullmatch(token.reveal()) is not None


def is_classic(token: Secret) -> bool:
    """Return whether `token` is a classic personal access token, which Copilot never accepts."""
    return token.reveal().startswith(_CLASSIC)


def is_fine_grained(token: Secret) -> bool:
    """Return whether `token` is a fine-grained personal access token, which cannot be exchanged.

    Copilot accepts it directly if it has the permission "Copilot Requests".
    """
    return token.reveal().startswith(_FINE_GRAINED)


def may_be_direct(token: Secret) -> bool:
    """Return whether Copilot might accept the token without an exchange.

    Copilot may accept fine-grained personal access tokens and tokens of OAuth apps, but not those
    of GitHub Apps, such as an editor's.
    """
    return token.reveal().startswith(("gho_", _FINE_GRAINED))


def is_oauth(token: Secret) -> bool:
    """Return whether `token` looks like an OAuth token, which GitHub issues to apps on sign-in."""
    return _OAUTH.fullmatch(token.reveal()) is not None


def is_copilot(token: Secret) -> bool:
    """Return whether `token` looks like a short-lived Copilot token."""
    value = token.reveal()
    fields = copilot_fields(token)
    return "tid" in fields and "exp" in fields and _COPILOT.fullmatch(value) is not None


def copilot_fields(token: Secret) -> dict[str, str]:
    """Return the ``key=value`` pairs that precede the signature of a Copilot token."""
    readable = token.reveal().partition(":")[0]
    pairs = (pair.partition("=") for pair in readable.split(";"))
    return {key.strip(): value for key, found, value in pairs if found}


def reject_classic_token(token: Secret, *, where: str, first: str = "") -> None:
    """Raise `NotSignedIn` for a classic personal access token.

    `where`, such as "in the keyring", completes "The token ..."; `first` is a sentence that
    precedes the hint.
    """
    if is_classic(token):
        raise NotSignedIn(
            f"The token {where} is a classic personal access token, which Copilot does not accept.",
            hint=f"{first}Get a token of the right type with: copilot-proxy login",
            code="personal_access_token",
        )
