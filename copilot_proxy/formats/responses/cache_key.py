"""Sets the key that helps OpenAI's models find a conversation's cached prompt.

Requests with the same key go to the same machine, which has the prompt in its cache. Without a key,
each request may go to a different machine. Copilot is known to accept a key only on Responses.
"""

import hashlib
from typing import Any, Final

import msgspec

from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import ResponsesRequest

_FIELD: Final = "prompt_cache_key"
_MAX_TEXT: Final = 1000
"""How many characters of each text are hashed to identify a conversation; hashing more could be
slow."""


def with_cache_key(body: ResponsesRequest, session: str | None) -> ResponsesRequest:
    """Return `body` with a cache key, unless the client has set one.

    The key is the same for all requests of a session, or of a conversation if the session is
    unknown.
    """
    if _FIELD in body:
        return body
    source = f"session {session}" if session else f"text {_beginning(body)}"
    key = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return {**body, _FIELD: key}


def _beginning(body: ResponsesRequest) -> str:
    """Return the instructions and the first text of the conversation, which identify it."""
    given: Any = body.get("input")
    if isinstance(given, PlainTurns):
        given = msgspec.to_builtins(given[:1])
    first = given[0] if isinstance(given, list) and given else given
    text = first.get("content") if isinstance(first, dict) else first
    while isinstance(text, list):
        parts = [part for part in text if isinstance(part, dict) and part.get("text")]
        text = parts[0]["text"] if parts else ""
    return f"{str(body.get('instructions') or '')[:_MAX_TEXT]} {str(text)[:_MAX_TEXT]}"
