"""Separates the tool calls of one response, and numbers them from 0.

The index that Copilot's models send is unreliable: some start at 1, some send 0 for every call, and
some send none. Therefore, a new id starts a new call. A fragment without an id belongs to the call
that last used the fragment's index. If no call has used that index, the fragment belongs to the
last call, unless the fragment must start a new one. Some models send the arguments of the next call
without anything else, so a second object after complete arguments is a call to the same tool.

Some models, such as Kimi K3, reuse the same ids in every turn, and a model may give the same id to
two calls. Clients match results to calls by id, so a number is appended to an id that was already
used.

A call to a custom tool has text instead of arguments. Models that only support functions call a
function of the same name, whose only argument is the text. The client receives this as a call to
its custom tool.
"""

import uuid
from collections.abc import Collection, Mapping
from itertools import chain, count
from typing import Any, Final

import msgspec

from copilot_proxy.formats.custom_tools import InputDecoder
from copilot_proxy.formats.tool_arguments import Arguments
from copilot_proxy.formats.types import Json

_MAX_SPLIT: Final = 128
"""From this number of calls on, a second object is not separated; no answer has so many calls."""


class _Call:
    __slots__ = ("arguments", "decoder", "held", "id", "index", "input", "is_custom", "name")

    def __init__(self, id: str) -> None:
        self.index = 0
        self.id = id
        self.name = ""
        self.arguments = Arguments()
        self.held = True  # the call has not been sent to the client yet
        self.is_custom = False
        """Whether the model itself called a custom tool."""
        self.input = ""
        """Text for a custom tool, if the text arrived before the tool's name."""
        self.decoder: InputDecoder | None = None
        """Extracts the text for a custom tool from the arguments of its function."""


