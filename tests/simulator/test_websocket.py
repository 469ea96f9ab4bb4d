"""The WebSocket of the Responses API."""

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from copilot_proxy.simulator.websocket import FrameError, Frames
from tests.simulator.conftest import WEATHER

TODAY = pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MODEL = "gpt-6.1-sol"
TOOL = {"type": "function", "name": "get_weather", "parameters": WEATHER}


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """Return a frame as a client sends it."""
    size, mask = len(payload), os.urandom(4)
    head = bytes([final << 7 | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", 0x80 | 126, size)
    else:
        head += struct.pack("!BQ", 0x80 | 127, size)
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


class Client:
    """A WebSocket client; `status` is the status of the response to the upgrade request."""

    def __init__(self, copilot: Any, path: str = "/responses", **headers: str | None) -> None:
        url = copilot.http.base_url
        self.socket = socket.create_connection((url.host, url.port), timeout=60)
        self.file = self.socket.makefile("rb")
        upgrade = {
            "host": url.host, "upgrade": "websocket", "connection": "Upgrade",
            "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        asked = {**upgrade, **copilot.merged(headers)}
        lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in asked.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value

    def send(self, message: Any) -> None:
        self.socket.sendall(masked(TEXT, json.dumps(message).encode()))

    def frame(self) -> tuple[int, bytes]:
        """Return the next frame: (opcode, payload); (CLOSE, b"") at the end of the connection."""
        head = self.file.read(2)
        if not head:
            return CLOSE, b""
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self.file.read(2 if size == 126 else 8))
        return head[0] & 0x0F, self.file.read(size)

    def ask(self, text: Any, **fields: Any) -> list[Any]:
        """Send a request and return its events."""
        body = {"model": MODEL, "input": text, **fields}
        self.send({"type": "response.create", "initiator": "user", **body})
        return list(self.events())

    def events(self) -> Iterator[Any]:
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return
            event = json.loads(payload)
            yield event
            if event["type"] in ("response.completed", "response.incomplete", "error"):
                return


@contextmanager
def connected(copilot: Any, **headers: Any) -> Iterator[Client]:
    client = Client(copilot, **headers)
    try:
        assert 101 == client.status
        yield client
    finally:
        client.file.close()
        client.socket.close()


@TODAY
def test_the_upgrade_is_accepted(copilot):
    """The handshake matches the example in RFC 6455."""
    with connected(copilot) as client:
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" == client.headers["sec-websocket-accept"]


@TODAY
def test_events_are_those_of_a_stream(copilot):
    """The messages are the events of a stream over HTTP; the last one also has the quota."""
    streamed = [
        e.data["type"] for e in copilot.events(copilot.responses("Hi", MODEL, stream=True).text)
    ]
    with connected(copilot) as client:
        events = client.ask("Hi")
        assert streamed == [event["type"] for event in events]
        assert "You said: Hi" in str(events[-1]["response"]["output"])
        quota = events[-1]["copilot_quota_snapshots"]["premium_interactions"]
        assert "1500" == quota["entitlement"]


@TODAY
def test_the_initiator_is_in_the_message(simulator, copilot):
    """Each message is recorded as a request, with the initiator that the message names."""
    with connected(copilot) as client:
        client.ask("Hi", initiator="agent")
        found = simulator.state.recorder.wait_for(lambda r: r.method == "WEBSOCKET" and r.finished)
    assert ("/responses", "agent", "complete") == (found.path, found.initiator, found.finished)


@TODAY
def test_the_cli_adds_its_headers_to_a_message(copilot):
    """The CLI's headers in a message are not part of the request; unknown keys are refused."""
    with connected(copilot) as client:
        headers = {"X-Interaction-Type": "conversation-user"}
        more = {"agent_task_id": "1", "parent_agent_id": "2", "headers": headers}
        assert "response.completed" == client.ask("Hi", **more)[-1]["type"]
        assert "unknown_parameter" == client.ask("Hi", cookies={})[-1]["error"]["code"]


@TODAY
def test_a_conversation_continues(copilot):
    """The connection remembers its last response, so only new input is sent."""
    with connected(copilot) as client:
        first = client.ask("Call get_weather for Rome", tools=[TOOL])[-1]["response"]
        call = first["output"][-1]
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny"}
        second = client.ask([result], tools=[TOOL], previous_response_id=first["id"])
        assert "get_weather answered: Sunny" in str(second[-1]["response"]["output"])
    with connected(copilot) as other:
        refused = other.ask([result], tools=[TOOL], previous_response_id=first["id"])
        assert "previous_response_not_found" == refused[-1]["error"]["code"]


@TODAY
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "nothing"}, "model_not_supported"),
        ({"model": "grok-4.7"}, "unsupported_api_for_model"),
        ({"store": True}, "unsupported_value"),
        ({"type": "response.cancel"}, "invalid_request_body"),
    ],
)
def test_errors_are_nested(copilot, fields, code):
    """An error is sent as a message, and the connection stays open."""
    with connected(copilot) as client:
        (error,) = client.ask("Hi", **fields)
        assert ("error", code) == (error["type"], error["error"]["code"])
        assert "copilot_quota_snapshots" in error
        assert "response.completed" == client.ask("Hi")[-1]["type"]


