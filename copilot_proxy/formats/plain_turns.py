"""Plain conversations, kept as small objects instead of decoded JSON.

An agent's long conversation consists of thousands of objects, and each step that handles a request
would iterate over all of them. If a conversation only contains text, images, calls and results in
their usual form, it is decoded into structs, which validates it at the same time. Steps that change
nothing in such a conversation pass it on unchanged; all others request the decoded JSON.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw

from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.large_json import LARGE, MAX_VALUES, check_value_count

MIN_SIZE = 128 * 1024
"""The minimum size of a body, in bytes, for which decoding into structs is worthwhile."""
MIN_TURNS = 100
"""The minimum number of decoded messages for which converting them is worthwhile."""
_QUICK: Final = 1280 * 1024
"""The size in bytes up to which any body, whatever it contains, can be decoded within 25 ms.
Counting its values takes almost as long as decoding a typical conversation."""


class PlainTurns(list[Any]):
    """The structs of a plain conversation, which msgspec encodes like the messages they represent.

    A few messages may be decoded JSON instead: those that a rule must change for almost every
    model.
    """

    def __init__(
        self, turns: Iterable[Any], images: int = 0, text_size: int = 0, parts: Any = None
    ) -> None:
        super().__init__(turns)
        self.parts = parts
        """Information about the conversation; its type depends on the API."""
        self.wide_size = 0
        """The bytes of memory that the text may need beyond the size of its JSON; only set for
        Responses.

        A single curly quotation mark makes Python use two bytes for every character of a string,
        and an emoji makes it use four.
        """
        self.images = images
        """The number of images in the conversation."""
        self.text_size = text_size
        """A lower limit for the size of all text together, in bytes."""

    @cached_property
    def objects(self) -> list[dict[str, Any]]:
        """The messages that are decoded JSON."""
        return [turn for turn in self if type(turn) is dict]

    def replaced(self, turns: Iterable[Any]) -> "PlainTurns":
        """Return a copy of this conversation with its messages replaced by `turns`."""
        other = PlainTurns(turns, self.images, self.text_size)
        other.wide_size = self.wide_size
        return other

    def decoded(self) -> list[dict[str, Any]]:
        """Return the messages as decoded JSON, which may be modified."""
        messages: list[dict[str, Any]] = msgspec.to_builtins(self)
        return messages


class PlainDecoder:
    """Decodes long conversations into structs.

    `turn` is the type of the messages in the field `name`, and `others` are the other fields that a
    request may have. `plain` converts structs to `PlainTurns`, or returns None if they are not
    plain.
    """

    def __init__(
        self,
        name: str,
        turn: Any,
        others: Iterable[str],
        plain: Callable[[list[Any]], PlainTurns | None],
    ) -> None:
        self._name = name
        self._plain = plain
        self._others = tuple(dict.fromkeys(one for one in others if one != name))
        fields: list[Any] = [(name, list[turn]), *((one, Raw, UNSET) for one in self._others)]
        request = msgspec.defstruct("_Request", fields, forbid_unknown_fields=True)
        self._decode: Final = msgspec.json.Decoder(request).decode
        self._type = list[turn]

    def turns(self, messages: list[dict[str, Any]]) -> PlainTurns | None:
        """Return decoded messages as structs, or None if there are too few or any is not plain."""
        if len(messages) < MIN_TURNS:
            return None
        try:
            return self._plain(msgspec.convert(messages, self._type))
        except (msgspec.ValidationError, RecursionError):
            return None

    def request(self, body: bytes) -> dict[str, Any] | None:
        """Return a request with `PlainTurns`; its other fields are not validated.

        Returns None if the size is out of range, or the request is not plain. Raises `RequestError`
        (413) if it has more than `MAX_VALUES` values.
        """
        if not MIN_SIZE <= len(body) < LARGE:
            return None
        is_quick = len(body) < _QUICK
        if not is_quick:
            check_value_count(body, MAX_VALUES)
        try:
            read = self._decode(body)
            turns = self._plain(getattr(read, self._name))
            if turns is None:
                return None
            # Outside of strings, at most two out of three bytes start a value: "[],[],[]".
            if is_quick and (len(body) - turns.text_size) * 2 // 3 > MAX_VALUES:
                check_value_count(body, MAX_VALUES)
            given = {name: getattr(read, name) for name in self._others}
            decode = msgspec.json.decode
            fields = {name: decode(raw) for name, raw in given.items() if raw is not UNSET}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return {**fields, self._name: turns}


def expanded(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with its conversation as decoded JSON.

    If it is already decoded, the same object is returned.
    """
    plain = [name for name in FIELDS if isinstance(request.get(name), PlainTurns)]
    if not plain and isinstance(request, dict):
        return request
    return {**request, **{name: request[name].decoded() for name in plain}}


def newest_first(turns: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages as decoded JSON, starting with the last."""
    is_plain = isinstance(turns, PlainTurns)
    return map(msgspec.to_builtins, reversed(turns)) if is_plain else reversed(turns)


def values_of(turns: list[Any], name: str) -> list[Any]:
    """Return the field `name` of each message, or `UNSET` if the message lacks it.

    The messages may be structs or decoded JSON.
    """
    return [
        one.get(name, UNSET) if type(one) is dict else getattr(one, name, UNSET) for one in turns
    ]
