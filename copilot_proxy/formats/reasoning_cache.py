"""Remembers a model's sealed reasoning for clients that do not send it back.

Gemini refuses, and Claude and GPT forget, when the reasoning behind a tool call is missing in the
next turn; hardly a client carries fields that OpenAI does not have. The id of the call is the key.
Only in memory, for the last calls, and only for the model that it came from.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from copilot_proxy.formats.types import Json

_MOST_CALLS: Final = 2000
_MOST_CHARACTERS: Final = 20_000_000


class ReasoningCache:
    """What was said before tool calls: reasoning and its sealed form."""

    def __init__(self, calls: int = _MOST_CALLS, characters: int = _MOST_CHARACTERS) -> None:
        self._most_calls = calls
        self._most_characters = characters
        self._characters = 0
        self._known: OrderedDict[str, tuple[str, str, str]] = OrderedDict()
        self._sealed_by: OrderedDict[bytes, str] = OrderedDict()

    def keep(self, model: str, call_ids: Iterable[str], reasoning: str, opaque: str) -> None:
        """Notes what belongs to the calls of one answer."""
        first = next(iter(call_ids), None)
        if first is None or not opaque or len(opaque) + len(reasoning) > self._most_characters:
            return
        self._forget(first)
        self._known[first] = (model, reasoning, opaque)
        self._characters += len(reasoning) + len(opaque)
        while len(self._known) > self._most_calls or self._characters > self._most_characters:
            self._forget(next(iter(self._known)))

    def note_seal(self, opaque: str, vendor: str) -> None:
        """Notes whose model sealed some reasoning: it means nothing to any other's."""
        self._sealed_by[_digest(opaque)] = vendor
        while len(self._sealed_by) > self._most_calls:
            self._sealed_by.popitem(last=False)

    def recall(self, model: str, messages: list[Json], vendor: str | None = None) -> list[Json]:
        """The messages, with the reasoning of those that lost theirs, and without what is known to
        have been sealed for the models of another vendor than `vendor`."""
        own = [self._own(vendor, message) for message in messages]
        return [self._recalled(model, message) for message in own]

    def _own(self, vendor: str | None, message: Json) -> Json:
        opaque = message.get("reasoning_opaque")
        if not opaque or vendor is None:
            return message
        if self._sealed_by.get(_digest(opaque), vendor) == vendor:
            return message
        foreign = ("reasoning_opaque", "reasoning_content", "reasoning_text")
        return {name: value for name, value in message.items() if name not in foreign}

    def _recalled(self, model: str, message: Json) -> Json:
        calls = message.get("tool_calls") if message.get("role") == "assistant" else None
        if not calls or message.get("reasoning_opaque"):
            return message
        known = self._known.get(calls[0]["id"])
        if known is None or known[0] != model:
            return message
        self._known.move_to_end(calls[0]["id"])
        filled = {**message, "reasoning_opaque": known[2]}
        if known[1]:
            filled["reasoning_content"] = known[1]
        return filled

    def _forget(self, call_id: str) -> None:
        known = self._known.pop(call_id, None)
        if known is not None:
            self._characters -= len(known[1]) + len(known[2])


def _digest(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode("utf-8", "surrogatepass")).digest()


class ReasoningRecorder:
    """Records one answer, chunk by chunk, and keeps what belongs to its tool calls."""

    def __init__(self, cache: ReasoningCache, model: str, vendor: str | None = None) -> None:
        self._cache = cache
        self._model = model
        self._vendor = vendor
        self._calls: list[str] = []
        self._reasoning: list[str] = []
        self._opaque: list[str] = []

    def record(self, delta: Json, finish_reason: str | None) -> None:
        """Takes note of one chunk, by its delta and its finish."""
        if "reasoning_content" in delta:
            self._reasoning.append(delta["reasoning_content"])
        if "reasoning_opaque" in delta:
            self._opaque.append(delta["reasoning_opaque"])
        for call in delta.get("tool_calls", ()):
            if call.get("id"):
                self._calls.append(call["id"])
        if finish_reason is None:
            return
        opaque = "".join(self._opaque)
        if opaque and self._vendor is not None:
            self._cache.note_seal(opaque, self._vendor)
        if self._calls:
            self._cache.keep(self._model, self._calls, "".join(self._reasoning), opaque)
