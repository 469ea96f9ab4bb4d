"""Unique secrets, and the search for them in any output."""

import base64
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from copilot_proxy.simulator import Simulator

SHORTEST = 12
"""Minimum length of a secret; a shorter one might occur somewhere by chance."""


class Marks:
    """The secrets of a test, by description, such as ``the API key``."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def new(self, what: str, before: str = "") -> str:
        """Return a new secret that starts with the prefix `before`."""
        return self.add(what, before + secrets.token_hex(18))

    def add(self, what: str, secret: str) -> str:
        """Add a secret that was created elsewhere, and return it."""
        assert len(secret) >= SHORTEST
        self.known[what] = secret
        return secret

    def learn(self, simulator: Simulator) -> None:
        """Add the secrets that the simulator has issued, and their parts."""
        for record in simulator.state.requests:
            if isinstance(record.body, dict) and "device_code" in record.body:
                self.add("the device code", record.body["device_code"])
            self.learn_token(record.headers.get("authorization", ""))

    def learn_token(self, authorization: str) -> None:
        """Add the token in an Authorization header, and the secret parts of a Copilot token."""
        token = authorization.partition(" ")[2]
        if token in self.known.values():
            return
        number = len(self.known)
        if token.startswith("tid="):
            self.add(f"Copilot's token {number}", token)
            self.add(f"the id of Copilot's token {number}", token[4:].partition(";")[0])
            self.add(f"the MAC of Copilot's token {number}", token.rpartition(":")[2])
        elif len(token) >= SHORTEST:
            self.add(f"GitHub's token {number}", token)

    def found(self, places: Mapping[str, bytes | str], *, but: str = "") -> list[str]:
        """Describe each secret found in `places`, whether plain, in base64 or URL-encoded.

        The secret `but` is ignored.
        """
        forms = {
            f"{what}{form}": sought
            for what, secret in self.known.items()
            if secret != but
            for form, sought in _forms(secret)
        }
        texts = {
            place: content.encode(errors="replace") if isinstance(content, str) else content
            for place, content in places.items()
        }
        return [
            f"{what} is in {place} after {text[: text.find(sought)][-60:]!r}"
            for place, text in texts.items()
            for what, sought in forms.items()
            if sought in text
        ]


def _forms(secret: str) -> Iterator[tuple[str, bytes]]:
    raw = secret.encode()
    yield "", raw
    if (escaped := quote(secret, safe="")) != secret:
        yield " (as in a URL)", escaped.encode()
    for before, drop in ((b"", 0), (b"x", 2), (b"xx", 3)):
        # For each alignment in a longer text; the characters at both ends depend on that text.
        yield " (in base64)", base64.b64encode(before + raw)[drop:-4]
        yield " (in base64 of URLs)", base64.urlsafe_b64encode(before + raw)[drop:-4]


def files(*folders: Path, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return the name and content of every file below `folders`, except those named in `but`."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in but:
                found[str(path)] = path.name.encode() + b"\n" + path.read_bytes()
    return found


def sent(simulator: Simulator) -> dict[str, str]:
    """Return the requests to the simulator without the places where secrets belong.

    These are the Authorization header, and the device code in polls of a sign-in.
    """
    places = {}
    for number, one in enumerate(simulator.state.requests):
        headers = {name: value for name, value in one.headers.items() if name != "authorization"}
        body = b"" if one.path == "/login/oauth/access_token" else one.raw
        places[f"request {number} to {one.path}"] = f"{one.path}?{one.query} {headers} {body!r}"
    return places
