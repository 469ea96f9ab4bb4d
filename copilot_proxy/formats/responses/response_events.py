"""Splits a whole response into the events of an equivalent stream.

Used for models that cannot stream, and for upstreams that answer a streaming request with a
whole response.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from copilot_proxy.formats.types import Json, Response, ResponsesEvent

TERMINAL: Final[Mapping[str, str]] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
}
"""Response status -> type of the event that ends the stream."""
_ANNOTATION: Final = "response.output_text.annotation.added"


def whole_events(response: Response) -> Iterator[ResponsesEvent]:
    """Yield the events of `response`, without ``sequence_number`` and with its items unchanged.

    A response that is still in progress has no final event.
    """
    value = response.get("status") or "completed"
    status = value if isinstance(value, str) else ""
    initial = {**response, "status": "in_progress", "output": [], "usage": None}
    initial.update(error=None, incomplete_details=None)
    initial.pop("copilot_usage", None)
    yield {"type": "response.created", "response": initial}
    yield {"type": "response.in_progress", "response": initial}
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if isinstance(item, dict):
            yield from item_events(index, item)
    if status in TERMINAL:
        yield {"type": TERMINAL[status], "response": {**response, "status": status}}


def item_events(index: int, item: Json) -> Iterator[ResponsesEvent]:
    """Yield the events of an output item: the added event, the events of its content, and the done
    event."""
    initial = {**item, "status": "in_progress"} if "status" in item else dict(item)
    contents: list[ResponsesEvent] = []
    position: Json = {"item_id": item.get("id"), "output_index": index}
    match item.get("type"):
        case "message":
            initial["content"] = []
            for number, part in enumerate(_objects(item.get("content"))):
                contents += _part_events({**position, "content_index": number}, part)
        case "reasoning":
            initial["summary"] = []
            for number, part in enumerate(_objects(item.get("summary"))):
                contents += _summary_events({**position, "summary_index": number}, part)
            if item.get("content"):
                initial["content"] = []
            for number, part in enumerate(_objects(item.get("content"))):
                contents += _reasoning_events({**position, "content_index": number}, part)
        case "function_call":
            initial["arguments"] = ""
            arguments, name = item.get("arguments"), item.get("name")
            kind = "response.function_call_arguments"
            contents = [
                {"type": f"{kind}.delta", **position, "delta": arguments},
                {"type": f"{kind}.done", **position, "arguments": arguments, "name": name},
            ]
        case "custom_tool_call":
            initial["input"] = ""
            text, kind = item.get("input"), "response.custom_tool_call_input"
            contents = [
                {"type": f"{kind}.delta", **position, "delta": text},
                {"type": f"{kind}.done", **position, "input": text},
            ]
    yield {"type": "response.output_item.added", "output_index": index, "item": initial}
    yield from contents
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(position: Json, part: Json) -> list[ResponsesEvent]:
    kind, field = ("output_text", "text") if "text" in part else ("refusal", "refusal")
    text = part.get(field)
    more = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
    lists: Json = {name: [] for name in ("annotations", "logprobs") if part.get(name)}
    return [
        {"type": "response.content_part.added", **position, "part": {**part, field: "", **lists}},
        {"type": f"response.{kind}.delta", **position, "delta": text, **more},
        *(
            {"type": _ANNOTATION, **position, "annotation_index": number, "annotation": one}
            for number, one in enumerate(_objects(part.get("annotations")))
        ),
        {"type": f"response.{kind}.done", **position, field: text, **more},
        {"type": "response.content_part.done", **position, "part": part},
    ]


def _summary_events(position: Json, part: Json) -> list[ResponsesEvent]:
    base, text = "response.reasoning_summary", part.get("text")
    return [
        {"type": f"{base}_part.added", **position, "part": {**part, "text": ""}},
        {"type": f"{base}_text.delta", **position, "delta": text},
        {"type": f"{base}_text.done", **position, "text": text},
        {"type": f"{base}_part.done", **position, "part": part},
    ]


def _reasoning_events(position: Json, part: Json) -> list[ResponsesEvent]:
    base, text = "response.reasoning_text", part.get("text")
    return [
        {"type": f"{base}.delta", **position, "delta": text},
        {"type": f"{base}.done", **position, "text": text},
    ]


def _objects(value: object) -> list[Json]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
