"""Repairs chunks that differ from an earlier one only in their text, without decoding them.

Most chunks of an answer are identical except for their text. After two such chunks, the repaired
form of the bytes around the text is known. The text itself is passed on unchanged.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from copilot_proxy.formats.types import ChatChunk

_TEXT_STARTS: Final = b'"content":"'
"""In valid JSON, these bytes cannot occur inside a string."""
_SKIPPED: Final = len(_TEXT_STARTS)
_TEXT: Final = re.compile(
    rb'[^"\\\x00-\x1f]*'
    # Half of a surrogate pair, such as \ud83d, may need repair.
    rb'(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'
)
"""The contents of a string in valid JSON."""

_PLAIN: Final = {"content", "role"}
_MAX_KNOWN: Final = 16
"""The number of different chunks to learn. Some streams alternate between a few kinds of chunks;
others have different fields in every chunk."""
_encode: Final = msgspec.json.Encoder().encode

_Around = tuple[bytes, bytes]
"""The bytes before and after a chunk's text."""


class RepeatedChunks:
    """Implements `formats.translators.RepeatedEvents` for the chunks of one Copilot stream."""

    __slots__ = ("_known", "_seen")

    def __init__(self) -> None:
        self._known: dict[_Around, _Around | None] = {}
        """The bytes around a chunk's text -> the bytes around the text of the repaired chunk, or
        None if they cannot be predicted."""
        self._seen: set[_Around] = set()
        """The bytes around all texts so far; many of these pairs never occur again."""

    def translated(self, batch: Sequence[object]) -> list[bytes] | None:
        """Return the JSON of the repaired chunks, or None if any of them is unknown."""
        known = self._known
        if not known:
            return None
        chunks: list[bytes] = []
        for data in batch:
            if not isinstance(data, bytes):
                return None
            start = data.find(_TEXT_STARTS) + _SKIPPED
            text = _TEXT.match(data, start)
            end = start if text is None else text.end()
            around = known.get((data[:start], data[end:]))
            if around is None or end == start:
                return None
            inside = data[start:end]
            if not (inside.isascii() or _is_line(inside)):
                return None
            chunks.append(b"%b%b%b" % (around[0], inside, around[1]))
        return chunks

    def learn(self, data: bytes, event: object, translated: Sequence[ChatChunk]) -> bool:
        """Learn how chunks like `event` are repaired, if a similar one has been seen before.

        Returns whether such chunks are now known.
        """
        text = _only_text(event) if len(translated) == 1 else None
        around = None if text is None else _around_text(data)
        if text is None or around is None or around in self._known:
            return around in self._known
        if around not in self._seen:
            if len(self._seen) == _MAX_KNOWN:
                self._seen.clear()
                self._known.clear()
            self._seen.add(around)
            return False
        after = around[1]
        longer = _decoded_text(data[: -len(after)] + b"x" + after)
        is_text = longer == text + "x"
        self._known[around] = _around_text(_encode(translated[0])) if is_text else None
        return True


def _only_text(event: object) -> str | None:
    """Return a chunk's text. Returns None if there is no text, or if the chunk affects the repair
    of later chunks."""
    if not isinstance(event, dict) or event.get("usage") is not None or "copilot_usage" in event:
        return None
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
    if not isinstance(choice, dict) or choice.get("finish_reason"):
        return None
    delta = choice.get("delta")
    if not isinstance(delta, dict) or not delta.keys() <= _PLAIN:
        return None
    text = delta.get("content")
    return text if isinstance(text, str) and text else None


def _decoded_text(data: bytes) -> str | None:
    """Return the text of a chunk, or None if the chunk is not valid JSON."""
    try:
        return _only_text(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _around_text(data: bytes) -> _Around | None:
    """Return the bytes around a chunk's text, or None if the chunk does not have exactly one
    text."""
    if data.count(_TEXT_STARTS) != 1:
        return None
    start = data.find(_TEXT_STARTS) + _SKIPPED
    text = _TEXT.match(data, start)
    end = start if text is None else text.end()
    return (data[:start], data[end:]) if data.startswith(b'"', end) else None


def _is_line(data: bytes) -> bool:
    """Return whether `data` is UTF-8, without characters at which some clients end a line."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    # Almost all text is printable, which is quicker to check.
    return text.isprintable() or text.splitlines() == [text]
