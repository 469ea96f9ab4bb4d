"""Repairs the output items of a Responses stream: their ids, and calls to the client's tools."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.custom_tools import InputDecoder, custom_input
from copilot_proxy.formats.responses.ids import prefix_of, short_id
from copilot_proxy.formats.responses.tools import (
    CALL_TYPES,
    ClientTool,
    ToolNames,
    parse_search_arguments,
)
from copilot_proxy.formats.tool_arguments import RunawayGuard
from copilot_proxy.formats.types import Json, ResponsesEvent

_ARGUMENTS: Final = "response.function_call_arguments"
_INPUT: Final = "response.custom_tool_call_input"
_PREFIXES: Final = (
    # Start of the event type -> id prefix, for items that were not announced.
    (_ARGUMENTS, "fc"),
    ("response.reasoning", "rs"),
    ("response.custom_tool_call", "ctc"),
)


class _Item:
    """An output item. All its events have the same `id`; `done` is the completed item."""

    def __init__(
        self, id: str, kind: object = None, call_id: object = None, tool: ClientTool | None = None
    ) -> None:
        self.id = id
        self.kind = kind
        self.call_id = call_id
        self.tool = tool
        self.name: object = None
        """The client's name for the called tool."""
        self.decoder = InputDecoder() if tool is not None and tool.kind == "custom" else None
        """Extracts a custom tool's input from the arguments of the function that represents it."""
        self.input: list[str] = []
        """The parts of a custom tool's input that the client has received."""
        self.is_input_done = False
        """Whether the client has received all of the input."""
        self.done: Json | None = None

    def matches(self, item: Json) -> bool:
        """Return whether `item`, from the final event, is this item. Calls are compared by call
        id."""
        if item.get("type") == "function_call" and self.tool is not None:
            return item.get("call_id") == self.call_id
        return item.get("type") == self.kind


class ItemRepair:
    """Repairs the output items of one stream.

    `tool_names` maps the tool names sent to the model to the client's names.
    """

    def __init__(self, tools: ToolNames, tool_names: Mapping[str, str]) -> None:
        self._tools = tools
        self._tool_names = tool_names
        self._items: dict[int, _Item] = {}
        self._guards: dict[int, RunawayGuard] = {}

    def repair(self, kind: str, index: int, event: ResponsesEvent) -> list[ResponsesEvent]:
        """Return the events to send to the client for one of Copilot's events.

        `event` has the type `kind`, is about the item at `index`, and may be changed in place.
        Raises `BrokenResponse` if a call's arguments are endless whitespace.
        """
        if isinstance(event.get("item"), dict):
            return self._item_event(kind, index, event)
        item = self._item(kind, index, event.get("item_id"))
        if "item_id" in event:
            event["item_id"] = item.id
        if kind.startswith(_ARGUMENTS):
            return self._arguments(index, item, event)
        if kind.startswith("response.output_text.") and not kind.endswith("annotation.added"):
            # OpenAI's own SDK requires this field.
            event.setdefault("logprobs", [])
        return [event]

    def output(self, items: object) -> list[Json]:
        """Return `items`, from the final event, with the ids that were used in their earlier
        events.

        If `items` is empty, return the items that were streamed.
        """
        if not isinstance(items, list) or not items:
            return [item.done for _, item in sorted(self._items.items()) if item.done is not None]
        unused = dict(self._items)
        out = []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                continue
            item = self._with_client_name(item)
            candidates = (i for i in (index, *unused) if i in unused)
            known = next((i for i in candidates if unused[i].matches(item)), None)
            state = unused.pop(known) if known is not None else self._new_item(item, index)
            out.append(_completed(_for_client(item, state)))
        return out

    def _item(self, kind: str, index: int, original_id: object) -> _Item:
        if index not in self._items:
            prefix = next((p for start, p in _PREFIXES if kind.startswith(start)), "msg")
            self._items[index] = _Item(short_id(prefix, original_id, index))
        return self._items[index]

    def _new_item(self, item: Json, index: int) -> _Item:
        kind, name = item.get("type"), item.get("name")
        tool = None
        if kind == "function_call" and isinstance(name, str) and item.get("namespace") is None:
            tool = self._tools.client_tool(name)
            kind = CALL_TYPES[tool.kind]
        id = short_id(prefix_of(kind), item.get("id"), index)
        return _Item(id, kind, item.get("call_id"), tool)

    def _item_event(self, kind: str, index: int, event: ResponsesEvent) -> list[ResponsesEvent]:
        item = self._with_client_name(event["item"])
        state = self._items.get(index)
        if state is None:
            state = self._items[index] = self._new_item(item, index)
        event["item"] = _for_client(item, state)
        state.name = event["item"].get("name")
        if kind != "response.output_item.done":
            return [event]
        state.done = event["item"] = _completed(event["item"])
        if state.decoder is None or state.is_input_done:
            return [event]
        # An item whose type has changed since it was announced has no input.
        whole = event["item"].get("input", "")
        return [*_end_of_input(index, state, whole), event]

    def _with_client_name(self, value: Json) -> Json:
        """Return an item or event with the client's name for the tool."""
        name = value.get("name")
        if not isinstance(name, str) or name not in self._tool_names:
            return value
        return {**value, "name": self._tool_names[name]}

    def _arguments(self, index: int, item: _Item, event: ResponsesEvent) -> list[ResponsesEvent]:
        """Return the events to send for one of Copilot's events about a call's arguments."""
        delta = event.get("delta")
        if isinstance(delta, str):
            # Stops models that write endless blank lines, by the same rule as on Chat Completions.
            self._guards.setdefault(index, RunawayGuard()).watch(delta)
        tool = item.tool
        if "arguments" in event and isinstance(item.name, str):
            # OpenAI's schema requires the name in the last of these events; Copilot leaves it out.
            event["name"] = item.name
        if tool is None or tool.is_plain:
            return _with_arguments(self._with_client_name(event))
        if tool.kind == "search":
            return []
        if item.decoder is not None:
            arguments = event.get("arguments")
            if isinstance(arguments, str) and not item.is_input_done:
                return _end_of_input(index, item, custom_input(arguments))
            text = item.decoder.feed(delta) if isinstance(delta, str) else ""
            return [_input_delta(index, item, text)] if text else []
        if "name" in event:
            event["name"] = tool.name
        return _with_arguments(event)


