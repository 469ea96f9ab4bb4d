"""Ids of calls that came from other models, put into the form that this one takes.

They need no way back: an answer brings ids of its own. An id that fits is left alone; for any
other the new one depends on nothing but the old, so that a call and its result, and the same call
in the next turn, keep the same.
"""

import re
from hashlib import sha256
from typing import Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import Json, OutgoingBody

_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_TAIL: Final = 8
"""Characters that keep two ids apart which were cut, or had other characters, in one place."""
_ROOM: Final = 64
"""Characters of an id where no limit is known."""


def fit_ids(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Changes the ids of calls and results that the model refuses."""
    pattern, longest = profile.tool_id, profile.max_tool_id_length
    if pattern is None and longest is None:
        return

    def fitted(holders: list[Json], key: str) -> bool:
        changed = False
        for holder in holders:
            id = str(holder[key])
            if (longest is not None and len(id) > longest) or (
                pattern and not pattern.fullmatch(id)
            ):
                holder[key] = shortened(id, _STRANGE, longest or _ROOM)
                changed = True
        return changed

    changed = fitted(outgoing.calls, outgoing.call_id_key)
    if fitted(outgoing.results, outgoing.result_id_key) or changed:
        notes.append("changed ids of tool calls: the model does not take them as they are")


def shortened(text: str, strange: re.Pattern[str], longest: int) -> str:
    """`text` in at most `longest` characters, none of them `strange`, and told apart by a hash."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_TAIL]
    return f"{strange.sub('_', text)[: longest - _TAIL - 1]}_{digest}"
