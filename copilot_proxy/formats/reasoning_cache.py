"""Caches a model's encrypted reasoning for clients that do not send it back.

If the reasoning before a tool call is missing in the next turn, Gemini rejects the request, and
Claude and GPT lose it. Few clients send back fields that OpenAI's API does not have, so the
reasoning is cached by the id of the tool call: in memory, for the most recent calls, and only for
the model that produced it.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from copilot_proxy.formats.types import Json

_MAX_CALLS: Final = 2000
_MAX_CHARACTERS: Final = 20_000_000


class ReasoningCache:
    """An LRU cache of the reasoning before tool calls, plain and encrypted.

    `calls` and `characters` limit its size.
    """

    def __init__(self, calls: int = _MAX_CALLS, characters: int = _MAX_CHARACTERS) -> None:
        self._max_calls = calls
        self._max_characters = characters
        self._characters = 0
        self._entries: OrderedDict[str, tuple[str, str, str]] = OrderedDict()
        self._vendors: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()  # large requests are translated in a thread

    def store(self, model: str, call_ids: Iterable[str], reasoning: str, opaque: str) -> None:
        """Store the reasoning of a response with these tool calls, under the first call's id."""
        first = next(iter(call_ids), None)
        if first is None or not opaque or len(opaque) + len(reasoning) > self._max_characters:
            return
        with self._lock:
            self._remove(first)
            self._entries[first] = (model, reasoning, opaque)
            self._characters += len(reasoning) + len(opaque)
            while len(self._entries) > self._max_calls or self._characters > self._max_characters:
                self._remove(next(iter(self._entries)))

    def store_vendor(self, opaque: str, vendor: str) -> None:
        """Store which vendor encrypted some reasoning; other vendors cannot decrypt it."""
        self._vendors[_digest(opaque)] = vendor
        while len(self._vendors) > self._max_calls:
            self._vendors.popitem(last=False)

    def restore(self, model: str, messages: list[Json], vendor: str | None = None) -> list[Json]:
        """Return the messages with missing reasoning restored from the cache.

        Reasoning that is known to be encrypted by a vendor other than `vendor` is removed.
        """
        own = [self._without_foreign(vendor, message) for message in messages]
        return [self._with_reasoning(model, message) for message in own]

    def _without_foreign(self, vendor: str | None, message: Json) -> Json:
        opaque = message.get("reasoning_opaque")
        if not opaque or vendor is None:
            return message
        if self._vendors.get(_digest(opaque), vendor) == vendor:
            return message
        foreign = ("reasoning_opaque", "reasoning_content", "reasoning_text")
        return {name: value for name, value in message.items() if name not in foreign}

    def _with_reasoning(self, model: str, message: Json) -> Json:
        calls = message.get("tool_calls") if message.get("role") == "assistant" else None
        if not calls or message.get("reasoning_opaque"):
            return message
        with self._lock:
            entry = self._entries.get(calls[0]["id"])
            if entry is None or entry[0] != model:
                return message
            self._entries.move_to_end(calls[0]["id"])
        filled = {**message, "reasoning_opaque": entry[2]}
        if entry[1]:
            filled["reasoning_content"] = entry[1]
        return filled

    def _remove(self, call_id: str) -> None:
        entry = self._entries.pop(call_id, None)
        if entry is not None:
            self._characters -= len(entry[1]) + len(entry[2])


def _digest(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode("utf-8", "surrogatepass")).digest()


class ReasoningRecorder:
    """Collects the reasoning and tool calls of a response, and stores them when it is finished."""

    def __init__(self, cache: ReasoningCache, model: str, vendor: str | None = None) -> None:
        self._cache = cache
        self._model = model
        self._vendor = vendor
        self._calls: list[str] = []
        self._reasoning: list[str] = []
        self._opaque: list[str] = []

    def record(self, delta: Json, finish_reason: str | None) -> None:
        """Process the delta and finish reason of one chunk."""
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
            self._cache.store_vendor(opaque, self._vendor)
        if self._calls:
            self._cache.store(self._model, self._calls, "".join(self._reasoning), opaque)
