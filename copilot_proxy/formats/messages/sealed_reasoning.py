"""Sealed reasoning: how Claude's signed thinking travels in a chat message, and others' in blocks.

A chat message has one text of reasoning (`reasoning_content`) and one opaque value beside it
(`reasoning_opaque`), tagged with the API it is good for, so that it never goes to another:

- ``messages:SIGNATURE`` is Claude's. A second thinking block adds `` 57:SIGNATURE``, where 57 is
  the place in the text at which its own text begins; a redacted block is ``!DATA``.
- ``responses:...`` and values without a tag belong to other APIs. In Anthropic's blocks the latter
  become ``chat:...``, since a bare signature there is Claude's.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from copilot_proxy.formats.messages.schema import Json

_OURS: Final = "messages:"
_CHAT: Final = "chat:"
_TAGGED: Final = re.compile(r"^(messages|responses|chat):")
_SIGNATURE: Final = re.compile(r"^[A-Za-z0-9+/=_-]+$")
_ITEM: Final = re.compile(r"^(?:(?P<start>\d{1,9}):)?(?P<redacted>!?)(?P<seal>[A-Za-z0-9+/=_-]+)$")
_GAP: Final = "\n\n"


class Thought(NamedTuple):
    """One piece of Claude's reasoning; `seal` is its signature, or its data if it is redacted."""

    text: str
    seal: str
    redacted: bool = False

    def block(self) -> Json:
        """The block that Claude takes back."""
        if self.redacted:
            return {"type": "redacted_thinking", "data": self.seal}
        return {"type": "thinking", "thinking": self.text, "signature": self.seal}


def signature(value: object) -> str | None:
    """Claude's own signature, with our tag or without; None for any other value."""
    if not isinstance(value, str):
        return None
    value = value.removeprefix(_OURS)
    return value if _SIGNATURE.match(value) else None


class Sealer:
    """Writes the thoughts of one answer as reasoning text and opaque value, piece by piece."""

    def __init__(self) -> None:
        self._length = 0
        self._start = 0
        self._sealed = False

    def begin(self) -> str:
        """Starts a thought; gives the text that keeps it apart from the one before."""
        gap = _GAP if self._length else ""
        self._length += len(gap)
        self._start = self._length
        return gap

    def text(self, text: str) -> str:
        """Adds to the thought; gives the text."""
        self._length += len(text)
        return text

    def seal(self, seal: str, *, redacted: bool = False) -> str:
        """Ends the thought with its signature or data; gives the piece of the opaque value."""
        mark = "!" if redacted else ""
        if self._sealed:
            return f" {self._start}:{mark}{seal}"
        self._sealed = True
        start = f"{self._start}:" if self._start else ""
        return f"{_OURS}{start}{mark}{seal}"


def thoughts(text: object, opaque: object) -> list[Thought]:
    """Claude's thoughts in a chat message's reasoning; none if it is not, or no longer, sealed."""
    if not isinstance(opaque, str) or not opaque.startswith(_OURS):
        return []
    text = text if isinstance(text, str) else ""
    items = [_ITEM.match(item) for item in opaque.removeprefix(_OURS).split(" ")]
    found = [item for item in items if item]
    starts = [int(item["start"] or 0) for item in found]
    if len(found) < len(items) or starts != sorted(starts) or starts[-1] > len(text):
        return []
    ends = [max(start, end - len(_GAP)) for start, end in pairwise(starts)]
    return [
        Thought("" if item["redacted"] else text[start:end], item["seal"], bool(item["redacted"]))
        for item, start, end in zip(found, starts, [*ends, len(text)], strict=True)
    ]


def thinking_blocks(text: object, opaque: object) -> list[Json]:
    """The blocks that Claude takes back; thinking without words is none, it is refused."""
    return [one.block() for one in thoughts(text, opaque) if one.text or one.redacted]


def to_signature(opaque: str) -> str:
    """An opaque value as the signature of a thinking block."""
    return opaque if _TAGGED.match(opaque) else _CHAT + opaque


def from_blocks(blocks: Iterable[Json]) -> tuple[str, str]:
    """Reasoning text and opaque value of the thinking blocks that a client sent back.

    Blocks sealed by different APIs do not go into one value: the first one's API decides.
    """
    found = list(_opened(blocks))
    origin = next((tag for tag, _ in found if tag), "")
    kept = [thought for tag, thought in found if tag in ("", origin)]
    if origin == _OURS:
        return _sealed([thought for thought in kept if thought.seal])
    text = _GAP.join(thought.text for thought in kept if thought.text)
    seals = [thought.seal for thought in kept if thought.seal]
    if origin == _CHAT:
        return text, "".join(seals)
    return text, origin + " ".join(seals)


def _opened(blocks: Iterable[Json]) -> Iterator[tuple[str, Thought]]:
    """Each block's thoughts with the tag of the API that sealed it; an empty one if none did."""
    for block in blocks:
        redacted = block["type"] == "redacted_thinking"
        text = block.get("thinking") or ""
        value = block.get("data" if redacted else "signature") or ""
        tagged = _TAGGED.match(value)
        if tagged and tagged[0] != _OURS:
            yield tagged[0], Thought(text, value[tagged.end() :])
        elif tagged:
            yield from ((_OURS, thought) for thought in thoughts(text, value))
        elif _SIGNATURE.match(value):
            yield _OURS, Thought(text, value, redacted)
        else:
            yield "", Thought(text, "")


def _sealed(found: list[Thought]) -> tuple[str, str]:
    sealer, text, opaque = Sealer(), "", ""
    for thought in found:
        text += sealer.begin() + sealer.text(thought.text)
        opaque += sealer.seal(thought.seal, redacted=thought.redacted)
    return text, opaque
