"""Finds out which client sent a request, in which session and for which project.

Clients need no configuration for this: most send their name in the user agent, and their session in
a header or field. Users can also put the client, project and session in the base URL, which takes
precedence. Anything that cannot be determined stays unknown.
"""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from copilot_proxy.clients.request_headers import SESSION_HEADERS, USER_AGENTS

_SDKS: Final = (
    ("openai/python", "openai-python"),
    ("asyncopenai/python", "openai-python"),
    ("openai/js", "openai-js"),
    ("anthropic/python", "anthropic-python"),
    ("asyncanthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-js"),
    ("ai-sdk/", "ai-sdk"),
    ("mozilla/", None),  # all browsers
)
_CLIENTS: Final = (
    *((start.lower(), name) for name, start in USER_AGENTS.items()),
    *_SDKS,
)
"""Lowercase prefix of a user agent -> the client's name. Any other client is named after the start
of its user agent."""
_SESSION_HEADERS: Final = tuple(
    dict.fromkeys(name.encode() for names in SESSION_HEADERS.values() for name in names)
)
_PRODUCT: Final = re.compile(r"([A-Za-z][\w.-]{0,39})(?:/[A-Za-z]*)?[/ ]*v?(\d[\w.+-]{0,31})?")
_ID: Final = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
"""Matches a valid session id. Any other text, such as a sentence, is not recorded."""
_MAX_LENGTH: Final = 200
MAX_NAME_LENGTH: Final = 64
"""Maximum length in characters of the name of a client or project in a base URL."""


class Attribution(NamedTuple):
    """Who sent a request; unknown fields are None."""

    client: str | None = None
    version: str | None = None
    user_agent: str | None = None
    session: str | None = None
    project: str | None = None


UNATTRIBUTED: Final = Attribution()


def identify_client(
    headers: Mapping[bytes, bytes],
    body: Mapping[str, Any],
    client: str | None = None,
    project: str | None = None,
    session: str | None = None,
) -> Attribution:
    """Return who sent a request with these headers (names in lowercase) and this JSON body.

    `client`, `project` and `session` are from the base URL, if it names them.
    """
    agent = headers.get(b"user-agent")
    name, version, text = _from_user_agent(agent) if agent else (None, None, None)
    if client is not None and client != name:
        name, version = client, None
    return Attribution(name, version, text, _id(session) or _session(headers, body), project)


def _session(headers: Mapping[bytes, bytes], body: Mapping[str, Any]) -> str | None:
    if not headers.keys().isdisjoint(_SESSION_HEADERS):
        named = next(headers[name] for name in _SESSION_HEADERS if name in headers)
        return _id(named.decode("latin-1"))
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and (session := _session_of_user(metadata.get("user_id"))):
        return session
    return _id(body.get("prompt_cache_key"))


def _session_of_user(user: object) -> str | None:
    """Return the session in Claude Code's ``user_id``, which is a JSON object."""
    if not isinstance(user, str) or not user.startswith("{") or len(user) > 1000:
        return None
    try:
        found = json.loads(user)
    except ValueError:
        return None
    return _id(found.get("session_id")) if isinstance(found, dict) else None


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


@lru_cache(maxsize=256)
def _from_user_agent(agent: bytes) -> tuple[str | None, str | None, str]:
    """Return the client's name and version, and the user agent as text."""
    text = "".join(char for char in agent[:_MAX_LENGTH].decode("latin-1") if char.isprintable())
    product = _PRODUCT.match(text)
    if product is None:
        return None, None, text
    lower = text.lower()
    for start, name in _CLIENTS:
        if lower.startswith(start):
            return name, product[2] if name else None, text
    return product[1].lower(), product[2], text
