"""Finds the model's explanation for a refusal.

Claude's Messages API returns it in ``stop_details``:
``{"type": "refusal", "category": "cyber", "explanation": "..."}``. GitHub does not document where
Copilot's chat API puts it, so several places are checked.
"""

from typing import Final

from copilot_proxy.formats.types import Json

_FIELDS: Final = ("stop_details", "refusal", "refusal_details", "finish_details", "explanation")
_TEXTS: Final = ("explanation", "message", "text")


def explanation(*holders: Json) -> str:
    """Return the explanation from the first of `holders` that contains one, or ""."""
    for holder in holders:
        for name in _FIELDS:
            if text := _text(holder.get(name)):
                return text
    return ""


def stop_details(text: str) -> Json | None:
    """Return the explanation `text` as Claude's ``stop_details``, or None if it is empty."""
    return {"type": "refusal", "category": None, "explanation": text} if text else None


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = next((value[name] for name in _TEXTS if isinstance(value.get(name), str)), "")
    return value if isinstance(value, str) else ""
