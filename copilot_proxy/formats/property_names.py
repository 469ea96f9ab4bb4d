"""Restores the client's parameter names in tool calls; `rules.property_names` renames them.

`RestoredNames` accepts the events of another translator: Chat Completions chunks or Messages
events.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from copilot_proxy.formats.translators import StreamTranslator
from copilot_proxy.formats.types import ClientEvent, ClientResponse, Json
from copilot_proxy.formats.wrapped_translator import WrappedTranslator

Names = Mapping[str, Mapping[str, str]]
"""The client's name of a tool -> parameter name sent to the model -> the client's parameter
name."""


class KeyRenamer:
    """Renames the keys of a JSON object as its text arrives; nested objects are left unchanged.

    The text of a key is held back until it is complete.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._depth = 0
        self._expects_key = False
        self._string: list[str] | None = None
        """The string being read, from its opening quotation mark on."""
        self._is_key = False
        self._is_escaped = False

    def feed(self, text: str) -> str:
        """Return the text to output for the chunk `text`."""
        out: list[str] = []
        for char in text:
            if self._string is None:
                self._read(char, out)
                continue
            self._string.append(char)
            if not self._is_key:
                out.append(char)
            if self._is_escaped:
                self._is_escaped = False
            elif char == "\\":
                self._is_escaped = True
            elif char == '"':
                if self._is_key:
                    out.append(self._renamed("".join(self._string)))
                self._string = None
        return "".join(out)

    def close(self) -> str:
        """Return the start of an incomplete key."""
        return "".join(self._string or ()) if self._is_key else ""

    def _read(self, char: str, out: list[str]) -> None:
        """Process a character that is outside of any string."""
        if char == '"':
            self._string = [char]
            self._is_key, self._expects_key = self._expects_key, False
            if self._is_key:
                return
        elif char in "{[":
            self._depth += 1
            self._expects_key = self._depth == 1 and char == "{"
        elif char in "}]":
            self._depth -= 1
        elif char == ",":
            self._expects_key = self._depth == 1
        out.append(char)

    def _renamed(self, key: str) -> str:
        try:
            name = msgspec.json.decode(key)
        except msgspec.DecodeError:
            return key
        new = self._names.get(name)
        return key if new is None else msgspec.json.encode(new).decode()


class RestoredNames(WrappedTranslator):
    """Passes on the events of `translator`, with the client's parameter names in calls."""

    def __init__(self, translator: StreamTranslator, names: Names) -> None:
        super().__init__(translator)
        self._names = names
        self._calls: dict[Any, KeyRenamer] = {}
        """Index in the answer -> the renamer of a call in progress."""

    def feed(self, data: object) -> list[ClientEvent]:
        return self._restored(self._translator.feed(data))

    def close(self, *, done: bool = False) -> list[ClientEvent]:
        return self._restored(self._translator.close(done=done))

    def whole(self, events: list[ClientEvent]) -> ClientResponse:
        response = super().whole(events)
        content = response.get("content")
        if isinstance(content, list):  # a whole message
            response = {**response, "content": list(map(self._restored_block, content))}
        return response

    def passed(self, event: ClientEvent) -> ClientEvent:
        if choices := event.get("choices"):
            delta = choices[0]["delta"]
            if not (parts := delta.get("tool_calls")):
                return event
            delta = {**delta, "tool_calls": list(map(self._restored_part, parts))}
            return {**event, "choices": [{**choices[0], "delta": delta}]}
        match event:
            case {"type": "content_block_start", "index": index, "content_block": dict(block)}:
                self._begin(index, block.get("name"))
                return {**event, "content_block": self._restored_block(block)}
            case {"type": "content_block_delta", "index": index, "delta": {"partial_json": str()}}:
                delta = event["delta"]
                text = self._text(index, delta["partial_json"])
                return {**event, "delta": {**delta, "partial_json": text}}
        return event

    def _restored(self, events: list[ClientEvent]) -> list[ClientEvent]:
        restored: list[ClientEvent] = []
        for event in events:
            restored += (*self._held_back(event), self.passed(event))
        return restored

    def _held_back(self, event: ClientEvent) -> list[ClientEvent]:
        """Return the events to send before `event` if it ends calls in the middle of a key."""
        match event:
            case {"choices": [{"finish_reason": str()} as choice]}:
                held = {index: renamer.close() for index, renamer in self._calls.items()}
                parts = [
                    {"index": index, "function": {"arguments": text}}
                    for index, text in held.items()
                    if text
                ]
                choice = {**choice, "delta": {"tool_calls": parts}, "finish_reason": None}
                return [{**event, "choices": [choice]}] if parts else []
            case {"type": "content_block_stop", "index": index} if index in self._calls:
                text = self._calls[index].close()
                delta = {"type": "input_json_delta", "partial_json": text}
                return [{"type": "content_block_delta", "index": index, "delta": delta}] * bool(
                    text
                )
        return []

    def _restored_part(self, part: Json) -> Json:
        """Return a part of a call in a chunk, with names restored."""
        function = part.get("function")
        if not isinstance(function, dict):
            return part
        if function.get("name"):
            self._begin(part["index"], function["name"])
        text = self._text(part["index"], function.get("arguments") or "")
        return {**part, "function": {**function, "arguments": text}}

    def _begin(self, index: object, tool: object) -> None:
        if isinstance(tool, str) and (names := self._names.get(tool)):
            self._calls[index] = KeyRenamer(names)

    def _text(self, index: object, text: str) -> str:
        renamer = self._calls.get(index)
        return text if renamer is None else renamer.feed(text)

    def _restored_block(self, block: Json) -> Json:
        """Return a Messages block. If it has an input, the names in the input are restored."""
        names, arguments = self._names.get(str(block.get("name"))), block.get("input")
        if not names or not isinstance(arguments, dict):
            return block
        return {**block, "input": {names.get(name, name): one for name, one in arguments.items()}}