class ToolCalls:
    """The tool calls of one response. Turns Copilot's fragments into OpenAI's deltas."""

    def __init__(
        self,
        tool_names: Mapping[str, str] | None = None,
        custom_tools: Collection[str] = (),
        used_ids: Collection[str] = (),
    ) -> None:
        """Prepare for a response.

        `tool_names` maps the tool names sent to the model to the client's names. `custom_tools` are
        the client's names for its custom tools. `used_ids` are the ids of the calls in the
        conversation so far.
        """
        self._tool_names = tool_names or {}
        self._custom_tools = custom_tools
        self._used_ids = used_ids
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}
        self._given_ids: set[str] = set()
        self._announced = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def are_valid(self) -> bool:
        """Whether the arguments of each call are valid JSON or still empty.

        The text for a custom tool is always valid.
        """
        calls = [call for call in self._calls if not call.is_custom]
        return all(call.arguments.is_json for call in calls if call.arguments)

    @property
    def are_complete(self) -> bool:
        """Whether the arguments of each call are valid JSON, and those of the last call are not
        empty."""
        return self.are_valid and all(call.arguments for call in self._calls[-1:])

    def feed(self, fragments: list[Any]) -> list[Json]:
        """Return the deltas for the fragments of one event."""
        deltas = []
        for fragment in fragments:
            if isinstance(fragment, dict):
                deltas += self._take(fragment)
        return deltas

    def close(self, *, cut: bool = False) -> list[Json]:
        """Return the last deltas.

        They contain the calls held back so far, ``{}`` for missing arguments, and the remaining
        text for custom tools. If the response was `cut` off, the arguments and text of its last
        call are left as they are, because that call must not look complete.
        """
        deltas = []
        for call in self._calls:
            is_cut = cut and call is self._calls[-1]
            if not call.arguments and not call.is_custom and not is_cut:
                call.arguments.add("{}")
                if not call.held and call.decoder is None:
                    deltas.append({"index": call.index, "function": {"arguments": "{}"}})
            if call.held:
                deltas.append(self._announce(call))
            if call.decoder is not None and not is_cut and (rest := call.decoder.close()):
                deltas.append({"index": call.index, "custom": {"input": rest}})
        return deltas

    def _take(self, fragment: Json) -> list[Json]:
        custom = fragment.get("custom")
        is_custom = isinstance(custom, dict)
        function = custom if is_custom else fragment.get("function")
        function = function if isinstance(function, dict) else {}
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        text = _arguments(function.get("input" if is_custom else "arguments"))
        index = fragment.get("index")
        call = self._call_of(fragment.get("id"), index, name, text)
        call.is_custom = call.is_custom or is_custom
        deltas: list[Json] = []
        rest = self._extend(call, name, text, deltas)
        while rest:
            name = call.name
            call = self._next()
            if isinstance(index, int):
                self._by_index[index] = call
            rest = self._extend(call, name, rest, deltas)
        return deltas

    def _extend(self, call: _Call, name: str, text: str, deltas: list[Json]) -> str:
        """Add `text` to a call, and return the part of it that belongs to another call."""
        rest = ""
        if call.held:
            call.name = call.name or name
        if text and not call.is_custom:
            if call.name and len(self._calls) < _MAX_SPLIT:
                rest = call.arguments.add_first_object(text)
                text = text.removesuffix(rest)
            else:
                call.arguments.add(text)
        elif text and call.held:
            call.input += text
        # A call is sent together with its name, so it is held back until it has one.
        if call.held:
            delta = self._announce(call) if call.name else None
        else:
            delta = self._next_delta(call, text)
        if delta is not None:
            deltas.append(delta)
        return rest

    def _next_delta(self, call: _Call, text: str) -> Json | None:
        if call.decoder is not None:
            text = call.decoder.feed(text)
        if not text:
            return None
        if call.is_custom or call.decoder is not None:
            return {"index": call.index, "custom": {"input": text}}
        return {"index": call.index, "function": {"arguments": text}}

    def _call_of(self, id: object, index: object, name: str, text: str) -> _Call:
        known = isinstance(index, int) and index in self._by_index
        if isinstance(id, str) and id:
            same = self._by_id.get(id)
            has_new_index = isinstance(index, int) and not known
            if same is None or _reuses_id(name, text, same, has_new_index=has_new_index):
                call = self._open(id)
            else:
                call = same
        elif known:
            call = self._by_index[index]  # type: ignore[index]  # `known` implies an int
            call = self._next() if _starts_another(name, text, call) else call
        elif self._calls and not (name and isinstance(index, int)):
            call = self._calls[-1]
            call = self._next() if _starts_another(name, text, call) else call
        else:
            call = self._next()
        if isinstance(index, int):
            self._by_index[index] = call
        return call

    def _next(self) -> _Call:
        return self._open(f"call_{uuid.uuid4().hex[:24]}")

    def _open(self, id: str) -> _Call:
        call = _Call(self._unused(id))
        self._calls.append(call)
        self._by_id[id] = call
        return call

    def _unused(self, id: str) -> str:
        """Return the id, with a number appended if an earlier call has it."""
        candidates = chain([id], (f"{id}_{number}" for number in count(2)))
        unused = next(
            new for new in candidates if new not in self._used_ids and new not in self._given_ids
        )
        self._given_ids.add(unused)
        return unused

    def _announce(self, call: _Call) -> Json:
        # Calls are numbered as they are sent, so that the numbers are in order.
        call.held = False
        call.index = self._announced
        self._announced += 1
        name = self._tool_names.get(call.name, call.name)
        head = {"index": call.index, "id": call.id}
        if not call.is_custom and name in self._custom_tools:
            call.decoder = InputDecoder()
            call.input = call.decoder.feed(call.arguments.text)
        if call.is_custom or call.decoder is not None:
            return {**head, "type": "custom", "custom": {"name": name, "input": call.input}}
        function = {"name": name, "arguments": call.arguments.text}
        return {**head, "type": "function", "function": function}


def _starts_another(name: str, text: str, call: _Call) -> bool:
    """Return whether a fragment with `name`, arguments `text` and no id must belong to a new call.

    Some models repeat the name in each fragment, so a name alone does not start a new call: it must
    differ, or the arguments of `call` must be complete.
    """
    if not name or call.held:
        return False
    if not call.arguments:
        return name != call.name
    return (bool(text) or name != call.name) and call.arguments.is_json


def _reuses_id(name: str, text: str, call: _Call, *, has_new_index: bool) -> bool:
    """Return whether a fragment with the id of `call` must belong to a new call.

    Some models repeat the id and the name in each fragment, so they alone do not start a new call.
    """
    if not name or call.held or not call.arguments:
        return False
    return (bool(text.strip()) or has_new_index) and call.arguments.is_json


def _arguments(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else ""
