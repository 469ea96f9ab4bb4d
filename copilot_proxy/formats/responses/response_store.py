"""Remembers responses in memory, so that clients can refer to them instead of sending them again.

Each response is kept for the caller that received it. If there are too many responses or bytes, the
least recently used responses are forgotten. So are responses that have not been used for a while.

Items are kept as JSON bytes, which take a third of the memory of objects and are ignored by the
garbage collector. Items of a long plain conversation, however, stay structs. They are encoded only
if a request refers to them, which never happens with agents that send their entire conversation
each time.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from copilot_proxy.formats.plain_turns import PlainTurns

MAX_RESPONSES: Final = 1000
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_SECONDS: Final = 24 * 3600.0
MAX_ITEMS: Final = 20_000
"""Maximum number of items in a conversation; more would take too long to assemble."""
ITEM_OVERHEAD: Final = 50
"""Memory in bytes that an item takes besides its JSON."""
_STRUCT_OVERHEAD: Final = 300
"""Memory in bytes that a struct takes besides the size of its JSON."""
_OVERHEAD: Final = 1000
"""Memory in bytes that a response takes besides its JSON and its items."""


class PlainItems:
    """The items of a plain conversation, as structs; their JSON is about `json_size` bytes long."""

    __slots__ = ("_items", "size")

    def __init__(self, items: PlainTurns, json_size: int) -> None:
        self._items: Sequence[Any] = items
        if items.objects:
            # Objects of decoded JSON would take several times as much memory.
            self._items = [
                Raw(msgspec.json.encode(one)) if type(one) is dict else one for one in items
            ]
        self.size = json_size + _STRUCT_OVERHEAD * len(items) + items.wide_size
        """Memory in bytes."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[bytes]:
        return map(msgspec.json.encode, self._items)


class Exchange:
    """The input and output of a response, linked to those of the previous response.

    Each item is JSON. Output items always have ids; input items only if the client sent ids.

    An exchange is kept while a remembered response continues from it, even if its own response has
    been forgotten. This way, a long conversation is stored once, not again with every response.
    """

    __slots__ = ("count", "id", "input", "output", "previous", "size", "total", "uses")

    def __init__(
        self,
        id: str,
        previous: "Exchange | None",
        input: Sequence[bytes] | PlainItems,
        output: Sequence[bytes],
    ) -> None:
        self.id = id
        """The id of the response."""
        self.previous = previous
        self.input = input if isinstance(input, PlainItems) else tuple(input)
        self.output = tuple(output)
        self.count: int = len(input) + len(output) + (previous.count if previous else 0)
        """The number of items in the conversation up to here."""
        self.size = _OVERHEAD + _size(self.input) + _size(self.output)
        """Memory in bytes used by this exchange alone."""
        self.total: int = self.size + (previous.total if previous else 0)
        """Memory in bytes used by the conversation up to here."""
        self.uses = 0
        """The number of remembered responses and later exchanges that need this one."""

    def history(self) -> Iterator[bytes]:
        """Yield all items of the conversation up to and including this exchange, in order."""
        for exchange in self.chain():
            yield from exchange.input
            yield from exchange.output

    def chain(self) -> "list[Exchange]":
        """Return the exchanges of the conversation up to this one, in order."""
        chain: list[Exchange] = []
        exchange: Exchange | None = self
        while exchange is not None:
            chain.append(exchange)
            exchange = exchange.previous
        return chain[::-1]


def _size(items: tuple[bytes, ...] | PlainItems) -> int:
    if isinstance(items, PlainItems):
        return items.size
    return sum(len(item) + ITEM_OVERHEAD for item in items)


@dataclass(frozen=True, eq=False)
class StoredResponse:
    """A remembered response; `data` is its JSON without the output, which is in `exchange`."""

    id: str
    data: bytes
    exchange: Exchange
    item_ids: tuple[object, ...]
    """The ids of the output items, in order."""

    @property
    def size(self) -> int:
        """The memory used by the response, in bytes, not counting its exchange."""
        return len(self.data) + _OVERHEAD


class ResponseStore:
    """The remembered responses of all callers, who can only find their own.

    Responses are kept for `seconds` after they were last used, according to the clock `now`.
    """

    def __init__(
        self,
        responses: int = MAX_RESPONSES,
        size: int = MAX_BYTES,
        seconds: float = MAX_SECONDS,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_responses = responses
        self.max_size = size
        self._seconds = seconds
        self._now = now
        self._responses: OrderedDict[tuple[bytes, str], tuple[StoredResponse, float]] = (
            OrderedDict()
        )
        """Responses and when they were last used, least recently used first."""
        self._items: dict[tuple[bytes, object], tuple[StoredResponse, int]] = {}
        """The response that contains each output item, and the item's position in it."""
        self.size = 0
        """The memory in use, in bytes."""

    @property
    def count(self) -> int:
        """The number of remembered responses."""
        return len(self._responses)

    def store(self, caller: bytes, response: StoredResponse) -> None:
        """Remember a response, unless its conversation alone exceeds the limits."""
        self.forget(caller, response.id)
        self._drop_expired()
        if response.exchange.total + response.size > self.max_size:
            return
        self._responses[caller, response.id] = (response, self._now())
        self._hold(response.exchange)
        self.size += response.size
        for position, item_id in enumerate(response.item_ids):
            self._items[caller, item_id] = (response, position)
        while len(self._responses) > self._max_responses or self.size > self.max_size:
            self.forget(*next(iter(self._responses)))

    def find(self, caller: bytes, response_id: str) -> StoredResponse | None:
        """Return the caller's response with this id, and mark it as used."""
        self._drop_expired()
        key = (caller, response_id)
        if key not in self._responses:
            return None
        response, _ = self._responses[key]
        self._responses[key] = (response, self._now())
        self._responses.move_to_end(key)
        return response

    def find_item(self, caller: bytes, item_id: str) -> bytes | None:
        """Return the caller's output item with this id, and mark its response as used."""
        response, position = self._items.get((caller, item_id), (None, 0))
        if response is None or self.find(caller, response.id) is None:
            return None
        return response.exchange.output[position]

    def forget(self, caller: bytes, response_id: str) -> bool:
        """Forget a response and its items; return whether it was remembered."""
        response, _ = self._responses.pop((caller, response_id), (None, 0.0))
        if response is None:
            return False
        self.size -= response.size
        for item_id in response.item_ids:
            owner, _ = self._items.get((caller, item_id), (None, 0))
            if owner is response:
                del self._items[caller, item_id]
        self._release(response.exchange)
        return True

    def forget_all(self, caller: bytes) -> None:
        """Forget all responses of a caller."""
        for owner, response_id in list(self._responses):
            if owner == caller:
                self.forget(owner, response_id)

    def _drop_expired(self) -> None:
        oldest = self._now() - self._seconds
        while self._responses:
            key, (_, used) = next(iter(self._responses.items()))
            if used > oldest:
                return
            self.forget(*key)

    def _hold(self, exchange: Exchange | None) -> None:
        """Count one more use of `exchange`; the first use also counts as a use of the exchange
        before it."""
        while exchange is not None:
            exchange.uses += 1
            if exchange.uses > 1:
                return
            self.size += exchange.size
            exchange = exchange.previous

    def _release(self, exchange: Exchange | None) -> None:
        while exchange is not None:
            exchange.uses -= 1
            if exchange.uses > 0:
                return
            self.size -= exchange.size
            exchange = exchange.previous
