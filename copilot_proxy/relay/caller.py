"""The caller of a request: the Copilot account to use, and the API key that was sent."""

from typing import Final, NamedTuple

from copilot_proxy.api_keys import ApiKey
from copilot_proxy.auth.copilot_token import TokenSource


class Caller(NamedTuple):
    """The sender of a request."""

    auth: TokenSource | None = None
    """The caller's own GitHub sign-in; None to use the server's sign-in."""
    key: ApiKey | None = None
    """The API key sent with the request; None if the server has no keys."""
    token: bytes = b""
    """The digest of the caller's own token; b"" if the caller uses the server's sign-in."""

    @property
    def identity(self) -> bytes:
        """The key under which the server remembers conversations: only the same sign-in with the
        same API key can access them."""
        return self.token + b"/" + (b"" if self.key is None else self.key.digest)


SERVER_USER: Final = Caller()
"""The user who started the server, with the server's sign-in and no key."""
