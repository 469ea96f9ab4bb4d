"""Parses JSON with comments and trailing commas, and records the position of each value."""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from copilot_proxy.config_edits.document import CannotEdit

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING: Final = re.compile(r'"(?:[^"\\\r\n]|\\.)*"')
_SCALAR: Final = re.compile(r"[\w+.-]+")
_MAX_DEPTH: Final = 100


@dataclass
class Value:
    """A value from `start` to `end` in the text; objects and arrays also list their contents."""

    start: int
    end: int = 0
    scalar: Any = None
    members: "list[Member] | None" = None
    """The members of an object."""
    items: "list[Member] | None" = None
    """The items of an array, which have no keys."""

    @property
    def parts(self) -> "list[Member] | None":
        """The members or items, or None for other values."""
        return self.items if self.members is None else self.members

    @property
    def data(self) -> Any:
        """The value as Python objects."""
        if self.members is not None:
            return {member.key: member.value.data for member in self.members}
        if self.items is not None:
            return [item.value.data for item in self.items]
        return self.scalar


@dataclass
class Member:
    """A member of an object, or an item of an array, which has no key."""

    start: int
    """The start of the key, or of the value if there is no key."""
    value: Value = field(default_factory=lambda: Value(0))
    key: str = ""
    comma: int | None = None
    """The position after the next comma, or None if no comma follows."""


def scan(text: str) -> Value | None:
    """Return the value in `text`, or None if it contains only whitespace and comments.

    Raises `CannotEdit` with the line of the error.
    """
    scanner = _Scanner(text)
    start = scanner.blank(0)
    if start == len(text):
        return None
    value = scanner.value(start, 0)
    end = scanner.blank(value.end)
    if end != len(text):
        scanner.fail(end)
    return value


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text

    def fail(self, position: int) -> NoReturn:
        line = self._text.count("\n", 0, position) + 1
        raise CannotEdit(f"is not valid JSON (line {line})")

    def blank(self, position: int) -> int:
        """Return the end of the whitespace and comments that start at `position`."""
        found = _BLANK.match(self._text, position)
        return found.end() if found else position

    def value(self, start: int, depth: int) -> Value:
        if depth > _MAX_DEPTH:
            self.fail(start)
        first = self._text[start : start + 1]
        if first == "{":
            return self._object(start, depth)
        if first == "[":
            return self._array(start, depth)
        pattern = _STRING if first == '"' else _SCALAR
        found = pattern.match(self._text, start)
        if found is None:
            self.fail(start)
        return Value(start, found.end(), scalar=self._parsed(found[0], start))

    def _parsed(self, text: str, start: int) -> Any:
        try:
            return json.loads(text, strict=False)
        except (ValueError, RecursionError):
            self.fail(start)

    def _object(self, start: int, depth: int) -> Value:
        members: list[Member] = []
        position = self.blank(start + 1)
        while self._text[position : position + 1] != "}":
            found = _STRING.match(self._text, position)
            if found is None or (members and members[-1].comma is None):
                self.fail(position)
            colon = self.blank(found.end())
            if self._text[colon : colon + 1] != ":":
                self.fail(colon)
            value = self.value(self.blank(colon + 1), depth + 1)
            members.append(Member(position, value, str(self._parsed(found[0], position))))
            position = self._after(members[-1])
        return Value(start, position + 1, members=members)

    def _array(self, start: int, depth: int) -> Value:
        items: list[Member] = []
        position = self.blank(start + 1)
        while self._text[position : position + 1] != "]":
            if items and items[-1].comma is None:
                self.fail(position)
            items.append(Member(position, self.value(position, depth + 1)))
            position = self._after(items[-1])
        return Value(start, position + 1, items=items)

    def _after(self, part: Member) -> int:
        """Record the comma after `part`, and return the position of the next part or the closing
        bracket."""
        position = self.blank(part.value.end)
        if self._text[position : position + 1] == ",":
            part.comma = position + 1
            position = self.blank(position + 1)
        return position
