"""Carries Claude's signed thinking in chat messages, and encrypted reasoning in thinking blocks.

A chat message has a reasoning text (`reasoning_content`) and an opaque value (`reasoning_opaque`).
A tag in the opaque value names the API that encrypted the reasoning, so that it is only ever sent
back to that API:

- ``messages:SIGNATURE`` is Claude's. A second thinking block adds `` 57:SIGNATURE``, where 57 is
  the position in `reasoning_content` at which its text starts. A redacted block has ``!DATA``
  instead of a signature. A block may have no text: newer models hide their thinking, but need its
  signature back.
- ``responses:…`` and values without a tag belong to other APIs. In thinking blocks, values without
  a tag become ``chat:…``, since a signature without a tag is Claude's there.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from copilot_proxy.formats.reasoning_labels import CHAT_LABEL, MESSAGES_LABEL, label_of
from copilot_proxy.formats.types import Json

_SIGNATURE: Final = re.compile(r"^[A-Za-z0-9+/=_-]+$")
_ITEM: Final = re.compile(
    r"^(?:(?P<start>\d{1,9}):)?(?P<redacted>!?)(?P<signature>[A-Za-z0-9+/=_-]+)$"
)
_GAP: Final = "\n\n"


class Thought(NamedTuple):
    """A Claude thinking block; if it is redacted, `signature` is its data."""

    text: str
    signature: str
    redacted: bool = False

    def block(self) -> Json:
        """Return the block to send to Claude.

        ``{"type": "thinking", "thinking", "signature"}`` or
        ``{"type": "redacted_thinking", "data"}``.
        """
        if self.redacted:
            return {"type": "redacted_thinking", "data": self.signature}
        return {"type": "thinking", "thinking": self.text, "signature": self.signature}


def claude_signature(value: object) -> str | None:
    """Return Claude's signature without our tag, or None if `value` is not a signature."""
    if not isinstance(value, str):
        return None
    value = value.removeprefix(MESSAGES_LABEL)
    return value if _SIGNATURE.match(value) else None


class ReasoningWriter:
    """Converts the thinking blocks of a response to reasoning text and opaque values, in chunks.

    For each block, call `start`, then `text` with its text, and `sign` at its end.
    """

    def __init__(self) -> None:
        self._length = 0
        self._start = 0
        self._gap = ""
        self._has_signature = False

    def start(self) -> None:
        """Start a block."""
        self._gap = _GAP if self._length else ""
        self._start = self._length + len(self._gap)

    def text(self, text: str) -> str:
        """Add text to the block. Return the text, preceded by a separator if needed."""
        if not text:
            return ""
        text = self._gap + text
        self._gap = ""
        self._length += len(text)
        return text

    def sign(self, signature: str, *, redacted: bool = False) -> str:
        """End the block with its signature or data; return the next part of the opaque value."""
        marker = "!" if redacted else ""
        if self._has_signature:
            return f" {self._start}:{marker}{signature}"
        self._has_signature = True
        start = f"{self._start}:" if self._start else ""
        return f"{MESSAGES_LABEL}{start}{marker}{signature}"


def parse_thoughts(text: object, opaque: object) -> list[Thought]:
    """Split the reasoning of a chat message into Claude's thinking blocks.

    The list is empty if the reasoning is not Claude's, or if the opaque value does not match
    the text.
    """
    if not isinstance(opaque, str) or not opaque.startswith(MESSAGES_LABEL):
        return []
    text = text if isinstance(text, str) else ""
    matches = [_ITEM.match(item) for item in opaque.removeprefix(MESSAGES_LABEL).split(" ")]
    items = [match for match in matches if match]
    starts = [int(item["start"] or 0) for item in items]
    # A block without text is not preceded by a separator.
    if len(items) < len(matches) or starts != sorted(starts) or starts[-1] > len(text + _GAP):
        return []
    ends = [max(start, end - len(_GAP)) for start, end in pairwise(starts)]
    return [
        Thought(
            "" if item["redacted"] else text[start:end], item["signature"], bool(item["redacted"])
        )
        for item, start, end in zip(items, starts, [*ends, len(text)], strict=True)
    ]


def thinking_blocks(text: object, opaque: object) -> list[Json]:
    """Return the thinking blocks of a chat message, to be sent to Claude."""
    return [thought.block() for thought in parse_thoughts(text, opaque)]


def to_signature(opaque: str) -> str:
    """Return an opaque value as the signature of a thinking block."""
    return opaque if label_of(opaque) else CHAT_LABEL + opaque


def from_thinking_blocks(blocks: Iterable[Json]) -> tuple[str, str]:
    """Return the reasoning text and the opaque value for a client's thinking blocks.

    An opaque value cannot combine blocks from different APIs, so only those of the first block's
    API are kept.
    """
    tagged = list(_tagged_thoughts(blocks))
    api_tag = next((tag for tag, _ in tagged if tag), "")
    thoughts = [thought for tag, thought in tagged if tag in ("", api_tag)]
    if api_tag == MESSAGES_LABEL:
        return _write([thought for thought in thoughts if thought.signature])
    text = _GAP.join(thought.text for thought in thoughts if thought.text)
    signatures = [thought.signature for thought in thoughts if thought.signature]
    if api_tag == CHAT_LABEL:
        return text, "".join(signatures)
    return text, api_tag + " ".join(signatures)


def _tagged_thoughts(blocks: Iterable[Json]) -> Iterator[tuple[str, Thought]]:
    """Yield the API tag and the thought of each block; an unsigned block has the tag ""."""
    for block in blocks:
        redacted = block["type"] == "redacted_thinking"
        text = block.get("thinking") or ""
        value = block.get("data" if redacted else "signature") or ""
        tag = label_of(value)
        if tag and tag != MESSAGES_LABEL:
            yield tag, Thought(text, value.removeprefix(tag))
        elif tag:
            yield from ((MESSAGES_LABEL, thought) for thought in parse_thoughts(text, value))
        elif _SIGNATURE.match(value):
            yield MESSAGES_LABEL, Thought(text, value, redacted)
        else:
            yield "", Thought(text, "")


def _write(thoughts: list[Thought]) -> tuple[str, str]:
    writer, text, opaque = ReasoningWriter(), "", ""
    for thought in thoughts:
        writer.start()
        text += writer.text(thought.text)
        opaque += writer.sign(thought.signature, redacted=thought.redacted)
    return text, opaque
