"""Events of a Messages stream to one message, and one message to events.

Source: Anthropic's page on streaming messages, https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import msgspec

from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.usage import add_usage
from copilot_proxy.formats.tool_arguments import parsed_input


def events_of(message: Json) -> list[Json]:
    """The stream that a whole message, with all its fields, would have come as."""
    head = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    copilot_usage = head.pop("copilot_usage", None)
    events: list[Json] = [{"type": "message_start", "message": head}]
    for index, block in enumerate(message["content"]):
        start, delta = _split(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        for part in delta:
            events.append({"type": "content_block_delta", "index": index, "delta": part})
        events.append({"type": "content_block_stop", "index": index})
    last: Json = {
        "type": "message_delta",
        "delta": {
            "stop_reason": message["stop_reason"],
            "stop_sequence": message["stop_sequence"],
        },
        "usage": message["usage"],
    }
    if copilot_usage is not None:
        last["copilot_usage"] = copilot_usage
    return [*events, last, {"type": "message_stop"}]


def _split(block: Json) -> tuple[Json, list[Json]]:
    """A block as it begins, and the deltas that complete it."""
    match block.get("type"):
        case "text":
            text = block.get("text") or ""
            return {**block, "text": ""}, [{"type": "text_delta", "text": text}]
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": block.get("thinking") or ""}]
            if block.get("signature"):
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {**block, "thinking": "", "signature": ""}, deltas
        case "tool_use" | "server_tool_use":
            text = msgspec.json.encode(block.get("input") or {}).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": text}]
    return block, []


class Assembler:
    """Adds the events of one stream up; `message` is what they make."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._blocks: dict[int, Json] = {}
        self._texts: dict[tuple[int, str], list[str]] = {}
        self._usage: Json = {}

    def feed(self, event: Json) -> None:
        """Takes one event; those that say nothing of the message are skipped."""
        match event.get("type"):
            case "message_start":
                self._head = {**event["message"]}
                self._usage = dict(self._head.get("usage") or {})
            case "content_block_start":
                self._blocks[event["index"]] = dict(event["content_block"])
            case "content_block_delta":
                self._take(event["index"], event["delta"])
            case "message_delta":
                self._head.update(event["delta"])
                self._usage = add_usage(self._usage, event.get("usage"))
                for name in ("copilot_usage", "context_management"):
                    if name in event:
                        self._head[name] = event[name]

    def _take(self, index: int, delta: Json) -> None:
        match delta.get("type"):
            case "text_delta":
                self._add(index, "text", delta["text"])
            case "thinking_delta":
                self._add(index, "thinking", delta["thinking"])
            case "signature_delta":
                self._add(index, "signature", delta["signature"])
            case "input_json_delta":
                self._add(index, "input", delta["partial_json"])
            case "citations_delta":
                block = self._blocks[index]
                block["citations"] = [*(block.get("citations") or []), delta["citation"]]

    def _add(self, index: int, name: str, text: str) -> None:
        self._texts.setdefault((index, name), []).append(text)

    @property
    def message(self) -> Json:
        """The message as far as it has come."""
        blocks = {index: dict(block) for index, block in self._blocks.items()}
        for (index, name), parts in self._texts.items():
            text = "".join(parts)
            if name == "input":
                blocks[index]["input"] = parsed_input(text, blocks[index].get("input"))
            else:
                blocks[index][name] = (blocks[index].get(name) or "") + text
        content = [blocks[index] for index in sorted(blocks)]
        return {**self._head, "content": content, "usage": self._usage}
