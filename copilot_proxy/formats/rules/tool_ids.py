"""Changes the ids of earlier tool calls to a form that the model accepts.

The ids do not have to be restored, because each response has new ones. Valid ids are not changed.
The replacement for an invalid id depends only on that id, so that a call and its result still
match, even in later requests.
"""

import re
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

_INVALID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_HASH_LENGTH: Final = 8
"""Length of the hash that keeps ids distinct after they are shortened or lose characters."""
_DEFAULT_LENGTH: Final = 64
"""Maximum length of a new id in characters, if the model has no limit."""


def rename_invalid_ids(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Change the ids that the model refuses, in calls and in results."""
    max_length = profile.max_tool_id_length
    holders = [(call, outgoing.call_id_key) for call in outgoing.calls]
    holders += [(result, outgoing.result_id_key) for result in outgoing.results]
    new_ids = {
        id: shortened(id, _INVALID, max_length or _DEFAULT_LENGTH)
        for id in {str(holder[key]) for holder, key in holders}
        if not are_accepted((id,), profile)
    }
    if not new_ids:
        return
    for holder, key in holders:
        if (id := str(holder[key])) in new_ids:
            holder[key] = new_ids[id]
    notes.append("changed ids of tool calls to a form that the model accepts")


def are_accepted(ids: Collection[str], profile: ModelProfile) -> bool:
    """Return whether the model accepts all these ids of tool calls."""
    pattern, max_length = profile.tool_id, profile.max_tool_id_length
    return (
        all(ids)
        and (max_length is None or max(map(len, ids), default=0) <= max_length)
        and (pattern is None or all(map(pattern.fullmatch, ids)))
    )


def shortened(text: str, invalid: re.Pattern[str], max_length: int) -> str:
    """Return `text` with ``_`` for `invalid` characters, shortened to `max_length` with a hash at
    the end."""
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    return f"{invalid.sub('_', text)[: max_length - _HASH_LENGTH - 1]}_{digest}"
