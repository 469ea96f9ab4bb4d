"""Determines which kinds of messages, items and parts a conversation contains.

A long conversation has thousands of parts, but only a few kinds of parts. The kinds are collected
once, in a few quick passes, so that no other code searches the conversation for parts that do not
occur in it.
"""

from typing import Any, Final, NamedTuple

from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import ClientRequest

_ROOTS: Final = (*FIELDS, "systemInstruction")
_NESTED: Final = {"content", "output", "parts", "functionResponse", "source"}
"""The fields that contain nested parts, in any API."""
_IMAGES: Final = (
    *("image_url", "input_image", "image", "computer_screenshot"),
    "image_generation_call",
)
_FILES: Final = ("file", "input_file", "document")
_IMAGE_FIELDS: Final = ("inlineData", "images", "image_url")
_FILE_FIELDS: Final = ("inlineData",)


class Kinds(NamedTuple):
    """The types and fields that occur in a conversation, at any depth."""

    types: set[str]
    """The types of items and parts."""
    fields: set[str]
    """The names of the fields of messages, items and parts."""

    @property
    def has_images(self) -> bool:
        """Whether there may be images. False means that there are none."""
        return not (self.types.isdisjoint(_IMAGES) and self.fields.isdisjoint(_IMAGE_FIELDS))

    @property
    def has_files(self) -> bool:
        """Whether there may be documents or other files. False means that there are none."""
        return not (self.types.isdisjoint(_FILES) and self.fields.isdisjoint(_FILE_FIELDS))


_PLAIN: Final = Kinds(
    {"function", "text", "input_text", "output_text"},
    {"content", "role", "text", "tool_call_id", "tool_calls", "type"},
)
"""The kinds that may occur in a plain conversation without images, files or OpenAI's cache
marks."""
_TEXTS: Final = Kinds(set(), {"content", "role"})
"""The kinds in a conversation in which each message consists of a single string."""
_PLAIN_WITH_IMAGES: Final = _PLAIN._replace(types={*_PLAIN.types, *_IMAGES})


def kinds_of(turns: object) -> Kinds:
    """Return the kinds in `turns`, the messages or items of any API; any JSON is accepted."""
    if _is_text_only(turns):
        return _TEXTS
    types: set[str] = set()
    fields: set[str] = set()
    level = _objects([turns])
    while level:
        fields.update(*level)
        if "type" in fields:
            types.update([kind for one in level if type(kind := one.get("type")) is str])
        nested = [
            value
            for name in _NESTED & fields
            for one in level
            if name in one and type(value := one[name]) is not str
        ]
        level = _objects(nested) if nested else []
    return Kinds(types, fields)


def plain_kinds(turns: PlainTurns) -> Kinds:
    """Return all kinds that may occur in the plain conversation `turns`."""
    return _PLAIN_WITH_IMAGES if turns.images else _PLAIN


def request_kinds(request: ClientRequest) -> Kinds:
    """Return the kinds in the conversation of a request to any client API."""
    roots = [request[name] for name in _ROOTS if name in request]
    for turns in roots:
        if isinstance(turns, PlainTurns):
            return plain_kinds(turns)
    return kinds_of(roots[0] if len(roots) == 1 else roots)


def _is_text_only(turns: object) -> bool:
    """Return whether each message consists of a single string. This is the fastest case."""
    if type(turns) is not list:
        return False
    for one in turns:
        is_text = type(one) is dict and len(one) == 2 and "role" in one
        if not (is_text and type(one.get("content")) is str):
            return False
    return True


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    """Return the objects in `values` and in nested lists, at any depth."""
    found: list[dict[str, Any]] = []
    while values:
        inner: list[Any] = []
        for value in values:
            if type(value) is dict:
                found.append(value)
            elif type(value) is list:
                inner += value
        values = inner
    return found
