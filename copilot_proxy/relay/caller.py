"""The caller of a request: whose Copilot account it uses, and which API key it came with."""

from typing import Final, NamedTuple

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.auth.copilot_token import TokenSource


class Caller(NamedTuple):
    """Who sent a request."""

    auth: TokenSource | None = None
    """The caller's own GitHub sign-in; None to use the server's."""
    key: ApiKey | None = None
    """The API key that the request came with; None if the server has no keys."""
    token: bytes = b""
    """The digest of the caller's own token; empty if it uses the server's sign-in."""

    @property
    def identity(self) -> bytes:
        """The key under which the server remembers conversations: only the same sign-in with the
        same API key gets them back."""
        return self.token + b"/" + (b"" if self.key is None else self.key.digest)


SERVER_USER: Final = Caller()
"""The user who started the server: the server's sign-in, and no key."""
