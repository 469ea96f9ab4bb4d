"""Plain conversations, kept as small objects instead of decoded JSON.

A long conversation of an agent is thousands of objects, and each step that handles a request would
walk through all of them. If a conversation has nothing but texts, calls and their results in their
usual form, it is decoded into structs, which checks it at the same time. Steps that have nothing to
change in such a conversation pass it on as it is; all others ask for the decoded JSON.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from copilot_proxy.formats.conversation import FIELDS


class PlainTurns(list[Any]):
    """The structs of a plain conversation; msgspec encodes them like the messages that they are."""

    def decoded(self) -> list[dict[str, Any]]:
        """Return the messages as decoded JSON, which may be changed."""
        messages: list[dict[str, Any]] = msgspec.to_builtins(self)
        return messages


def expanded(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with its conversation as decoded JSON; the same object if it already is."""
    plain = [name for name in FIELDS if isinstance(request.get(name), PlainTurns)]
    if not plain and isinstance(request, dict):
        return request
    return {**request, **{name: request[name].decoded() for name in plain}}
