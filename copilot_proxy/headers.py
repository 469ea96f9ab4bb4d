"""The identity that is sent to GitHub, and the headers of each request.

Data and pure functions. The versions are settings because GitHub can stop accepting old ones at any
time (HTTP 466), and a new value should not require a new release.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from copilot_proxy import __version__
from copilot_proxy.masking import mask

CLIENT_ID: Final = "Iv1.b507a08c87ecfe98"
"""The GitHub App of Copilot's editor plugins; the token exchange accepts only its tokens."""

SCOPE: Final = "read:user"

USER_AGENT: Final = f"g-copilot-proxy/{__version__}"
"""The token exchange rejects the default user agents of HTTP libraries as abuse."""

GITHUB_API_VERSION: Final = "2025-04-01"
"""The API version of api.github.com; that of the Copilot API is `Identity.api_version`."""

Initiator = Literal["user", "agent"]

Turn = Literal["user", "results", "agent", "aside"]
"""Whose a message is: words of the user's, results of tools, anything else of the agent's, or an
aside, which the client wrote in the user's name."""

_ASIDE: Final = re.compile(
    # Each part is taken or left as a whole: what does not match is found out in one reading.
    r"\s*+(?:<system-reminder>(?>.*?</system-reminder>)\s*+)*+",
    re.DOTALL,
)


def initiator(turns: Iterable[Turn | None]) -> Initiator:
    """Who asked, by whose turn each message is; the latest comes first.

    The user did exactly when the last turn is theirs. Instructions and lists of tools are nobody's
    turn (None): clients put them after the user's words as well, and what holds nothing else was
    asked by a user. An aside belongs to what it follows: clients put reminders of their own
    behind the results of tools. Request-billed plans charge for ``user`` only, so this is never
    bent in either direction.
    """
    aside = False
    for turn in turns:
        if turn == "aside":
            aside = True
        elif turn == "agent":
            return "user" if aside else "agent"
        elif turn is not None:
            return "agent" if turn == "results" else "user"
    return "user"


def user_turn(content: object) -> Turn:
    """Whose a message with the role of the user is, by its text or its list of parts.

    It is the user's if it holds an image, a file or words, other than in ``<system-reminder>``.
    """
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return "user" if any(map(_is_the_user_s, parts)) else "aside"


def _is_the_user_s(part: dict[str, object]) -> bool:
    if part.get("type") not in ("text", "input_text"):
        return True
    return _ASIDE.fullmatch(str(part.get("text") or "")) is None


@dataclass(frozen=True)
class Identity:
    """The editor and integration that Copilot requests name; each value is a setting."""

    editor_version: str = "vscode/1.137.0"
    editor_plugin_version: str = "copilot-chat/0.65.0"
    integration_id: str = "vscode-chat"
    api_version: str = "2026-08-01"


def github(identity: Identity) -> dict[str, str]:
    """Return the headers for github.com and api.github.com, without Authorization."""
    return {
        "accept": "application/json",
        "user-agent": USER_AGENT,
        "editor-version": identity.editor_version,
        "editor-plugin-version": identity.editor_plugin_version,
        "x-github-api-version": GITHUB_API_VERSION,
    }


def copilot(
    identity: Identity,
    *,
    intent: str,
    initiator: Initiator | None = None,
    vision: bool = False,
    request_id: str | None = None,
) -> dict[str, str]:
    """Return the headers for the Copilot API, without Authorization.

    `initiator` decides which requests are billed on plans with premium requests, so it must always
    be derived from the last message. `vision` must be set if any message contains an image.
    """
    headers = {
        "accept": "application/json",
        "user-agent": USER_AGENT,
        "editor-version": identity.editor_version,
        "editor-plugin-version": identity.editor_plugin_version,
        "copilot-integration-id": identity.integration_id,
        "x-github-api-version": identity.api_version,
        "openai-intent": intent,
        "x-request-id": request_id or str(uuid.uuid4()),
    }
    if initiator is not None:
        headers["x-initiator"] = initiator
    if vision:
        headers["copilot-vision-request"] = "true"
    return headers


FORWARDED_PREFIXES: Final = ("x-quota-snapshot-", "x-usage-ratelimit-", "x-ratelimit-")
"""Prefixes of the upstream response headers that are forwarded to clients."""


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the upstream response headers about quota and rate limits, with secrets masked."""
    return {
        name: mask(value) for name, value in headers.items() if name.startswith(FORWARDED_PREFIXES)
    }
