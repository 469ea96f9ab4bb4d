"""Notices that GitHub sends with Copilot tokens, for example about the end of a trial.

Editors show these notices to the user.
"""

from collections.abc import Mapping

from copilot_proxy.auth.github_errors import clean


def notice_of(payload: Mapping[str, object]) -> str | None:
    """Return the notice in a token exchange response as one line, or None if there is none."""
    notice = payload.get("user_notification")
    if not isinstance(notice, Mapping):
        return None
    parts = [clean(notice.get(name)) for name in ("message", "url")]
    return " ".join(filter(None, parts)) or clean(notice.get("title")) or None
