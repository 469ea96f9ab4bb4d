"""The arguments of a tool call, as models write them: piece by piece, and not always to an end."""

import re
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse

_MOST_BLANKS: Final = 20
"""Line breaks and tabs in a row, with nothing between, which real arguments never have."""
_LONGEST_WORD: Final = 64
"""Characters of a number or word that is looked at where an object is expected."""
_JSON_BLANKS: Final = " \t\r\n"
_IN_STRING: Final = re.compile(r'["\\]')
_ELSEWHERE: Final = re.compile(r'["{}\[\]]')
INVALID_JSON: Final = "INVALID_JSON"
"""The key under which Anthropic's reference keeps a tool's input that is no JSON object."""


def is_json(text: str) -> bool:
    """Whether `text` is one JSON value; what is nested too deeply to be read is none."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


class RunawayGuard:
    """Stops a model that is stuck writing blank lines into a tool call: the user pays for them."""

    __slots__ = ("_blanks",)

    def __init__(self) -> None:
        self._blanks = 0

    def watch(self, text: str) -> None:
        """Takes the next piece; raises `BrokenResponse` when the model is stuck."""
        tail = text.rstrip()
        if tail:
            self._blanks = 0
        if len(tail) == len(text):
            return
        self._blanks += sum(char in "\r\n\t" for char in text[len(tail) :])
        if self._blanks > _MOST_BLANKS:
            raise BrokenResponse(
                "The model got stuck writing blank lines into a tool call, so it was stopped.",
                hint="Try again, or try another model.",
                code="runaway_whitespace",
            )


class Arguments:
    """The arguments of one call; true once there are any.

    However often it is asked whether they are complete, each piece is looked at once, and the
    whole is parsed once.
    """

    __slots__ = ("_end", "_guard", "_is_valid", "_pieces", "_seen", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._guard = RunawayGuard()
        self._end = _End()
        self._seen = 0
        self._is_valid: bool | None = None

    def __bool__(self) -> bool:
        return self._size > 0

    @property
    def text(self) -> str:
        """All pieces that have come."""
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """Takes the next piece; raises `BrokenResponse` when the model is stuck."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._guard.watch(piece)

    @property
    def is_json(self) -> bool:
        """Whether what has come is one JSON value."""
        for piece in self._pieces[self._seen :]:
            self._end.feed(piece)
        self._seen = len(self._pieces)
        if self._end.is_word:
            return self._size <= _LONGEST_WORD and is_json(self.text)
        if not self._end.is_last:
            return False
        if self._is_valid is None:
            self._is_valid = is_json(self.text)
        return self._is_valid


class _End:
    """Looks for the end of the first object, list or string of a text that comes in pieces.

    Whether it is JSON, a parser has to say; before its end it is not, and with more behind it
    never will be.
    """

    __slots__ = ("_depth", "_first", "_has_more", "_in_string", "_is_escaped", "_is_found")

    def __init__(self) -> None:
        self._first = ""
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._is_found = False
        self._has_more = False

    @property
    def is_word(self) -> bool:
        """Whether it is something else, such as a number, whose end cannot be seen."""
        return self._first not in ("", "{", "[", '"')

    @property
    def is_last(self) -> bool:
        """Whether the end has come, and nothing after it."""
        return self._is_found and not self._has_more

    def feed(self, piece: str) -> None:
        """Takes the next piece."""
        if not self._first:
            piece = piece.lstrip(_JSON_BLANKS)
            self._first = piece[:1]
        if not piece or self.is_word:
            return
        at = 0 if self._is_found else self._look(piece)
        self._has_more = self._has_more or bool(piece[at:].strip(_JSON_BLANKS))

    def _look(self, piece: str) -> int:
        """How much of `piece` belongs to the value."""
        at = 0
        while not self._is_found:
            if self._is_escaped and at < len(piece):
                self._is_escaped = False
                at += 1
            mark = (_IN_STRING if self._in_string else _ELSEWHERE).search(piece, at)
            if mark is None:
                return len(piece)
            at = mark.end()
            self._take(mark[0])
        return at

    def _take(self, mark: str) -> None:
        if mark == "\\":
            self._is_escaped = True
        elif mark == '"':
            self._in_string = not self._in_string
        else:
            self._depth += 1 if mark in "{[" else -1
        self._is_found = self._depth <= 0 and not self._in_string


def parsed_input(text: str, default: Any = None) -> dict[str, Any]:
    """A tool's input; what is no JSON object is kept under `INVALID_JSON`."""
    if not text.strip():
        return default if isinstance(default, dict) else {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {INVALID_JSON: text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {INVALID_JSON: text}
