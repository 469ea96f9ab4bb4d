"""Sets and removes single values in JSON with comments, without touching any other characters."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from copilot_proxy.config_edits.document import CannotEdit, newline_of
from copilot_proxy.config_edits.json_scanner import Member, Value, scan

_INDENT: Final = re.compile(r"^([ \t]+)\S", re.MULTILINE)
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/[ \t]*)?(?=\r?\n)")
_STRING_OR_COMMENT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_BEFORE: Final = re.compile(r"(?:\r?\n)?[ \t]*\Z")


class Item(NamedTuple):
    """A path step into an array. It selects the object whose field `key` equals `value`."""

    key: str
    value: str


Path = Sequence[str | Item]
"""The keys on the way to a value, outermost first."""


def get_value(text: str, path: Path) -> str | None:
    """Return the text of the value at `path`, or None if there is none. Raises `CannotEdit`."""
    value = scan(text)
    for step in path:
        part = None if value is None else _part(value, step)
        if part is None:
            return None
        value = part.value
    return None if value is None else text[value.start : value.end]


def set_value(text: str, path: Path, data: Any) -> str:
    """Return `text` with `data` at `path`, creating missing objects and arrays on the way.

    A new value becomes the first in its object or array, where no comment or trailing comma can be
    in the way. Raises `CannotEdit`.
    """
    root = scan(text)
    if root is None:
        end = newline_of(text)
        start = text + (end if text and not text.endswith("\n") else "")
        return start + _dumped(_nested(path, data), "  ", "", end) + end
    value = root
    for depth, step in enumerate(path):
        part = _part(value, step)
        if part is None:
            return _inserted(text, value, step, _nested(path[depth + 1 :], data))
        value = part.value
    if value.data == data:
        return text
    new = _dumped(data, _unit(text), _indent_at(text, value.start), newline_of(text))
    return text[: value.start] + new + text[value.end :]


def remove_value(text: str, path: Path) -> str:
    """Return `text` without the value at `path`, if there is one. Raises `CannotEdit`."""
    value = scan(text)
    if value is None:
        return text
    for step in path[:-1]:
        outer = _part(value, step)
        if outer is None:
            return text
        value = outer.value
    part = _part(value, path[-1])
    if part is None:
        return text
    parts = value.parts or []
    index = parts.index(part)
    before = _BEFORE.search(text, value.start + 1, part.start)
    start, end = before.start() if before else part.start, part.comma or part.value.end
    if part.comma is None and index > 0:
        comma = parts[index - 1].comma or part.start
        return text[: comma - 1] + text[comma:start] + text[end:]
    if index == 0 and "\n" not in text[start : part.start]:
        rest = text[end:]
        end = len(text) - len(rest.lstrip(" \t"))
    return text[:start] + text[end:]


def put_back(text: str, path: Path, original: str) -> str:
    """Return `text` with the value at `path` restored from the text `original`.

    If `original` has no such value, the value is removed. So are enclosing objects and arrays that
    become empty, unless they are in `original`. Raises `CannotEdit`.
    """
    before = get_value(original, path)
    if before is not None:
        now = get_value(text, path)
        if now is None:
            return set_value(text, path, _data(before))
        value = _find(text, path)
        return text[: value.start] + before + text[value.end :]
    text = remove_value(text, path)
    for length in range(len(path) - 1, 0, -1):
        around = path[:length]
        now = get_value(text, around)
        if now is None or get_value(original, around) is not None or _data(now):
            break
        text = remove_value(text, around)
    return text


def is_same(text: str, other: str) -> bool:
    """Return whether two JSON files differ only in whitespace and key order. Raises
    `CannotEdit`."""
    return _data(text) == _data(other) and _comments(text) == _comments(other)


def _comments(text: str) -> list[str]:
    return [found for found in _STRING_OR_COMMENT.findall(text) if found.startswith("/")]


def _data(text: str) -> Any:
    value = scan(text)
    return None if value is None else value.data


def _find(text: str, path: Path) -> Value:
    value = scan(text)
    for step in path:
        part = None if value is None else _part(value, step)
        value = None if part is None else part.value
    if value is None:
        raise CannotEdit("has changed")
    return value


def _part(value: Value, step: str | Item) -> Member | None:
    """Return the member or item selected by `step`, or None if there is none."""
    if isinstance(step, Item):
        if value.items is None:
            raise CannotEdit(f"has no list where one is expected, for {step.value!r}")
        found = [part for part in value.items if _has(part.value, step)]
    else:
        if value.members is None:
            raise CannotEdit(f"has no object where one is expected, for {step!r}")
        found = [part for part in value.members if part.key == step]
    if len(found) > 1:
        name = step.value if isinstance(step, Item) else step
        raise CannotEdit(f"contains {name!r} twice")
    return found[0] if found else None


def _has(value: Value, step: Item) -> bool:
    return any(
        member.key == step.key and member.value.scalar == step.value
        for member in value.members or ()
    )


def _nested(path: Path, data: Any) -> Any:
    """Return `data` wrapped in the objects and arrays of `path`."""
    for step in reversed(path):
        data = [data] if isinstance(step, Item) else {step: data}
    return data


def _inserted(text: str, value: Value, step: str | Item, data: Any) -> str:
    """Return `text` with a new first member or item."""
    parts, end = value.parts or [], newline_of(text)
    key = "" if isinstance(step, Item) else json.dumps(step, ensure_ascii=False) + ": "
    after = value.start + 1
    inside = text[after : value.end - 1]
    if parts and "\n" not in text[after : parts[0].start]:
        # The first part is on the same line as the bracket.
        rest = text[after:]
        space = rest[: len(rest) - len(rest.lstrip(" \t"))]
        if end not in text.strip():
            new = f"{space}{key}{json.dumps(data, ensure_ascii=False)},{'' if space else ' '}"
        else:
            inner = _indent_at(text, value.start) + _unit(text)
            new = f"{end}{inner}{key}{_dumped(data, _unit(text), inner, end)},{end}"
            new += inner.removesuffix(space)
        return text[:after] + new + text[after:]
    unit, outer = _unit(text), _indent_at(text, value.start)
    indent = _indent_at(text, parts[0].start) if parts else outer + unit
    if comment := _REST_OF_LINE.match(text, after, value.end):
        after = comment.end()
    new = f"{end}{indent}{key}{_dumped(data, unit, indent, end)}"
    if parts:
        new += ","
    elif "\n" not in inside:
        new += f"{end}{outer}"
    if not parts and not inside.strip():
        # There is only whitespace inside; replace it, so that no empty line remains.
        return text[: value.start + 1] + f"{new.rstrip()}{end}{outer}" + text[value.end - 1 :]
    return text[:after] + new + text[after:]


def _indent_at(text: str, position: int) -> str:
    """Return the whitespace at the start of the line that contains `position`."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """Return the whitespace used for one level of indentation in the text."""
    found: list[str] = _INDENT.findall(text)
    if not found:
        return "  "
    return "\t" if found[0].startswith("\t") else min(found, key=len)


def _dumped(data: Any, unit: str, indent: str, end: str) -> str:
    """Return `data` as JSON whose lines after the first start with `indent`."""
    return json.dumps(data, indent=unit, ensure_ascii=False).replace("\n", end + indent)