@TODAY
@pytest.mark.parametrize(("value", "status"), [(None, 404), (405, 405), (426, 426)])
def test_the_upgrade_can_be_refused(simulator, copilot, value, status):
    """A fault refuses the upgrade with the given status, and POST requests are still served."""
    simulator.state.faults.on("no_websocket", value=value)
    client = Client(copilot)
    assert status == client.status
    client.socket.close()
    assert 200 == copilot.responses("Hi", MODEL).status_code


@TODAY
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer tid=1"}, 401),
        ({"editor_version": None}, 400),
        ({"copilot_integration_id": "mine"}, 403),
        ({"path": "/models"}, 404),
    ],
)
def test_the_gateway_checks_the_handshake(copilot, headers, status):
    """The token, editor and integration are checked, and only /responses has a WebSocket."""
    client = Client(copilot, **headers)
    assert status == client.status
    client.socket.close()


@TODAY
@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ("cut_mid_stream", "response.in_progress"),
        ("error_chunk", "error"),
        ("rate_limited", "error"),
    ],
)
def test_faults_apply(simulator, copilot, fault, last):
    """Stream faults and refusals are the same as over HTTP."""
    simulator.state.faults.on(fault)
    simulator.state.middle = 2
    with connected(copilot) as client:
        assert last == client.ask("Hi")[-1]["type"]


@TODAY
def test_control_frames(copilot):
    """Pings and close frames are answered; a frame without a mask closes the connection."""
    with connected(copilot) as client:
        client.socket.sendall(masked(PING, b"x"))
        assert (PONG, b"x") == client.frame()
        client.socket.sendall(masked(CLOSE, b""))
        assert (CLOSE, struct.pack("!H", 1000)) == client.frame()
    with connected(copilot) as client:
        client.socket.sendall(b"\x81\x01x")
        assert (CLOSE, struct.pack("!H", 1002)) == client.frame()


def test_frames_are_assembled():
    """Messages split across frames and reads are joined; control frames may come between."""
    data = masked(TEXT, b"Hel", final=False) + masked(PING, b"!") + masked(0, b"lo" * 40000)
    frames = Frames()
    found = [one for n in range(0, len(data), 999) for one in frames.feed(data[n : n + 999])]
    assert [(PING, b"!"), (TEXT, b"Hel" + b"lo" * 40000)] == found


def test_long_messages_are_refused():
    """A message over 16 MiB is refused as soon as its size is known."""
    with pytest.raises(FrameError) as raised:
        list(Frames().feed(b"\x81\xff" + struct.pack("!Q", 1 << 25)))
    assert 1009 == raised.value.code


@TODAY
def test_a_plain_request_has_no_answer_here(copilot):
    """A GET without an upgrade uses the wrong method."""
    assert 405 == copilot.get("/responses").status_code
