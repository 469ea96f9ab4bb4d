"""The texts of a request, whatever its API calls the fields that hold them."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

FIELDS: Final = ("messages", "input", "contents")
"""The field with the messages or items; each API has one of them."""


class Turn(NamedTuple):
    """A message, or another item of a conversation."""

    role: object
    """The role, as the client writes it; None for turns that are not from the user or the model,
    such as the result of a tool."""
    texts: list[str]
    """One text for each part of the content; it is empty if the part has none."""


class Conversation(NamedTuple):
    """The texts of a request; see `ClientApi.conversation`."""

    instructions: list[str]
    """The texts of the system prompt, if the API has a field for it."""
    turns: list[Turn]


def texts(content: object) -> list[str]:
    """Return the texts of some content, which is a text or a list of parts."""
    parts = content if isinstance(content, list) else [] if content is None else [content]
    found = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return [text if isinstance(text, str) else "" for text in found]


def message_turns(messages: Iterable[Any]) -> list[Turn]:
    """Return the turns of messages with ``role`` and ``content``."""
    return [Turn(one.get("role"), texts(one.get("content"))) for one in messages]


def lowest(*limits: object) -> int | None:
    """Return the lowest of those output limits that a request has; None if it has none."""
    return min((one for one in limits if type(one) is int and one > 0), default=None)
