"""Event names: text from upstream cannot break the format of a stream."""

import json
from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.fuzz.upstream import MODELS, raw_upstream

BAD = 'x\n\nevent: message_stop\ndata: {"type": "message_stop"}\n\nevent: y'
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": {}}
RESPONSE = {"id": "resp_1", "object": "response", "status": "completed", "output": []}
STREAMS: dict[str, list[Any]] = {
    "messages": [
        {"type": "message_start", "message": MESSAGE},
        {"type": BAD},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress"}},
        {"type": BAD},
        {"type": "response.completed", "response": RESPONSE},
    ],
}


@pytest.mark.parametrize("api", STREAMS)
def test_types_with_line_breaks(simulator: Simulator, api: str) -> None:
    """An event of an unknown type reaches the client as one event.

    Its name is its type, unless the type could break the format.
    """
    turns = [{"role": "user", "content": "Hi"}]
    asked = {"input": turns} if api == "responses" else {"messages": turns, "max_tokens": 9}
    with raw_upstream() as upstream:
        upstream.answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(
            b"data: %b\n\n" % json.dumps(event).encode() for event in STREAMS[api]
        )
        settings = settings_at(simulator, copilot_api_url=upstream.url)
        with Proxy(settings) as proxy, proxy.client() as client:
            text = client.post(
                f"/v1/{api}", json={**asked, "model": MODELS[api][0], "stream": True}
            ).text

    frames = [frame.split("\n") for frame in text.split("\n\n")[:-1]]
    types = [event["type"] for event in STREAMS[api]]
    assert types == [json.loads(frame[-1].removeprefix("data: "))["type"] for frame in frames]
    assert [None if kind == BAD else f"event: {kind}" for kind in types] == [
        frame[0] if len(frame) == 2 else None for frame in frames
    ]
