"""Caches a model's encrypted reasoning for clients that do not send it back.

If the reasoning before a tool call is missing in the next turn, Gemini rejects the request, and
Claude and GPT lose it. Few clients send back fields that OpenAI's API does not have, so the
reasoning is cached by the id of the tool call: in memory, for the most recent calls, and only for
the model that produced it and the caller that got it. Callers are told apart by an opaque
identifier, since two of them may use the same ids.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from copilot_proxy.formats.types import Json

_MAX_CALLS: Final = 2000
_MAX_CHARACTERS: Final = 20_000_000
_MAX_REFUSED: Final = 10_000


class ReasoningCache:
    """An LRU cache of the reasoning before tool calls, plain and encrypted.

    `calls` and `characters` limit its size.
    """

    def __init__(self, calls: int = _MAX_CALLS, characters: int = _MAX_CHARACTERS) -> None:
        self._max_calls = calls
        self._max_characters = characters
        self._characters = 0
        self._entries: OrderedDict[tuple[bytes, str], tuple[str, str, str]] = OrderedDict()
        self._vendors: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()  # large requests are translated in a thread

    def store(
        self, caller: bytes, model: str, call_ids: Iterable[str], reasoning: str, opaque: str
    ) -> None:
        """Store the reasoning of a response with these tool calls, under the first call's id."""
        first = next(iter(call_ids), None)
        if first is None or not opaque or len(opaque) + len(reasoning) > self._max_characters:
            return
        with self._lock:
            self._remove((caller, first))
            self._entries[caller, first] = (model, reasoning, opaque)
            self._characters += len(reasoning) + len(opaque)
            while len(self._entries) > self._max_calls or self._characters > self._max_characters:
                self._remove(next(iter(self._entries)))

    def store_vendor(self, opaque: str, vendor: str) -> None:
        """Store which vendor encrypted some reasoning; other vendors cannot decrypt it."""
        self._vendors[_digest(opaque)] = vendor
        while len(self._vendors) > self._max_calls:
            self._vendors.popitem(last=False)

    def restore(
        self, caller: bytes, model: str, messages: list[Json], vendor: str | None = None
    ) -> list[Json]:
        """Return the messages with missing reasoning of `caller` restored from the cache.

        Reasoning that is known to be encrypted by a vendor other than `vendor` is removed.
        """
        own = [self._without_foreign(vendor, message) for message in messages]
        return [self._with_reasoning(caller, model, message) for message in own]

    def _without_foreign(self, vendor: str | None, message: Json) -> Json:
        opaque = message.get("reasoning_opaque")
        if not opaque or vendor is None:
            return message
        if self._vendors.get(_digest(opaque), vendor) == vendor:
            return message
        foreign = ("reasoning_opaque", "reasoning_content", "reasoning_text")
        return {name: value for name, value in message.items() if name not in foreign}

    def _with_reasoning(self, caller: bytes, model: str, message: Json) -> Json:
        calls = message.get("tool_calls") if message.get("role") == "assistant" else None
        if not calls or message.get("reasoning_opaque"):
            return message
        key = (caller, calls[0]["id"])
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry[0] != model:
                return message
            self._entries.move_to_end(key)
        filled = {**message, "reasoning_opaque": entry[2]}
        if entry[1]:
            filled["reasoning_content"] = entry[1]
        return filled

    def _remove(self, key: tuple[bytes, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._characters -= len(entry[1]) + len(entry[2])


def _digest(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode("utf-8", "surrogatepass")).digest()


class RefusedReasoning:
    """Remembers which encrypted reasoning each model has refused, so that it is not sent again."""

    def __init__(self, most: int = _MAX_REFUSED) -> None:
        self._most = most
        self._digests: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._digests)

    def add(self, model: str, encrypted: Iterable[str]) -> None:
        """Remember what `model` has refused."""
        for one in encrypted:
            self._digests[model, _digest(one)] = None
        while len(self._digests) > self._most:
            self._digests.popitem(last=False)

    def among(self, model: str, encrypted: Iterable[str]) -> frozenset[str]:
        """Return those of `encrypted` that `model` has refused."""
        return frozenset(one for one in encrypted if (model, _digest(one)) in self._digests)


class ReasoningRecorder:
    """Collects the reasoning and tool calls of a response, and stores them when it is finished."""

    def __init__(
        self, cache: ReasoningCache, caller: bytes, model: str, vendor: str | None = None
    ) -> None:
        self._cache = cache
        self._caller = caller
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
            reasoning = "".join(self._reasoning)
            self._cache.store(self._caller, self._model, self._calls, reasoning, opaque)
