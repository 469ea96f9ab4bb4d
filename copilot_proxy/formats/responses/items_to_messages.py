"""Puts the items of a Responses request together into the hub's messages.

What the assistant thought, said and called in a row is one message, and the results of its calls
follow it at once, wherever they stood: models refuse any other order.
"""

from typing import Any

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses import sealed_reasoning
from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import (
    call_name,
    custom_arguments,
    is_own_search,
    search_as_function,
)


class _Block:
    """One message and, if it is the assistant's, the results of its calls."""

    def __init__(self, message: Json | None = None) -> None:
        self.message = message
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.thoughts: list[str] = []
        self.opaque = ""
        self.calls: list[Json] = []
        self.results: list[Json] = []

    def messages(self) -> list[Json]:
        """The message and its results; nothing for an assistant's that is empty."""
        if self.message is not None:
            return [self.message]
        if not (self.texts or self.refusals or self.calls):
            return []
        message: Json = {"role": "assistant", "content": "\n\n".join(self.texts) or None}
        if self.refusals:
            message["refusal"] = "\n\n".join(self.refusals)
        if self.opaque:
            message["reasoning_opaque"] = self.opaque
            # Models other than OpenAI's take what they thought back beside its seal, unchanged.
            if self.thoughts and sealed_reasoning.tag_of(self.opaque) != sealed_reasoning.RESPONSES:
                message["reasoning_content"] = "".join(self.thoughts)
        if self.calls:
            message["tool_calls"] = self.calls
        return [message, *self.results]


class Messages:
    """The messages of one request; `take` adds an item, `all` gives them in the end."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._blocks: list[_Block] = []
        self._open: _Block | None = None
        """The assistant's message that is being put together."""
        self._calls: dict[str, _Block] = {}
        """Where each call was made, the latest of each id."""

    def all(self) -> list[Json]:
        """The messages in order."""
        out: list[Json] = []
        for block in self._blocks:
            messages = block.messages()
            if not messages:
                self._notes.append("dropped an assistant message: it is empty")
            out += messages
        return out

    def add(self, message: Json) -> None:
        """Adds a message that is not the assistant's."""
        self._open = None
        self._blocks.append(_Block(message))

    def take(self, item: Json, path: str) -> None:
        """Adds an item; `path` names it in a `RequestError` for a part that no model takes."""
        match item.get("type") or "message":
            case "message" if item["role"] == "assistant":
                self._say(item["content"])
            case "message":
                content = _content(item["content"], f"{path}.content")
                self.add({"role": item["role"], "content": content})
            case "reasoning":
                self._think(item)
            case "function_call":
                self._call(item, item["arguments"] or "{}")
            case "custom_tool_call":
                self._call(item, custom_arguments(item["input"]))
            case "tool_search_call" | "tool_search_output" if is_own_search(item):
                self.take(search_as_function(item), path)
            case "function_call_output" | "custom_tool_call_output":
                self._result(item["call_id"], _content(item["output"], f"{path}.output"))
            case kind:
                self._notes.append(f"dropped an input item: the model's API does not take {kind}")

    def _assistant(self) -> _Block:
        if self._open is None:
            self._open = _Block()
            self._blocks.append(self._open)
        return self._open

    def _say(self, content: Any) -> None:
        block = self._assistant()
        if isinstance(content, str):
            content = [{"text": content}]
        text = "".join(p["text"] for p in content if isinstance(p.get("text"), str))
        refusal = "".join(p["refusal"] for p in content if isinstance(p.get("refusal"), str))
        block.texts += [text] if text else []
        block.refusals += [refusal] if refusal else []

    def _think(self, item: Json) -> None:
        block = self._assistant()
        encrypted = item.get("encrypted_content")
        if encrypted:
            block.opaque = sealed_reasoning.join(
                block.opaque, sealed_reasoning.from_client(encrypted)
            )
        for part in item.get("summary") or ():
            if isinstance(part.get("text"), str) and part["text"]:
                block.thoughts.append(part["text"])

    def _call(self, item: Json, arguments: str) -> None:
        block = self._assistant()
        self._calls[item["call_id"]] = block
        function = {"name": call_name(item), "arguments": arguments}
        block.calls.append({"id": item["call_id"], "type": "function", "function": function})

    def _result(self, call_id: str, content: str | list[Json]) -> None:
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        block = self._calls.get(call_id)
        if block is None:
            self.add(message)
            return
        block.results.append(message)
        if block is self._open:
            self._open = None


def _content(content: Any, path: str) -> str | list[Json]:
    """The hub's content; one text alone is plain."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(
            f"Invalid '{path}': a text or a list of parts is expected.",
            param=path,
            code="invalid_type",
        )
    parts = [_part(part, f"{path}[{i}]") for i, part in enumerate(content)]
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Json, path: str) -> Json:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": part["text"]}
        case "refusal":
            return {"type": "refusal", "refusal": part["refusal"]}
        case "input_image":
            image = {"url": part["image_url"]}
            if part.get("detail") not in (None, "auto"):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
    raise RequestError(
        "The model takes text and images; this is neither.",
        param=path,
        code="unsupported_value",
        hint="Send the file's text instead.",
    )
