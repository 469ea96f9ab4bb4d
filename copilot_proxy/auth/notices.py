"""Notices about the account, such as the end of a trial, which GitHub sends with Copilot tokens.

Editors show them.
"""

from collections.abc import Mapping

from copilot_proxy.auth.github_errors import clean


def notice_of(payload: Mapping[str, object]) -> str | None:
    """Return the notice in a response of the token exchange as one line, or None."""
    notice = payload.get("user_notification")
    if not isinstance(notice, Mapping):
        return None
    parts = [clean(notice.get(name)) for name in ("message", "url")]
    return " ".join(filter(None, parts)) or clean(notice.get("title")) or None
