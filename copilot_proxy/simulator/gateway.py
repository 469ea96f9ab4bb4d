"""The checks that the Copilot API makes before it reads the body: token, editor, API version."""

from __future__ import annotations

import re
import secrets
import uuid
from typing import TYPE_CHECKING

from . import refusal
from .call import github_request_id
from .refusal import plain
from .state import CLI, SIMULATED_PAT

if TYPE_CHECKING:
    from .call import Call

BADLY_FORMATTED = "bad request: Authorization header is badly formatted\n"
NOT_AUTHENTICATED = "unauthorized: unauthorized: AuthenticateToken authentication failed\n"
EXPIRED = "IDE token expired: unauthorized: token expired\n"
NO_PAT = (
    "checking third-party user token: bad request: Personal Access Tokens are not supported for "
    "this endpoint\n"
)
NO_EDITOR = "bad request: missing Editor-Version header for IDE auth\n"
UNKNOWN_EDITOR = "bad request: unknown Editor-Version header for IDE auth\n"

EDITORS = {
    "vscode", "vscode-insiders", "VisualStudio", "Xcode", "Eclipse", "Neovim", "Vim", "Zed",
    "emacs", "JetBrains-IU", "JetBrains-PY", "JetBrains-IC", "JetBrains-PC",
}  # fmt: skip
"""The editors that GitHub accepts, as named before the slash in Editor-Version."""
API_VERSIONS = {
    "2025-04-01", "2025-05-01", "2025-07-16", "2025-10-01", "2026-01-09", "2026-06-01",
    "2026-08-01",
}  # fmt: skip


def headers(call: Call) -> dict[str, str]:
    """Return the headers of every Copilot API response."""
    return {
        "x-request-id": call.headers.get("x-request-id") or str(uuid.uuid4()),
        "x-github-request-id": github_request_id(),
        "x-copilot-service-request-id": str(uuid.uuid4()),
        "x-github-backend": "Kubernetes",
        "x-copilot-api-exp-assignment-context": f"simulated:{secrets.token_hex(4)}",
        "content-security-policy": "default-src 'none'; sandbox",
        "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff",
    }


def check(call: Call) -> None:
    """Raise a `Refusal` for a request that the Copilot API would not accept."""
    exchanged = _token(call)
    if exchanged:
        _editor(call)
    version = call.headers.get("x-github-api-version")
    if version is not None and (
        version not in API_VERSIONS or version < call.state.minimum_api_version
    ):
        raise plain(466, refusal.TOO_OLD)
    # An exchanged token is only valid for certain integrations.
    if exchanged and call.headers.get("copilot-integration-id") not in call.state.integrations:
        raise plain(403, refusal.TERMS)


def _token(call: Call) -> bool:
    """Check the token; return whether it comes from the token exchange."""
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise plain(400, BADLY_FORMATTED)
    if token.startswith(("ghp_", "github_pat_")):
        if token == SIMULATED_PAT and call.headers.get("copilot-integration-id") == CLI:
            return False
        raise plain(400, NO_PAT)
    if token.startswith("gho_"):
        if call.state.knows(token) and not call.state.may_exchange(token):
            return False
        raise plain(401, NOT_AUTHENTICATED)
    if not token.startswith("tid="):
        raise plain(400, BADLY_FORMATTED)
    if not call.headers.get("editor-version"):
        raise plain(400, NO_EDITOR)
    age = call.state.copilot_token_age(token)
    if age == "unknown":
        raise plain(401, NOT_AUTHENTICATED)
    if age == "expired":
        raise plain(401, EXPIRED)
    return True


def _editor(call: Call) -> None:
    name, _, version = call.headers["editor-version"].partition("/")
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if name not in EDITORS or numbers is None:
        raise plain(400, UNKNOWN_EDITOR)
    if name == "vscode" and (int(numbers[1]), int(numbers[2])) < call.state.minimum_editor:
        raise plain(466, refusal.TOO_OLD)
