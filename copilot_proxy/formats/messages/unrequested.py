"""Removes from Claude's answers the fields that the client has not requested.

Copilot sends these fields in every answer. LangChain, for example, fails on a
``context_management`` that it did not ask for.
"""

from collections.abc import Collection
from typing import Final

from copilot_proxy.formats.messages.transformations import FIELD as TRANSFORMATIONS
from copilot_proxy.formats.rules.thinking import BINDING
from copilot_proxy.formats.types import Json, MessagesEvent, MessagesRequest

_CONTEXT: Final = "context_management"
_NESTED: Final = ("message", "delta")


def unrequested_fields(request: MessagesRequest) -> tuple[str, ...]:
    """Return the fields to leave out of the answer to a client's request."""
    asked = {
        _CONTEXT: request.get(_CONTEXT) is not None,
        # Only clients that choose how to handle mismatched thinking expect this field.
        TRANSFORMATIONS: BINDING in (request.get("thinking") or {}),
    }
    return tuple(name for name, is_asked in asked.items() if not is_asked)


def without_fields(event: MessagesEvent, names: Collection[str]) -> MessagesEvent:
    """Return an event or whole message without the fields `names`."""
    for outer in _NESTED:
        inner = event.get(outer)
        if isinstance(inner, dict) and (kept := _without(inner, names)) is not inner:
            event = {**event, outer: kept}
    return _without(event, names)


def _without(value: Json, names: Collection[str]) -> Json:
    if not any(name in value for name in names):
        return value
    return {name: one for name, one in value.items() if name not in names}
