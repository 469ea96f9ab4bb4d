"""The arguments of tool calls as models stream them: in chunks, and sometimes incomplete."""

import re
from typing import Any, Final

import msgspec

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.types import Json

_MAX_BLANKS: Final = 20
"""Maximum number of consecutive line breaks and tabs; real arguments never have more."""
_MAX_SCALAR: Final = 64
"""Maximum length of a number or keyword that is parsed where an object is expected."""
_JSON_BLANKS: Final = " \t\r\n"
_IN_STRING: Final = re.compile(r'["\\]')
_ELSEWHERE: Final = re.compile(r'["{}\[\]]')
INVALID_JSON: Final = "INVALID_JSON"
"""The key for arguments that are not a JSON object.

Source: Anthropic API reference, fine-grained tool streaming.
"""


def is_json(text: str) -> bool:
    """Return whether `text` is a single JSON value; False if it is nested too deeply to parse."""
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


class RunawayGuard:
    """Stops a model that is stuck writing blank lines into a tool call, which would cost money."""

    __slots__ = ("_blanks",)

    def __init__(self) -> None:
        self._blanks = 0

    def watch(self, text: str) -> None:
        """Check the next chunk. Raises `BrokenResponse` if the model is stuck."""
        tail = text.rstrip()
        if tail:
            self._blanks = 0
        if len(tail) == len(text):
            return
        self._blanks += sum(char in "\r\n\t" for char in text[len(tail) :])
        if self._blanks > _MAX_BLANKS:
            raise BrokenResponse(
                "The model got stuck writing blank lines into a tool call, so it was stopped.",
                hint="Try again, or try another model.",
                code="runaway_whitespace",
            )


class Arguments:
    """The arguments of a call; truthy once there are any.

    Each chunk is scanned once and the complete text is parsed once, no matter how often `is_json`
    is read.
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
        """The arguments received so far."""
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """Append the next chunk. Raises `BrokenResponse` if the model is stuck."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._guard.watch(piece)

    def add_first_object(self, piece: str) -> str:
        """Append the next chunk up to the start of a second object, and return the rest of it.

        Raises `BrokenResponse` if the model is stuck.
        """
        self._scan()
        end = self._end.feed_first_object(piece)
        self.add(piece[:end])
        self._seen = len(self._pieces)
        return piece[end:]

    @property
    def is_json(self) -> bool:
        """Whether the arguments received so far are a single JSON value."""
        self._scan()
        if self._end.is_scalar:
            return self._size <= _MAX_SCALAR and is_json(self.text)
        if not self._end.is_last:
            return False
        if self._is_valid is None:
            self._is_valid = is_json(self.text)
        return self._is_valid

    def _scan(self) -> None:
        for piece in self._pieces[self._seen :]:
            self._end.feed(piece)
        self._seen = len(self._pieces)


class _End:
    """Finds the end of the first object, list or string in text that arrives in chunks.

    Text that has not reached this end is not JSON yet, and text with anything but whitespace
    after this end never will be. Otherwise, a parser must decide.
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
    def is_scalar(self) -> bool:
        """Whether the value is a number or keyword, whose end cannot be recognized."""
        return self._first not in ("", "{", "[", '"')

    @property
    def is_last(self) -> bool:
        """Whether the end has been found, and only whitespace has followed it."""
        return self._is_found and not self._has_more

    def feed(self, piece: str) -> None:
        """Scan the next chunk."""
        rest = piece[self._scan(piece) :].strip(_JSON_BLANKS)
        self._has_more = self._has_more or bool(rest)

    def feed_first_object(self, piece: str) -> int:
        """Scan the next chunk up to the start of a second object, and return where that is.

        Without a second object, this is the end of `piece`.
        """
        end = self._scan(piece)
        if not self._is_found:
            return len(piece)
        rest = piece[end:].lstrip(_JSON_BLANKS)
        if rest.startswith("{") and self._first == "{" and not self._has_more:
            return len(piece) - len(rest)
        self._has_more = self._has_more or bool(rest)
        return len(piece)

    def _scan(self, piece: str) -> int:
        """Return how many characters of `piece` belong to the value or are blanks before it."""
        at = 0
        if not self._first:
            at = len(piece) - len(piece.lstrip(_JSON_BLANKS))
            self._first = piece[at : at + 1]
        if self.is_scalar:
            return len(piece)
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


def arguments_text(value: Any) -> str:
    """Return the arguments of an earlier call as JSON; a string is the text that a model wrote."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode({} if value is None else value).decode()


def parsed_input(text: str, default: Any = None) -> Json:
    """Return a tool's input as an object.

    Empty text becomes `default`, or an empty object; null also becomes an empty object. Any other
    text that is not a JSON object is wrapped: ``{"INVALID_JSON": text}``.
    """
    if not text.strip():
        return default if isinstance(default, dict) else {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {INVALID_JSON: text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {INVALID_JSON: text}
