"""Matches the items of a final Responses event with the items that were streamed before it.

The positions in the final event may differ from the output indexes in the stream.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import count
from typing import Final

from copilot_proxy.formats.types import Json

CALLS: Final = ("function_call", "custom_tool_call")
"""The types of items that are calls to tools."""


class ItemPositions:
    """The output indexes of the items that were streamed."""

    def __init__(self) -> None:
        self._indexes: dict[str, set[int]] = {}
        """Type of item -> output indexes."""

    def add(self, kind: object, index: int) -> None:
        """Record that an item of type `kind` was streamed with this output index."""
        self._indexes.setdefault(str(kind), set()).add(index)

    def of(self, output: Sequence[Json], call_ids: Collection[str]) -> Iterator[tuple[int, Json]]:
        """Yield the items of the final event with their output indexes.

        An item is matched with the streamed item of its type whose index equals its position in
        `output`, if there is one. The other items are matched with the remaining streamed items of
        their type, in order. Calls, and items that were not streamed, get new indexes. Calls whose
        ids are in `call_ids` are left out.
        """
        unused = count(max((i for some in self._indexes.values() for i in some), default=-1) + 1)
        left = {kind: set(indexes) for kind, indexes in self._indexes.items()}
        for position, item in enumerate(output):
            left.get(_type(item), set()).discard(position)
        others = {kind: iter(sorted(indexes)) for kind, indexes in left.items()}
        for position, item in enumerate(output):
            kind = _type(item)
            if kind in CALLS:
                if str(item.get("call_id")) not in call_ids:
                    yield next(unused), item
            elif position in self._indexes.get(kind, ()):
                yield position, item
            else:
                index = next(others.get(kind, iter(())), None)
                yield next(unused) if index is None else index, item


def _type(item: Json) -> str:
    return str(item.get("type"))
