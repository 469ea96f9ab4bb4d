"""Error responses of GitHub and the Copilot API, in all the formats that they use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .types import Json

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"

UNICORN = """<!DOCTYPE html>
<html>
  <head><meta charset="utf-8"><title>Unicorn! &middot; GitHub</title></head>
  <body><p><strong>This page is taking too long to load.</strong></p>
  <p>Sorry about that. Please try refreshing and contact us if the problem persists.</p></body>
</html>
"""

TOO_OLD = (
    "bad request: the specified API version is no longer supported. "
    "You may need to update your client to a newer version.\n"
)
TERMS = (
    "Access to this endpoint is forbidden. Please review our [Terms of Service]"
    "(https://docs.github.com/en/site-policy/github-terms/github-terms-of-service).\n"
)


class Refusal(Exception):
    """An error response: status, encoded body, content type and additional headers."""

    def __init__(
        self,
        status: int,
        body: str | Mapping[str, Any],
        *,
        content_type: str = PLAIN,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        self.content_type = content_type
        self.headers = dict(headers or {})


def plain(status: int, text: str, **headers: str) -> Refusal:
    """Return a plain-text error, as sent by the gateway in front of the Copilot API."""
    return Refusal(status, text, headers=_dashed(headers))


def html(status: int, text: str = UNICORN) -> Refusal:
    """Return an HTML page in place of the data that a program expects."""
    return Refusal(status, text, content_type=HTML)


def copilot(status: int, message: str, code: Any = "", **more: Any) -> Refusal:
    """Return an error in the Copilot API's own format: JSON labeled as plain text."""
    return Refusal(status, {"error": {"message": message, "code": code, **more}})


def invalid(message: str = "invalid request body") -> Refusal:
    """Return the error for a body that violates the schema."""
    return copilot(400, message, "invalid_request_body")


def anthropic(status: int, kind: str, message: str, request_id: str = "") -> Refusal:
    """Return an error in the format of Claude's own API: JSON that is labeled as such."""
    body: Json = {"type": "error", "error": {"type": kind, "message": message}}
    if request_id:
        body["request_id"] = request_id
    return Refusal(status, body, content_type="application/json")


def github(status: int, message: str, **more: Any) -> Refusal:
    """Return an error in the flat format of api.github.com, with the status as a string."""
    body = {
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(status),
        **more,
    }
    return Refusal(status, body, content_type=JSON)


def no_access(notification_id: str, login: str) -> Refusal:
    """Return the token exchange's refusal of an account, with an explanation for the user."""
    known = {
        "no_copilot_access": (
            "Sign up for GitHub Copilot",
            f"No access to GitHub Copilot found. You are currently logged in as {login}.",
            "https://github.com/github-copilot/signup?editor={EDITOR}",
        ),
        "programmatic_token_generation": (
            "Unusual activity",
            "A program requested too many tokens for your account.",
            "https://docs.github.com/site-policy/github-terms/github-terms-of-service",
        ),
    }
    title, message, url = known.get(
        notification_id,
        (
            "GitHub Copilot is not available",
            f"Copilot is not available to {login} ({notification_id}).",
            "https://github.com/settings/copilot",
        ),
    )
    details = {
        "message": message,
        "notification_id": notification_id,
        "title": title,
        "url": url,
    }
    body = {
        "can_signup_for_limited": False,
        "error_details": details,
        "message": "Resource not accessible by integration",
    }
    return Refusal(403, body, content_type=JSON)


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
