"""The text of a request, independent of the field names that its API uses."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

FIELDS: Final = ("messages", "input", "contents")
"""The fields for messages or items; each API has exactly one of these."""


class Turn(NamedTuple):
    """A message, or another item of a conversation."""

    role: object
    """The role, in the client's spelling; None for turns that are neither the user's nor the
    model's, such as tool results."""
    texts: list[str]
    """One string for each part of the content; "" for parts without text."""


class Conversation(NamedTuple):
    """The text of a request; see `ClientApi.conversation`."""

    instructions: list[str]
    """The text of the system prompt, part by part, if the API has a separate field for it."""
    turns: list[Turn]


def texts(content: object) -> list[str]:
    """Return the text of each part of `content`, which is either a string or a list."""
    parts = content if isinstance(content, list) else [] if content is None else [content]
    found = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return [text if isinstance(text, str) else "" for text in found]


def message_turns(messages: Iterable[Any]) -> list[Turn]:
    """Return the turns for messages with ``role`` and ``content``."""
    return [Turn(one.get("role"), texts(one.get("content"))) for one in messages]


def lowest(*limits: object) -> int | None:
    """Return the lowest of a request's output limits, or None if it has none."""
    return min((one for one in limits if type(one) is int and one > 0), default=None)
