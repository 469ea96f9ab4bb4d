"""``POST /auto`` and ``POST /models/session``: Copilot chooses a model."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from . import catalogue
from .models import visible
from .refusal import copilot, invalid, plain
from .types import Model

if TYPE_CHECKING:
    from .call import Call
    from .state import State

FIRST_API_VERSION = "2026-08-01"
"""The first API version that has ``/auto``."""
DISCOUNT = 0.1
HOURS_VALID = 24


async def auto(call: Call, headers: dict[str, str]) -> None:
    """``POST /auto``: choose a model for a prompt."""
    faults = call.state.faults
    if call.headers.get("x-github-api-version", "") < FIRST_API_VERSION:
        raise plain(404, "invalid apiVersion\n")
    if faults.take("auto_404", call.path):
        raise plain(404, "404 page not found\n")
    if faults.take("auto_503", call.path):
        raise plain(503, "Service Unavailable\n")
    body = call.record.body
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        raise invalid()
    found = _candidates(call.state, vision=bool(body.get("has_image")))
    answer = {
        "session_token": secrets.token_urlsafe(24),
        "expires_at": int(time.time()) + HOURS_VALID * 3600,
        "selected_model": found[0],
        "discounted_costs": {found[0]["id"]: DISCOUNT},
        "hydra_scores": {},
    }
    await call.json(answer, headers)


async def session(call: Call, headers: dict[str, str]) -> None:
    """``POST /models/session``: choose a model for a session; older clients use this."""
    body = call.record.body
    mode = body.get("auto_mode") if isinstance(body, dict) else None
    if not isinstance(mode, dict) or not isinstance(mode.get("model_hints"), list):
        raise invalid()
    found = _candidates(call.state)
    answer = {
        "selected_model": found[0]["id"],
        "session_token": secrets.token_urlsafe(24),
        "expires_at": int(time.time()) + HOURS_VALID * 3600,
        "available_models": [model["id"] for model in found],
        "discounted_costs": {model["id"]: DISCOUNT for model in found},
    }
    await call.json(answer, headers)


def _candidates(state: State, *, vision: bool = False) -> list[Model]:
    """Return the chat models that Copilot may choose from, the default model first."""
    found: list[Any] = [
        model
        for model in visible(state)
        if model.get("capabilities", {}).get("type") == "chat"
        and model.get("policy", {}).get("state", "enabled") == "enabled"
        and (catalogue.supports(model, "vision") or not vision)
    ]
    if not found:
        raise copilot(503, "no model is available", "service_unavailable")
    return sorted(found, key=lambda model: not model.get("is_chat_default"))
