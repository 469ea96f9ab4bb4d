"""Who sent a request: whose Copilot account answers it, and which key let it in."""

from dataclasses import dataclass
from typing import Final

from copilot_proxy.auth.copilot_token import TokenSource
from copilot_proxy.keys import ApiKey


@dataclass(frozen=True)
class Caller:
    """The caller of one request."""

    auth: TokenSource | None = None
    """The caller's own sign-in to GitHub; None for the server's."""
    key: ApiKey | None = None
    """The key of the server's that came with the request; None where none is asked for."""


NOBODY: Final = Caller()
"""Nobody but the server's own user."""
