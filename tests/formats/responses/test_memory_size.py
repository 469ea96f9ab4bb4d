"""The counted size of a stored conversation is at least the memory that it uses."""

import gc
import json
import tracemalloc

import pytest

from copilot_proxy.formats.responses.plain_items import PLAIN
from copilot_proxy.formats.responses.response_store import PlainItems
from copilot_proxy.formats.types import Json

TOOL: Json = {
    "type": "function",
    "name": "search",
    "parameters": {"properties": {f"p{i}": {"type": "string"} for i in range(50)}},
}
ADDED: Json = {"type": "additional_tools", "role": "developer", "tools": [TOOL] * 200}


def conversation(text: str) -> list[Json]:
    """Return messages, calls and results, each with `text`."""
    turns: list[list[Json]] = [
        [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            {
                "type": "function_call",
                "call_id": f"call_{i:020}",
                "name": "read",
                "arguments": json.dumps({"path": text}, ensure_ascii=False),
            },
            {"type": "function_call_output", "call_id": f"call_{i:020}", "output": text},
        ]
        for i in range(150)
    ]
    return [item for turn in turns for item in turn]


@pytest.mark.parametrize(
    "items",
    [
        conversation("x" * 400),
        conversation("x" * 399 + "’"),  # two bytes for each character
        conversation("x" * 399 + "😀"),  # four bytes
        [ADDED, *conversation("x" * 400)],
    ],
    ids=["ascii", "quotation mark", "emoji", "tools"],
)
@pytest.mark.parametrize("escaped", [False, True])
def test_the_memory_of_a_plain_conversation(items: list[Json], escaped: bool) -> None:
    """The counted size is at least the memory used, in any encoding, and at most twice that."""
    body = json.dumps({"model": "gpt-6-sol", "input": items}, ensure_ascii=escaped).encode()
    gc.collect()
    tracemalloc.start()
    request = PLAIN.request(body)
    assert request is not None
    kept = PlainItems(request.pop("input"), len(body))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held <= kept.size <= 2 * held
    assert items == list(map(json.loads, kept))
