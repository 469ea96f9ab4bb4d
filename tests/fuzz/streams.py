"""Malformed upstream answers with status 200: valid streams with errors inserted."""

import copy
import gzip
import json
from collections.abc import Callable
from typing import Any, Final

import httpx
from hypothesis import strategies as st

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS
from tests.fuzz.bodies import VALUES, places
from tests.matrix_clients import ABOUT, SCHEMA, TOOL
from tests.simulator.conftest import Copilot

Draw = Callable[[st.SearchStrategy[Any]], Any]

ODD_FRAMES: Final = [
    b"data: [DONE]\n\n",
    b"data: {}\n\n",
    b"data: null\n\n",
    b"data: 1e999\n\n",
    b"data:\n\n",
    b": comment\n\n",
    b"\xef\xbb\xbf\n",
    b"\x00\x00\n\n",
    b"\r",
    b"data: \xff\xfe\n\n",
    b"data: " + b"[" * 3000 + b"\n\n",
    b"data: " + b"x" * 100_000 + b"\n\n",
    b"event: error\n",
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
    b'data: {"error":{"message":"x","code":"y"}}\n\n',
    b'data: {"type":"response.failed","response":{"id":"r","error":{"code":"c"}}}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d\\u0000"}}]}\n\n',
    b"id: 1\nretry: 5\n\n",
    b"<html>Bad gateway</html>",
]
HEADS: Final = [
    b"content-type: text/event-stream",
    b"content-type: text/event-stream; charset=latin-1",
    b"content-type: application/json",
    b"content-type: text/html",
    b"x-nothing: said",
    b"content-type: text/event-stream\r\ncontent-encoding: gzip",
]


def recorded(simulator: Simulator) -> dict[str, list[bytes]]:
    """Return valid answers from the simulator for each of Copilot's APIs."""
    function = {"name": TOOL, "description": ABOUT, "parameters": SCHEMA}
    with httpx.Client(base_url=simulator.url, trust_env=False, verify=NO_TLS, timeout=60) as http:
        ask = Copilot(simulator, http)
        tools: dict[str, list[Any]] = {
            "chat_completions": [{"type": "function", "function": function}],
            "responses": [{"type": "function", **function}],
            "messages": [{"name": TOOL, "description": ABOUT, "input_schema": SCHEMA}],
        }
        asks: dict[str, Callable[..., httpx.Response]] = {
            "chat_completions": ask.chat,
            "responses": ask.responses,
            "messages": ask.messages,
        }
        return {
            api: [
                asked("Hi", stream=True).content,
                asked("What is the weather?", stream=True, tools=tools[api]).content,
                asked("Hi").content,
            ]
            for api, asked in asks.items()
        }


def _frames(answer: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in answer.split(b"\n\n") if frame]


@st.composite
def _with_another_value(draw: Draw, frame: bytes) -> bytes:
    """Return the frame with part of its data replaced or removed."""
    start, mark, data = frame.partition(b"data: ")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return frame
    if not isinstance(value, dict) or not value:
        return frame
    changed = copy.deepcopy(value)
    holder, key = draw(st.sampled_from(list(places(changed))))
    if draw(st.booleans()):
        holder[key] = draw(VALUES)
    else:
        del holder[key]
    return start + mark + json.dumps(changed).encode() + b"\n\n"


@st.composite
def contents(draw: Draw, good: list[bytes]) -> bytes:
    """Return a valid answer with up to four errors, or random bytes."""
    if draw(st.integers(0, 9)) == 9:
        raw: bytes = draw(
            st.binary(max_size=60) | st.lists(st.sampled_from(ODD_FRAMES)).map(b"".join)
        )
        return raw
    frames = _frames(draw(st.sampled_from(good)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(frames) - 1)) if frames else 0
        match draw(st.sampled_from(["value", "value", "drop", "repeat", "odd", "move", "noise"])):
            case "value" if frames:
                frames[at] = draw(_with_another_value(frames[at]))
            case "drop":
                del frames[at : at + draw(st.integers(1, 3))]
            case "repeat":
                frames[at:at] = frames[at : at + 2]
            case "odd":
                frames.insert(at, draw(st.sampled_from(ODD_FRAMES)))
            case "move" if frames:
                frames.insert(draw(st.integers(0, len(frames))), frames.pop(at))
            case "noise" if frames:
                data = bytearray(frames[at])
                data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
                frames[at] = bytes(data)
    whole = b"".join(frames)
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.integers(0, 3)) == 3 else whole


@st.composite
def answers(draw: Draw, good: list[bytes]) -> bytes:
    """Return a 200 response with contents from `contents`, in any framing, and possibly cut off."""
    body = draw(contents(good))
    head = draw(st.sampled_from([HEADS[0]] * 6 + HEADS))
    if head.endswith(b"gzip") and draw(st.booleans()):
        body = gzip.compress(body, 1)
    match draw(st.sampled_from(["close", "chunked", "chunked", "cut", "short", "lying"])):
        case "chunked":
            size = draw(st.sampled_from([1, 7, 100, 5000])) if len(body) < 5000 else 5000
            parts = [body[i : i + size] for i in range(0, len(body), size)]
            framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            head, body = head + b"\r\ntransfer-encoding: chunked", framed + b"0\r\n\r\n"
        case "cut":
            head += b"\r\ntransfer-encoding: chunked"
            body = b"%x\r\n%b" % (len(body) + 1, body)
        case "short":
            head += b"\r\ncontent-length: %d" % (len(body) + 9)
        case "lying":
            head += b"\r\ncontent-length: %d" % (len(body) // 2)
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\n%b\r\n\r\n%b" % (head, body)
