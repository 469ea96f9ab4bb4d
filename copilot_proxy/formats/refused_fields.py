"""Removes fields of messages, items and tools, and betas, if Copilot refused them by name.

Programs keep their own fields in conversations, and new clients send fields and betas that Copilot
does not support yet. Both are in every later request, which would also be refused.

Sources: Anthropic's errors ``messages.3.content.0.text.foo: Extra inputs are not permitted`` and
``Unexpected value(s) `foo` for the `anthropic-beta` header``, OpenAI's ``Unknown parameter:
'input[3].content[0].foo'``, and Copilot's ``unsupported beta header(s): foo, bar``, in public
proxies.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import UpstreamBody

FieldPath = tuple[str, ...]
"""The names on the path to a field; ``*`` stands for each element of a list. The type of a part may
also occur in the path. The path of a beta is the header's name and the beta's."""

_REFUSED: Final = re.compile(
    r"(?P<extra>[a-z]\S*): Extra inputs are not permitted"
    r"|Unknown parameter: '(?P<unknown>[^']{1,300})'"
)
_BETA_HEADER: Final = "anthropic-beta"
_REFUSED_BETAS: Final = re.compile(
    r"unsupported beta header\(s\): (?P<listed>[^\n]{1,500})"
    rf"|Unexpected value\(s\) (?P<quoted>[^\n]{{1,500}}?) for the `{_BETA_HEADER}` header",
    re.IGNORECASE,
)
_BETA: Final = re.compile(r"[a-z][a-z0-9-]*-\d{4}-?\d\d-?\d\d\b")
_STEP: Final = re.compile(r"[^.\[\]]+")
_LISTS: Final = ("messages", "input", "system", "tools")
"""The request fields that are searched. They are lists; fields are only removed from their
elements. Fields of the request itself are kept, since clients may rely on them."""
_NEEDED: Final = ("content", "role", "type")
_UNTYPED: Final = "custom"
"""The type of Anthropic's tools that do not state one."""
_EACH: Final = "*"


def refused_fields(message: str) -> list[FieldPath]:
    """Return the fields of messages, items and tools, and the betas, that `message` refuses."""
    found: list[FieldPath] = []
    for match in _REFUSED_BETAS.finditer(message):
        betas = _BETA.findall(match["listed"] or match["quoted"])
        found += [(_BETA_HEADER, beta) for beta in betas]
    for match in _REFUSED.finditer(message):
        steps = _STEP.findall(match["extra"] or match["unknown"])
        is_nested = len(steps) > 2 and steps[0] in _LISTS and steps[1].isdigit()
        if is_nested and not steps[-1].isdigit() and steps[-1] not in _NEEDED:
            found.append(tuple(_EACH if step.isdigit() else step for step in steps))
    return found


def drop_refused(
    body: UpstreamBody, headers: dict[str, str], paths: Iterable[FieldPath], notes: list[str]
) -> UpstreamBody:
    """Return `body` without the fields, and remove the betas from `headers`, all with a note.

    If no field occurs, the same object is returned.
    """
    for path in paths:
        if path[0] == _BETA_HEADER:
            betas = headers.get(_BETA_HEADER, "").split(",")
            if path[1] in betas:
                del headers[_BETA_HEADER]
                if rest := [one for one in betas if one != path[1]]:
                    headers[_BETA_HEADER] = ",".join(rest)
                notes.append(f"dropped beta {path[1]}: Copilot does not support it")
        elif (changed := without_field(body, path)) is not body:
            body = changed
            notes.append(f"dropped {path[-1]} from some {path[0]}: Copilot refuses the field")
    return body


def occurs(body: UpstreamBody, headers: Mapping[str, str], path: FieldPath) -> bool:
    """Return whether the request has the field or beta."""
    notes: list[str] = []
    drop_refused(body, dict(headers), (path,), notes)
    return bool(notes)


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
