"""Events that lack item and part indexes are assigned to the right items and parts."""

from typing import Any

import pytest

from copilot_proxy.formats.types import Json
from tests.formats.responses.answers import Upstream, message_of, read_strictly, repair

INDEXES = ("output_index", "content_index", "summary_index")


def calls(up: Upstream, *, steady_ids: bool) -> tuple[list[Json], list[Json]]:
    """Return the events of two calls; with `steady_ids`, each has the same id in all its events."""
    both = [up.call(n, "f", '{"a"', f":{n}}}", call_id=f"call_{n}") for n in (2, 3)]
    for number, events in enumerate(both if steady_ids else ()):
        for event in events:
            where, name = (event["item"], "id") if "item" in event else (event, "item_id")
            where[name] = f"fc_{number}"
    return both[0], both[1]


def stream(up: Upstream, *events: Json) -> list[Json]:
    """Return a stream of a thought, a text and `events`."""
    return up.whole([*up.reasoning(0, "Plan", encrypted="g"), *up.text(1, "Hel", "lo"), *events])


def without_indexes(events: list[Json]) -> list[Json]:
    return [{k: v for k, v in event.items() if k not in INDEXES} for event in events]


def indexes(events: list[Json]) -> list[Any]:
    return [[event.get(name) for name in INDEXES] for event in events]


@pytest.mark.parametrize("steady_ids", [True, False], ids=["steady ids", "changing ids"])
def test_indexes_are_added(steady_ids: bool) -> None:
    """Clients of every API get the same response as if no index were missing."""
    up = Upstream()
    first, second = calls(up, steady_ids=steady_ids)
    complete = stream(up, *first, *second)
    bare = without_indexes(complete)

    events = repair(bare)

    assert indexes(complete) == indexes(events)
    output = read_strictly(events).output
    assert ['{"a":2}', '{"a":3}'] == [i.arguments for i in output if i.type == "function_call"]
    assert message_of(complete) == message_of(bare)


def test_ids_tell_items_apart() -> None:
    """If two calls arrive at the same time, each gets its own arguments."""
    up = Upstream()
    first, second = calls(up, steady_ids=True)
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]

    bare = without_indexes(stream(up, *mixed))

    assert message_of(stream(up, *first, *second)) == message_of(bare)
    assert indexes(stream(up, *mixed)) == indexes(repair(bare))
