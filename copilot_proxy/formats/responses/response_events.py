"""Takes a whole response apart into the events that would have streamed it.

For models that cannot stream, and for upstreams that answer whole where a stream was asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from copilot_proxy.formats.responses.schema import Json

TERMINAL: Final[Mapping[str, str]] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
}
"""The event that ends a stream, by the response's status."""


def whole_events(response: Json) -> Iterator[Json]:
    """The events of `response`, without numbers; its items as they are.

    A response that has not ended has no last event.
    """
    given = response.get("status") or "completed"
    status = given if isinstance(given, str) else ""
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    begun.update(error=None, incomplete_details=None)
    begun.pop("copilot_usage", None)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if isinstance(item, dict):
            yield from item_events(index, item)
    if status in TERMINAL:
        yield {"type": TERMINAL[status], "response": {**response, "status": status}}


def item_events(index: int, item: Json) -> Iterator[Json]:
    """The events of one output item; those between its first and last by what it holds."""
    begun = {**item, "status": "in_progress"} if "status" in item else dict(item)
    between: list[Json] = []
    at: Json = {"item_id": item.get("id"), "output_index": index}
    match item.get("type"):
        case "message":
            begun["content"] = []
            for number, part in enumerate(_objects(item.get("content"))):
                between += _part_events({**at, "content_index": number}, part)
        case "reasoning":
            begun["summary"] = []
            for number, part in enumerate(_objects(item.get("summary"))):
                between += summary_events({**at, "summary_index": number}, part)
        case "function_call":
            begun["arguments"] = ""
            arguments = item.get("arguments")
            kind = "response.function_call_arguments"
            between = [
                {"type": f"{kind}.delta", **at, "delta": arguments},
                {"type": f"{kind}.done", **at, "arguments": arguments, "name": item.get("name")},
            ]
    yield {"type": "response.output_item.added", "output_index": index, "item": begun}
    yield from between
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(at: Json, part: Json) -> list[Json]:
    kind, field = ("output_text", "text") if "text" in part else ("refusal", "refusal")
    text = part.get(field)
    more = {"logprobs": part.get("logprobs") or []} if kind == "output_text" else {}
    return [
        {"type": "response.content_part.added", **at, "part": {**part, field: ""}},
        {"type": f"response.{kind}.delta", **at, "delta": text, **more},
        {"type": f"response.{kind}.done", **at, field: text, **more},
        {"type": "response.content_part.done", **at, "part": part},
    ]


def summary_events(at: Json, part: Json) -> list[Json]:
    """The events of one part of a reasoning summary; `at` says which."""
    base, text = "response.reasoning_summary", part.get("text")
    return [
        {"type": f"{base}_part.added", **at, "part": {**part, "text": ""}},
        {"type": f"{base}_text.delta", **at, "delta": text},
        {"type": f"{base}_text.done", **at, "text": text},
        {"type": f"{base}_part.done", **at, "part": part},
    ]


def _objects(value: object) -> list[Json]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []
