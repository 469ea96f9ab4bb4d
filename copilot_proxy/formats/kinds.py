"""Finds out what kinds of messages, items and parts a conversation has.

A long conversation has thousands of parts but few kinds of them. They are collected once, in a few
quick passes, so that nothing has to search the conversation for what it does not have.
"""

from typing import Any, Final, NamedTuple

from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.types import ClientRequest

_ROOTS: Final = (*FIELDS, "systemInstruction")
_NESTED: Final = ("content", "output", "parts", "functionResponse", "source")
"""The fields with further parts, in any API."""
_IMAGES: Final = ("image_url", "input_image", "image", "computer_screenshot")
_FILES: Final = ("file", "input_file", "document")
_IMAGE_FIELDS: Final = ("inlineData", "images", "image_url")
_FILE_FIELDS: Final = ("inlineData",)


class Kinds(NamedTuple):
    """What occurs in a conversation, at any depth."""

    types: set[str]
    """The types of items and parts."""
    fields: set[str]
    """The names of the fields of messages, items and parts."""

    @property
    def has_images(self) -> bool:
        """Whether there may be images; false only if there are none."""
        return not (self.types.isdisjoint(_IMAGES) and self.fields.isdisjoint(_IMAGE_FIELDS))

    @property
    def has_files(self) -> bool:
        """Whether there may be documents or other files; false only if there are none."""
        return not (self.types.isdisjoint(_FILES) and self.fields.isdisjoint(_FILE_FIELDS))


_PLAIN: Final = Kinds(
    {"function", "text", "input_text", "output_text"}, {"content", "role", "text", "type"}
)
"""What may occur in a plain conversation without images: no files, and no marks of OpenAI's."""
_PLAIN_WITH_IMAGES: Final = _PLAIN._replace(types={*_PLAIN.types, *_IMAGES})


def kinds_of(turns: object) -> Kinds:
    """Return the kinds of the messages or items `turns`, of any API; any JSON is accepted."""
    types: set[str] = set()
    fields: set[str] = set()
    level = _objects([turns])
    while level:
        fields.update(*level)
        if "type" in fields:
            types.update([kind for one in level if type(kind := one.get("type")) is str])
        level = _objects(
            [
                value
                for name in _NESTED
                if name in fields
                for one in level
                if name in one and type(value := one[name]) is not str
            ]
        )
    return Kinds(types, fields)


def plain_kinds(turns: PlainTurns) -> Kinds:
    """Return at least the kinds of a plain conversation."""
    return _PLAIN_WITH_IMAGES if turns.images else _PLAIN


def request_kinds(request: ClientRequest) -> Kinds:
    """Return the kinds of the conversation of a request of any client API."""
    for name in FIELDS:
        if isinstance(turns := request.get(name), PlainTurns):
            return plain_kinds(turns)
    return kinds_of([request[name] for name in _ROOTS if name in request])


def _objects(values: list[Any]) -> list[dict[str, Any]]:
    """Return the objects among `values` and in their lists, at any depth of lists."""
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
