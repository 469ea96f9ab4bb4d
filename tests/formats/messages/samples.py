"""Helpers that build requests, read responses with the official SDK, and check bodies."""

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx2

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.formats.messages.betas import select_betas
from copilot_proxy.formats.types import Json, Message, MessagesEvent, MessagesRequest
from copilot_proxy.simulator import catalogue, messages_rules

CATALOGUE = parse_models(catalogue.load("2026-03"))
RAW = {entry["id"]: entry for entry in catalogue.load("2026-03")}
PIXEL = "iVBORw0KGgo="
IMAGE: Json = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
}
SIGNATURE = "EqQBsignature=="
THOUGHT: Json = {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
TOOL: Json = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
EPHEMERAL: Json = {"cache_control": {"type": "ephemeral"}}


def recorded(name: str) -> Any:
    """Return a recorded request or response."""
    path = Path(__file__).parent / "recordings" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def simulated(model_id: str) -> Model:
    """Return a model from the simulator's list, which has newer models than the recordings."""
    model = CATALOGUE.get(model_id)
    assert model is not None
    return model


def text(words: str, **more: Any) -> Json:
    return {"type": "text", "text": words, **more}


def user(*blocks: Any) -> Json:
    """Return a user message; a single string becomes the content itself."""
    if len(blocks) == 1 and isinstance(blocks[0], str):
        return {"role": "user", "content": blocks[0]}
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> Json:
    return {**user(*blocks), "role": "assistant"}


def use(id: str = "toolu_1", name: str = "f", input: Any = None) -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": {} if input is None else input}


def result(id: str = "toolu_1", content: Any = "done", **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def request(*messages: Json, **more: Any) -> MessagesRequest:
    """Return a request with these messages, or with "Hi" if there are none."""
    head = {"model": "claude-sonnet-4.5", "max_tokens": 4096}
    return {**head, "messages": list(messages) or [user("Hi")], **more}


def check_with_simulator(
    body: MessagesRequest, *, betas: Iterable[str] = (), counting: bool = False
) -> None:
    """Raise the simulator's error if the body breaks a rule of Copilot's Messages API.

    `betas` are sent in addition to the betas that the body needs.
    """
    betas, _ = select_betas(list(betas), body)
    call: Any = SimpleNamespace(
        headers={"anthropic-beta": ",".join(betas)},
        path="/v1/messages",
        record=SimpleNamespace(vision=True),
        state=SimpleNamespace(
            opaque_strings=SimpleNamespace(
                is_valid=lambda kind, text: isinstance(text, str) and bool(text)
            )
        ),
    )
    body = json.loads(json.dumps(body))
    messages_rules.shape(body, call, counting=counting)
    if not counting:
        messages_rules.check(body, _with_many_images(RAW[body["model"]]), call)


def _with_many_images(model: Json) -> Json:
    """Return a copy of the model that allows 99 images, so that no body exceeds the limit."""
    model = copy.deepcopy(model)
    model["capabilities"]["limits"]["vision"]["max_prompt_images"] = 99
    return model


def read_stream(events: Iterable[MessagesEvent]) -> anthropic.types.Message:
    """Return the message that the official SDK's stream helper builds from the events."""
    lines = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
    with _client(lines.encode(), "text/event-stream") as client:
        arguments: Any = request()
        with client.messages.stream(**arguments) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()


def read_whole(message: Message) -> anthropic.types.Message:
    """Return the message as the official SDK reads it from a response that is not streamed."""
    with _client(json.dumps(message).encode(), "application/json") as client:
        arguments: Any = request()
        response = client.messages.create(**arguments)
        assert isinstance(response, anthropic.types.Message)
        return response


def _client(body: bytes, content_type: str) -> anthropic.Anthropic:
    def respond(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(respond)
    return anthropic.Anthropic(
        api_key="unused", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def check_order(events: list[MessagesEvent]) -> None:
    """Fail unless the events follow the order of Anthropic's own streams, one block at a time."""
    assert "message_start" == events[0]["type"]
    assert ["message_delta", "message_stop"] == [event["type"] for event in events[-2:]]
    inside: int | None = None
    blocks = 0
    for event in events[1:-2]:
        match event["type"]:
            case "content_block_start":
                assert inside is None
                assert blocks == event["index"]
                inside, blocks = blocks, blocks + 1
            case "content_block_delta":
                assert inside == event["index"]
            case "content_block_stop":
                assert inside == event["index"]
                inside = None
            case other:
                raise AssertionError(other)
    assert inside is None
