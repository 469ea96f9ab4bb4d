"""Creates the events of output items that are written incrementally.

Each type of item has `open`, `add` for a delta, and `close`; `item` is the item so far.
"""

from typing import Final

from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.ids import new_id, prefix_of
from copilot_proxy.formats.responses.tools import CALL_TYPES, ClientTool, parse_search_arguments
from copilot_proxy.formats.tool_arguments import Arguments
from copilot_proxy.formats.types import Json, ResponsesEvent

_CALL_EVENTS: Final = {
    "function": "response.function_call_arguments",
    "custom": "response.custom_tool_call_input",
}
"""Kind of tool -> the start of the types of events about a call's arguments or input."""


class OpenItem:
    """An output item that is being written; `index` is its position in the output."""

    kind = ""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = new_id(prefix_of(self.kind))
        self.item: Json = {"id": self.id, "type": self.kind}
        self.is_done = False

    def open(self) -> list[ResponsesEvent]:
        """Return the event that announces the item."""
        return [self._item_event("response.output_item.added")]

    def close(self, status: str) -> list[ResponsesEvent]:
        """Return the events that end the item with `status`."""
        return self._done([])

    def _item_event(self, kind: str) -> ResponsesEvent:
        return {"type": kind, "output_index": self.index, "item": dict(self.item)}

    def _done(self, events: list[ResponsesEvent]) -> list[ResponsesEvent]:
        self.is_done = True
        return [*events, self._item_event("response.output_item.done")]

    def _event(self, kind: str, **more: object) -> ResponsesEvent:
        return {"type": kind, "item_id": self.id, "output_index": self.index, **more}


class ReasoningItem(OpenItem):
    """Reasoning: a summary with a single part, and the encrypted content.

    `opaque` is this item's part of the chat message's `reasoning_opaque`. `tag` is the label at the
    start of that value.
    """

    kind = "reasoning"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.item["summary"] = []
        self.opaque = ""
        self.tag = ""
        self._texts: list[str] = []

    def add(self, text: str) -> list[ResponsesEvent]:
        """Return the events for a delta of the summary."""
        base = "response.reasoning_summary"
        events = []
        if not self._texts:
            part = {"type": "summary_text", "text": ""}
            events.append(self._event(f"{base}_part.added", summary_index=0, part=part))
        self._texts.append(text)
        events.append(self._event(f"{base}_text.delta", summary_index=0, delta=text))
        return events

    def close(self, status: str) -> list[ResponsesEvent]:
        """Return the events that end the item; reasoning has no status."""
        events = []
        if self._texts:
            base, text = "response.reasoning_summary", "".join(self._texts)
            part = {"type": "summary_text", "text": text}
            self.item["summary"] = [part]
            events.append(self._event(f"{base}_text.done", summary_index=0, text=text))
            events.append(self._event(f"{base}_part.done", summary_index=0, part=part))
        if self.opaque.strip():
            self.item["encrypted_content"] = encrypted_reasoning.to_client(self.opaque, self.tag)
        return self._done(events)


class MessageItem(OpenItem):
    """A message: a sequence of text and refusal parts."""

    kind = "message"

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.item |= {"role": "assistant", "status": "in_progress", "content": []}
        self._parts: list[Json] = []
        self._kind = ""
        self.texts: list[str] = []
        """The deltas of the open part so far."""
        self.text_event: ResponsesEvent | None = None
        """An event with a delta of the open text part; later events differ only in the delta."""

    def add(self, text: str, *, kind: str = "output_text") -> list[ResponsesEvent]:
        """Return the events for a delta of a part of type `kind`."""
        events = []
        if kind != self._kind:
            events += self._close_part()
            self._kind = kind
            events.append(self._part_event("response.content_part.added", self._part("")))
        self.texts.append(text)
        more: Json = {"logprobs": []} if kind == "output_text" else {}
        index = len(self._parts)
        delta = self._event(f"response.{kind}.delta", content_index=index, delta=text, **more)
        self.text_event = delta if kind == "output_text" else None
        return [*events, delta]

    def close(self, status: str) -> list[ResponsesEvent]:
        """Return the events that end the item with `status`."""
        events = self._close_part()
        self.item["content"] = self._parts
        self.item["status"] = status
        return self._done(events)

    def _part(self, text: str) -> Json:
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _part_event(self, kind: str, part: Json) -> ResponsesEvent:
        return self._event(kind, content_index=len(self._parts), part=part)

    def _close_part(self) -> list[ResponsesEvent]:
        if not self._kind:
            return []
        text = "".join(self.texts)
        part = self._part(text)
        whole: Json = {"refusal": text} if self._kind == "refusal" else {"text": text}
        if self._kind == "output_text":
            whole["logprobs"] = []
        index = len(self._parts)
        events = [
            self._event(f"response.{self._kind}.done", content_index=index, **whole),
            self._part_event("response.content_part.done", part),
        ]
        self._parts.append(part)
        self._kind, self.texts, self.text_event = "", [], None
        return events


class CallItem(OpenItem):
    """A call to the client's `tool`: a function, a custom tool or a tool search."""

    def __init__(self, index: int, call_id: str, tool: ClientTool) -> None:
        self.kind = CALL_TYPES[tool.kind]
        super().__init__(index)
        self._tool_kind = tool.kind
        self._texts: list[str] = []
        self._arguments = Arguments()
        self.item |= {"call_id": call_id, "status": "in_progress"}
        if self._tool_kind == "search":
            self.item |= {"execution": "client", "arguments": {}}
            return
        self.item["name"] = tool.name
        self.item["input" if self._tool_kind == "custom" else "arguments"] = ""
        if tool.namespace is not None:
            self.item["namespace"] = tool.namespace

    @property
    def is_complete(self) -> bool:
        """Whether nothing can be added to the arguments.

        Always False for a custom tool, since the end of its input cannot be recognized.
        """
        return self._tool_kind != "custom" and self._arguments.is_json

    def add(self, text: str) -> list[ResponsesEvent]:
        """Return the events for a delta of a function's arguments or a custom tool's input.

        The arguments of a tool search are sent once they are complete, by `close`.
        """
        self._texts.append(text)
        if self._tool_kind != "custom":
            self._arguments.add(text)
        if self._tool_kind == "search":
            return []
        return [self._event(f"{_CALL_EVENTS[self._tool_kind]}.delta", delta=text)]

    def close(self, status: str) -> list[ResponsesEvent]:
        """Return the events that end the item with `status`."""
        text = "".join(self._texts)
        self.item["status"] = status
        if self._tool_kind == "search":
            self.item["arguments"] = parse_search_arguments(text)
            return self._done([])
        base = f"{_CALL_EVENTS[self._tool_kind]}.done"
        if self._tool_kind == "custom":
            self.item["input"] = text
            return self._done([self._event(base, input=text)])
        self.item["arguments"] = text
        return self._done([self._event(base, arguments=text, name=self.item["name"])])
