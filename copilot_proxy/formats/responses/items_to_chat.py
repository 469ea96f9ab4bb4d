"""Builds chat messages from the items of a Responses request.

Consecutive items from the assistant (reasoning, text and calls) become one message. The results of
its calls are moved directly after it, because models reject any other order.
"""

from typing import Any

from copilot_proxy.errors import RequestError
from copilot_proxy.formats import reasoning_labels
from copilot_proxy.formats.answer_media import answer_content
from copilot_proxy.formats.chat_completions.earlier_answers import CITATIONS, UNUSABLE_REASONING
from copilot_proxy.formats.documents import file_part
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.responses.history_items import (
    as_user_message,
    compacted_message,
    with_readable_output,
)
from copilot_proxy.formats.types import Json


class _Turn:
    """A message and, if it is an assistant message, the results of its calls."""

    def __init__(self, message: Json | None = None) -> None:
        self.message = message
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.summaries: list[str] = []
        self.opaque = ""
        self.media: list[Json] = []
        self.calls: list[Json] = []
        self.results: list[Json] = []

    def messages(self) -> list[Json]:
        """Return the message and the results of its calls, or [] for an empty assistant message."""
        if self.message is not None:
            return [self.message]
        if not (self.texts or self.refusals or self.calls or self.media):
            return []
        content = answer_content("\n\n".join(self.texts), self.media)
        message: Json = {"role": "assistant", "content": content}
        if self.refusals:
            message["refusal"] = "\n\n".join(self.refusals)
        if self.opaque:
            message["reasoning_opaque"] = self.opaque
            # Models other than OpenAI's need their reasoning back unchanged, with its signature.
            tag = encrypted_reasoning.tag_of(self.opaque)
            if self.summaries and tag != reasoning_labels.RESPONSES_LABEL:
                message["reasoning_content"] = "".join(self.summaries)
        if self.calls:
            message["tool_calls"] = self.calls
        return [message, *self.results]


class MessagesBuilder:
    """Builds the messages of one request: `add_item` adds an item, and `build` returns the
    messages."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._turns: list[_Turn] = []
        self._current: _Turn | None = None
        """The assistant message that items are being added to."""
        self._turns_by_call: dict[str, _Turn] = {}
        """Call id -> the latest turn that made a call with this id."""

    def build(self) -> list[Json]:
        """Return the messages in order."""
        out: list[Json] = []
        for turn in self._turns:
            messages = turn.messages()
            if not messages:
                self._notes.append("dropped an empty assistant message")
            out += messages
        return out

    def add_message(self, message: Json) -> None:
        """Add a message that is not from the assistant."""
        self._current = None
        self._turns.append(_Turn(message))

    def add_item(self, item: Json, path: str) -> None:
        """Add an item. Raises `RequestError`, with `path`, for a part that no model accepts."""
        match item.get("type") or "message":
            case "function_call" | "custom_tool_call":
                self._add_call(item)
            case "function_call_output" if isinstance(item["output"], str):
                self._add_result(item["call_id"], item["output"])
            case "message" if item["role"] == "assistant":
                self._add_content(item["content"], f"{path}.content")
            case "message":
                content = _content(item["content"], f"{path}.content")
                self.add_message({"role": item["role"], "content": content})
            case "reasoning":
                self._add_reasoning(item)
            case "function_call_output" | "custom_tool_call_output":
                if (readable := with_readable_output(item)) is not item:
                    self._notes.append(
                        "dropped the encrypted part of a result: the model cannot read it"
                    )
                self._add_result(item["call_id"], _content(readable["output"], f"{path}.output"))
            case "compaction":
                self._notes.append("changed a compaction item to text: the model cannot read it")
                self.add_item(compacted_message(), path)
            case kind:
                self._notes.append(f"changed a {kind} item to text: the model does not support it")
                self.add_item(as_user_message(item), path)

    def _assistant(self) -> _Turn:
        if self._current is None:
            self._current = _Turn()
            self._turns.append(self._current)
        return self._current

    def _add_content(self, content: Any, path: str) -> None:
        turn = self._assistant()
        if isinstance(content, str):
            content = [{"text": content}]
        text = "".join(p["text"] for p in content if isinstance(p.get("text"), str))
        refusal = "".join(p["refusal"] for p in content if isinstance(p.get("refusal"), str))
        for i, part in enumerate(content):
            if part.get("annotations") and CITATIONS not in self._notes:
                self._notes.append(CITATIONS)
            if not {"text", "refusal"} & part.keys():
                turn.media.append(_part(part, f"{path}[{i}]"))
        turn.texts += [text] if text else []
        turn.refusals += [refusal] if refusal else []

    def _add_reasoning(self, item: Json) -> None:
        turn = self._assistant()
        encrypted = item.get("encrypted_content")
        if encrypted:
            turn.opaque = encrypted_reasoning.join_opaque(
                turn.opaque, encrypted_reasoning.from_client(encrypted)
            )
        elif (item.get("summary") or item.get("content")) and UNUSABLE_REASONING not in self._notes:
            self._notes.append(UNUSABLE_REASONING)
        for part in item.get("summary") or ():
            if isinstance(part.get("text"), str) and part["text"]:
                turn.summaries.append(part["text"])

    def _add_call(self, item: Json) -> None:
        turn = self._assistant()
        self._turns_by_call[item["call_id"]] = turn
        call: Json = {"id": item["call_id"]}
        if item["type"] == "custom_tool_call":
            custom = {"name": item["name"], "input": item["input"]}
            turn.calls.append({**call, "type": "custom", "custom": custom})
        else:
            function = {"name": item["name"], "arguments": item["arguments"] or "{}"}
            turn.calls.append({**call, "type": "function", "function": function})

    def _add_result(self, call_id: str, content: str | list[Json]) -> None:
        message = {"role": "tool", "tool_call_id": call_id, "content": content}
        turn = self._turns_by_call.get(call_id)
        if turn is None:
            self.add_message(message)
            return
        turn.results.append(message)
        if turn is self._current:
            self._current = None


def _content(content: Any, path: str) -> str | list[Json]:
    """Return the content of a chat message; a single text part becomes a plain string."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RequestError(
            f"Invalid type for '{path}': expected a string or a list of parts.",
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
        case "input_file" if isinstance(part.get("file_data"), str):
            return file_part(part["file_data"], part.get("filename"), f"{path}.file_data")
    raise RequestError(
        f"Invalid '{path}': the model accepts only text, images and documents.",
        param=path,
        code="unsupported_value",
        hint="Send the file's text instead.",
    )
