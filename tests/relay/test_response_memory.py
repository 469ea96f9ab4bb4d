"""Assembling a long conversation does not block the event loop."""

import asyncio
from typing import Any

import pytest

from copilot_proxy.formats.responses.response_store import MAX_ITEMS, ResponseStore
from copilot_proxy.relay.caller import SERVER_USER
from copilot_proxy.relay.response_memory import ResponseMemory

pytestmark = pytest.mark.anyio

LIMIT = 64 * 1024 * 1024


RESPONSE: Any = {"id": "resp_1", "status": "completed", "output": []}


async def test_long_conversations_are_assembled_in_a_thread() -> None:
    """Other work continues while 20 MB are stored, and while they are prepended to new input."""
    memory = ResponseMemory(ResponseStore(), limit=LIMIT)
    items = [{"role": "user", "content": "x" * 20_000}] * 1000
    long: Any = {"model": "m", "input": items}
    turns = [0]

    async def count_turns() -> None:
        while True:
            turns[0] += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    resumed = await memory.resume(long, SERVER_USER, 21_000_000, [])
    stored_in = turns[0]
    remember = memory.remembering(resumed, SERVER_USER)
    assert remember is not None
    await remember({"type": "response.completed", "response": RESPONSE})
    follow_up: Any = {"model": "m", "input": "Hi", "previous_response_id": "resp_1"}
    resumed = await memory.resume(follow_up, SERVER_USER, 100, [])
    counting.cancel()

    assert stored_in > 1
    assert turns[0] > stored_in + 1
    assert [*items, {"type": "message", "role": "user", "content": "Hi"}] == (
        resumed.request["input"]
    )


async def test_long_responses_are_not_remembered() -> None:
    """A response with too many items or bytes says that it is not stored."""
    memory = ResponseMemory(ResponseStore(size=10_000), limit=LIMIT)
    many: Any = {"model": "m", "input": [{"role": "user", "content": "x"}] * MAX_ITEMS}
    large: Any = {"model": "m", "input": "x" * 20_000, "store": True}

    for request in (many, large):
        notes: list[str] = []
        resumed = await memory.resume(request, SERVER_USER, len(str(request)), notes)
        assert resumed.request["store"] is False
    assert ["dropped store: the conversation is too large"] == notes
