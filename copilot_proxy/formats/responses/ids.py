"""Creates the ids that clients see: short, and with OpenAI's prefixes.

Copilot's ids are hundreds of characters long, change with every event, and are rejected by other
providers.
"""

import uuid
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

MAX_LENGTH: Final = 64

_PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "compaction": "cmp",
    "web_search_call": "ws",
}


def prefix_of(kind: object) -> str:
    """Return the id prefix for items whose `type` is `kind`."""
    return _PREFIXES.get(kind, "item") if isinstance(kind, str) else "item"


def new_id(prefix: str) -> str:
    """Return a random id."""
    return f"{prefix}_{uuid.uuid4().hex}"


def short_id(prefix: str, original: object, salt: object = "") -> str:
    """Return `original` if it looks like an id from OpenAI, otherwise an id made from its hash.

    The same `original` and `salt` always give the same id; `salt` distinguishes objects that share
    an id. Without an `original`, the id is random.
    """
    if not isinstance(original, str) or not original:
        return new_id(prefix)
    if original.startswith(f"{prefix}_") and len(original) <= MAX_LENGTH:
        return original
    digest = sha256(f"{salt}:{original}".encode("utf-8", "surrogatepass")).hexdigest()
    return f"{prefix}_{digest[:32]}"
