"""Checks whether each tool call in a conversation has its result, as some APIs require.

The calls and results are passed as steps, so that it does not matter how a conversation is stored.
"""

from collections.abc import Iterable, Iterator
from typing import Final

Step = tuple[str, str]
"""Either a call or a result, with the id of the call, or `TURN`."""
Steps = Iterator[Step]
CALL: Final = "call"
RESULT: Final = "result"
TURN: Final[Step] = ("turn", "")
"""The start of a new turn, before which all calls must have results. It is left out for APIs that
accept results at any later point."""


def are_paired(steps: Iterable[Step], *, in_order: bool = False) -> bool:
    """Return whether each call is followed by one result, before the next turn.

    With `in_order`, the results must be in the order of the calls. Also returns False if an id is
    used again before its result.
    """
    unanswered: dict[str, None] = {}
    for kind, id in steps:
        if kind is RESULT:
            if id not in unanswered or (in_order and id != next(iter(unanswered))):
                return False
            del unanswered[id]
        elif kind is CALL:
            if id in unanswered:
                return False
            unanswered[id] = None
        elif unanswered:
            return False
    return not unanswered