def _with_arguments(event: ResponsesEvent) -> list[ResponsesEvent]:
    """Return the events to send for one of Copilot's events about a call's arguments.

    If the arguments are empty at the end, they become an empty object, because clients parse them
    as JSON.
    """
    if event.get("arguments") != "":
        return [event]
    position: Json = {"item_id": event.get("item_id"), "output_index": event.get("output_index")}
    return [
        {"type": f"{_ARGUMENTS}.delta", **position, "delta": "{}"},
        {**event, "arguments": "{}"},
    ]


def _for_client(item: Json, state: _Item) -> Json:
    """Return the item with the id used in its events. A call names the tool as the client defined
    it."""
    out = {**item, "id": state.id}
    tool = state.tool
    if tool is None or tool.is_plain or item.get("type") != "function_call":
        return out
    if tool.kind == "search":
        arguments: Any = parse_search_arguments(out.get("arguments"))
        del out["name"]
        return {**out, "type": CALL_TYPES["search"], "execution": "client", "arguments": arguments}
    out["name"] = tool.name
    if tool.namespace is not None:
        out["namespace"] = tool.namespace
    if tool.kind == "custom":
        arguments = out.pop("arguments", None)
        out["type"] = CALL_TYPES["custom"]
        out["input"] = custom_input(arguments) if isinstance(arguments, str) else ""
    return out


def _completed(item: Json) -> Json:
    """Return the completed item; empty arguments of a function call become an empty object."""
    is_empty = item.get("type") == "function_call" and item.get("arguments") == ""
    return {**item, "arguments": "{}"} if is_empty else item


def _input_delta(index: int, item: _Item, text: str) -> ResponsesEvent:
    item.input.append(text)
    position = {"item_id": item.id, "output_index": index}
    return {"type": f"{_INPUT}.delta", **position, "delta": text}


def _end_of_input(index: int, item: _Item, whole: str) -> list[ResponsesEvent]:
    """Return the events for the unsent input of a custom tool, and for the end of the input."""
    item.is_input_done = True
    sent = "".join(item.input)
    rest = whole[len(sent) :] if whole.startswith(sent) else ""
    events = [_input_delta(index, item, rest)] if rest or not sent else []
    position = {"item_id": item.id, "output_index": index}
    return [*events, {"type": f"{_INPUT}.done", **position, "input": sent + rest}]
