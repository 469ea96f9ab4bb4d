"""Applies the settings that a Responses conversation changes along the way.

Copilot does not support items of the type ``configuration_update``, so their settings are applied
to the request. If several items set the effort or the format, the last of them takes effect.
"""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.formats.responses.tools import item_list
from copilot_proxy.formats.types import Json, ResponsesRequest

UPDATE: Final = "configuration_update"
_SETTINGS: Final[Mapping[str, str]] = {"reasoning": "effort", "text": "format"}
"""The fields of an update, and the setting that each can change."""


def with_updates(request: ResponsesRequest) -> ResponsesRequest:
    """Return the request with the settings of its updates, which remain in the input."""
    updates = [item for item in item_list(request) if item.get("type") == UPDATE]
    changed = {**request} if updates else request
    for update in updates:
        for name, setting in _SETTINGS.items():
            given = update.get(name)
            if isinstance(given, dict) and given.get(setting) is not None:
                changed[name] = {**(changed.get(name) or {}), setting: given[setting]}
    return changed


def is_applied(update: Json) -> bool:
    """Return whether `with_updates` applies everything in an update."""
    others = {name: v for name, v in update.items() if v and name not in ("type", "id")}
    return all(
        isinstance(value, dict) and value.keys() <= {_SETTINGS.get(name)}
        for name, value in others.items()
    )
