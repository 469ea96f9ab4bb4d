"""Extracts from a prompt the values that a model would use: names, numbers, paths, quoted text."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

NAME = r"[^\W\d_a-z][\w'’-]*(?:\s+[^\W\d_a-z][\w'’-]*)*"
PREPOSITION = r"\b(?:in|for|of|at|from|to|about|with|on|near)\s+"
QUOTED = re.compile(r"[\"“”`']([^\"“”`'\n]{1,200})[\"“”`']")
LIST = re.compile(rf"{PREPOSITION}({NAME}(?:\s*,\s*{NAME})*\s*,?\s+and\s+{NAME})")
SINGLE = re.compile(rf"{PREPOSITION}({NAME})")
PATH = re.compile(r"(?<![\w/])(?:[\w~-]*/[\w./~*-]+|[\w-]+\.[a-z]{1,5}\b)")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
PATH_NAMES = ("path", "file", "dir", "folder", "filename")
TEXT_NAMES = ("query", "text", "prompt", "question", "message", "content", "input")


class Prompt:
    """A prompt and the values that can be extracted from it."""

    def __init__(self, text: str, focus: str = "") -> None:
        self.text = text
        self.focus = focus
        """The item that the current tool call is about, if the prompt lists several."""

    @cached_property
    def all(self) -> list[str]:
        """All words, without punctuation."""
        return re.findall(r"[\w'’.-]*\w", self.text)

    @cached_property
    def several(self) -> list[str]:
        """The items of a list such as "Paris and London"."""
        if not (found := LIST.search(self.text)):
            return []
        return [part for part in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", found[1]) if part]

    def mentions(self, value: Any) -> bool:
        """Return whether an enum value occurs in the prompt."""
        return isinstance(value, str) and bool(
            re.search(rf"\b{re.escape(value)}\b", self.text, re.IGNORECASE)
        )

    def number(self) -> float:
        """Return the first number in the prompt, or 1 if there is none."""
        found = NUMBER.search(self.text)
        return float(found[0]) if found else 1.0

    def phrase(self, name: str) -> str:
        """Return a plausible string for a property called `name`."""
        name = name.lower()
        if any(name.endswith(one) for one in PATH_NAMES) and (path := PATH.search(self.text)):
            return path[0]
        if self.focus:
            return self.focus
        if quoted := QUOTED.search(self.text):
            return quoted[1]
        if name in TEXT_NAMES and self.text.strip():
            return " ".join(self.text.split())[:200]
        if single := SINGLE.search(self.text):
            return single[1]
        capitals = [word for word in self.all[1:] if word[0].isupper() and len(word) > 1]
        if capitals:
            return capitals[-1]
        return self.all[-1] if self.all else "example"
