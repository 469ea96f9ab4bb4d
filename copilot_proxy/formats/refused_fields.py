"""Removes fields from a request's messages, items and tools if Copilot refused them by name.

Programs keep their own fields in conversations, and new clients send fields that Copilot does not
support yet. Both remain in the conversation, so every later request would also be refused.

Sources: Anthropic's error ``messages.3.content.0.text.foo: Extra inputs are not permitted``, and
OpenAI's ``Unknown parameter: 'input[3].content[0].foo'``.
"""

import re
from typing import Any, Final

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import UpstreamBody

FieldPath = tuple[str, ...]
"""The names on the path to a field; ``*`` stands for each element of a list. The type of a part may
also occur in the path."""

_REFUSED: Final = re.compile(
    r"(?P<extra>[a-z]\S*): Extra inputs are not permitted"
    r"|Unknown parameter: '(?P<unknown>[^']{1,300})'"
)
_STEP: Final = re.compile(r"[^.\[\]]+")
_LISTS: Final = ("messages", "input", "system", "tools")
"""The request fields that are searched. They are lists; fields are only removed from their
elements. Fields of the request itself are kept, since clients may rely on them."""
_NEEDED: Final = ("content", "role", "type")
_UNTYPED: Final = "custom"
"""The type of Anthropic's tools that do not state one."""
_EACH: Final = "*"


def refused_fields(message: str) -> list[FieldPath]:
    """Return the fields of messages, items and tools that were refused, according to `message`."""
    found = []
    for match in _REFUSED.finditer(message):
        steps = _STEP.findall(match["extra"] or match["unknown"])
        is_nested = len(steps) > 2 and steps[0] in _LISTS and steps[1].isdigit()
        if is_nested and not steps[-1].isdigit() and steps[-1] not in _NEEDED:
            found.append(tuple(_EACH if step.isdigit() else step for step in steps))
    return found


def without_field(body: UpstreamBody, path: FieldPath) -> UpstreamBody:
    """Return `body` without the field at `path`, wherever it occurs.

    If it does not occur, the same object is returned.
    """
    changed: UpstreamBody = _without(body, path)
    return changed


def _without(value: Any, path: FieldPath) -> Any:
    step, rest = path[0], path[1:]
    if step == _EACH:
        return _in_list(value, rest) if isinstance(value, list) else value
    if not isinstance(value, dict):
        return value
    if not rest:
        return {k: v for k, v in value.items() if k != step} if step in value else value
    if step == value.get("type", _UNTYPED):
        changed = _without(value, rest)
        if changed is not value:
            return changed
    if step not in value:
        return value
    inner = _without(value[step], rest)
    return value if inner is value[step] else {**value, step: inner}


def _in_list(values: list[Any], rest: FieldPath) -> list[Any]:
    decoded = values.decoded() if isinstance(values, PlainTurns) else values
    changed = [_without(one, rest) for one in decoded]
    is_same = all(new is old for new, old in zip(changed, decoded, strict=True))
    return values if is_same else changed
