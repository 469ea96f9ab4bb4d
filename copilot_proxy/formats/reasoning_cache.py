"""Caches a model's encrypted reasoning for clients that do not send it back.

If the reasoning before a tool call is missing in the next turn, Gemini rejects the request, and
Claude and GPT lose their train of thought. Few clients send back fields that OpenAI's API does not
have, and some get the reasoning only in its encrypted form, so the reasoning of the most recent
tool calls is cached in memory, by the ids of the calls.
It is only restored for the model that produced it and the caller that received it. Callers are
distinguished by an opaque identifier, since two callers may use the same ids.

Ollama clients even drop the ids. Their calls receive ids based on their position, which start with
`POSITION_ID_PREFIX`. Such calls are recognized by their names and arguments; if several calls are
equal, the latest is used.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import Json

POSITION_ID_PREFIX: Final = "call_at_"
"""The start of ids that are based on a call's position."""
_PLAIN: Final = ("reasoning_content", "reasoning_text")
"""The fields with the text of the reasoning."""
_MAX_CALLS: Final = 2000
_MAX_CHARACTERS: Final = 20_000_000
_KEPT: Final = 0.75
"""The share of the cache that is kept when a limit is exceeded."""
_MAX_REFUSED: Final = 10_000


class ReasoningCache:
    """An LRU cache of the reasoning before tool calls, both plain text and encrypted.

    `calls` and `characters` limit its size.
    """

    def __init__(self, calls: int = _MAX_CALLS, characters: int = _MAX_CHARACTERS) -> None:
        self._max_calls = calls
        self._max_characters = characters
        self._characters = 0
        self._entries: OrderedDict[tuple[bytes, str], tuple[str, str, str]] = OrderedDict()
        self._vendors: OrderedDict[bytes, str] = OrderedDict()
        self._ids: OrderedDict[tuple[bytes, bytes], str] = OrderedDict()
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
            if len(self._entries) > self._max_calls or self._characters > self._max_characters:
                self._make_room()

    def store_calls(self, caller: bytes, calls: list[Json]) -> None:
        """Store the id of a response's first tool call, under a digest of all its tool calls."""
        if (digest := _digest_of(calls)) is not None:
            self._ids.pop((caller, digest), None)
            self._ids[caller, digest] = calls[0]["id"]
            if len(self._ids) > self._max_calls:
                while len(self._ids) > max(self._max_calls * _KEPT, 1):
                    self._ids.popitem(last=False)

    def store_vendor(self, opaque: str, vendor: str) -> None:
        """Record that `vendor` encrypted the reasoning `opaque`. No other vendor can decrypt it."""
        self._vendors[_digest(opaque)] = vendor
        while len(self._vendors) > self._max_calls:
            self._vendors.popitem(last=False)

    def restore(
        self, caller: bytes, model: str, messages: list[Json], vendor: str | None = None
    ) -> list[Json]:
        """Return the messages of `caller`, with missing reasoning restored from the cache.

        Reasoning known to be encrypted by a vendor other than `vendor` is removed.
        """
        if not (self._entries or self._vendors):
            return messages  # the usual case for models without encrypted reasoning
        if isinstance(messages, PlainTurns):
            messages = messages.decoded()
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
        opaque = message.get("reasoning_opaque")
        # A Messages client that does not request thinking has only the encrypted reasoning.
        if not calls or (opaque and any(message.get(name) for name in _PLAIN)):
            return message
        id: str = calls[0]["id"]
        if id.startswith(POSITION_ID_PREFIX) and (digest := _digest_of(calls)) is not None:
            id = self._ids.get((caller, digest), id)
        key = (caller, id)
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry[0] != model or opaque not in (None, "", entry[2]):
                return message
            self._entries.move_to_end(key)
        filled = {**message, "reasoning_opaque": entry[2]}
        if entry[1]:
            filled["reasoning_content"] = entry[1]
        return filled

    def _make_room(self) -> None:
        """Remove the least recently used reasoning.

        A quarter is removed at once, because each removal changes a prompt, which the provider then
        cannot read from its cache.
        """
        max_calls, max_characters = self._max_calls * _KEPT, self._max_characters * _KEPT
        while len(self._entries) > 1 and (
            len(self._entries) > max_calls or self._characters > max_characters
        ):
            self._remove(next(iter(self._entries)))

    def _remove(self, key: tuple[bytes, str]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._characters -= len(entry[1]) + len(entry[2])


def _digest(opaque: str) -> bytes:
    return hashlib.sha256(opaque.encode("utf-8", "surrogatepass")).digest()


def _digest_of(calls: list[Json]) -> bytes | None:
    """Return a digest of the calls' names and arguments, or None if any is not a function call."""
    parts: list[object] = []
    for call in calls:
        function = call.get("function")
        if function is None:
            return None
        text = function.get("arguments") or "{}"
        try:
            arguments = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            arguments = text
        parts.append((function["name"], arguments))
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()


class RefusedReasoning:
    """Remembers the encrypted reasoning that each model refused, so that it is not sent again."""

    def __init__(self, limit: int = _MAX_REFUSED) -> None:
        self._limit = limit
        self._digests: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._digests)

    def add(self, model: str, encrypted: Iterable[str]) -> None:
        """Remember that `model` has refused this reasoning."""
        for one in encrypted:
            self._digests[model, _digest(one)] = None
        while len(self._digests) > self._limit:
            self._digests.popitem(last=False)

    def find(self, model: str, encrypted: Iterable[str]) -> frozenset[str]:
        """Return the members of `encrypted` that `model` has refused."""
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
        self._calls: list[Json] = []
        self._pieces: dict[int, list[str]] = {}
        """The arguments of each call, by its index in `_calls`."""
        self._places: dict[int, int] = {}
        self._reasoning: list[str] = []
        self._opaque: list[str] = []

    def record(self, delta: Json, finish_reason: str | None) -> None:
        """Process the delta and finish reason of one chunk."""
        if "reasoning_content" in delta:
            self._reasoning.append(delta["reasoning_content"])
        if "reasoning_opaque" in delta:
            self._opaque.append(delta["reasoning_opaque"])
        for part in delta.get("tool_calls", ()):
            self._record_call(part)
        if finish_reason is None:
            return
        opaque = "".join(self._opaque)
        if opaque and self._vendor is not None:
            self._cache.store_vendor(opaque, self._vendor)
        if self._calls:
            reasoning = "".join(self._reasoning)
            ids = [call["id"] for call in self._calls]
            self._cache.store(self._caller, self._model, ids, reasoning, opaque)
            if opaque:
                for index, pieces in self._pieces.items():
                    self._calls[index]["function"]["arguments"] = "".join(pieces)
                self._cache.store_calls(self._caller, self._calls)

    def _record_call(self, part: Json) -> None:
        function, index = part.get("function"), part.get("index", 0)
        if part.get("id"):
            self._places[index] = len(self._calls)
            self._calls.append({"id": part["id"]})
            if function is not None:
                self._calls[-1]["function"] = {"name": function["name"]}
                self._pieces[self._places[index]] = []
        pieces = self._pieces.get(self._places.get(index, -1))
        if pieces is not None and function is not None:
            pieces.append(function.get("arguments") or "")
