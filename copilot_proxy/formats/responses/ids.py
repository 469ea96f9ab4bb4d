"""Makes the ids that clients see: short, and with the prefixes of OpenAI's own.

Copilot's are hundreds of characters long, change with every event, and are refused by other
providers.
"""

import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

LONGEST: Final = 64

_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "tool_search_call": "tsc",
    "compaction": "cmp",
    "web_search_call": "ws",
}


def prefix_of(kind: object) -> str:
    """The prefix of the ids of items of this `type`."""
    return _PREFIXES.get(kind, "item") if isinstance(kind, str) else "item"


def new_id(prefix: str) -> str:
    """A fresh id."""
    return f"{prefix}_{uuid.uuid4().hex}"


def short_id(prefix: str, given: object, salt: object = "") -> str:
    """The id to show for `given`: itself if it is as OpenAI's are, else one made of it.

    The same `given` makes the same id; `salt` keeps apart things that have the same one.
    """
    if not isinstance(given, str) or not given:
        return new_id(prefix)
    if given.startswith(f"{prefix}_") and len(given) <= LONGEST:
        return given
    digest = sha256(f"{salt}:{given}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}_{digest[:32]}"
