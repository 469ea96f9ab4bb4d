"""The Responses API over a WebSocket."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import openai
import pytest
from openai.types.responses import ResponsesServerEvent
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from copilot_proxy.middleware.access import AccessMiddleware
from copilot_proxy.server import uvicorn_config
from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.test_sdk_openai_responses import PATHS

NATIVE, TRANSLATED = "gpt-5.5", "claude-sonnet-4.5"
Json = dict[str, Any]
PING = b"\x89\xfd\0\0\0\0" + b"x" * 125
EMPTY_OBJECT = b"\x81\x82\0\0\0\0{}"
HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nhost: localhost\r\n"
    b"upgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ENDS = ("error", "response.completed", "response.failed", "response.incomplete")


class Socket:
    """A client's WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **fields: Any) -> None:
        """Request a response."""
        self.connection.send(json.dumps({"type": "response.create", **fields}))

    def receive(self) -> Json:
        """Return the next event."""
        event: Json = json.loads(self.connection.recv(timeout=60))
        return event

    def events(self) -> list[Json]:
        """Return the events up to the end of a response."""
        received = [self.receive()]
        while received[-1]["type"] not in ENDS:
            received.append(self.receive())
        return received

    def ask(self, **fields: Any) -> list[Json]:
        """Request a response, and return its events."""
        self.send(**fields)
        return self.events()

    def refused(self, **fields: Any) -> tuple[int, str]:
        """Request a response; return the status and code of the error."""
        (event,) = self.ask(**fields)
        assert "error" == event["type"]
        return event["status"], event["error"]["code"]


@contextlib.contextmanager
def opened(
    proxy: Proxy, path: str = "/v1/responses", host: str | None = None, **headers: str
) -> Iterator[Socket]:
    """A WebSocket, which is closed after the block."""
    address = urlsplit(proxy.url)
    raw = socket.create_connection((address.hostname or "", address.port or 0), 60)
    url = f"ws://{host or address.netloc}{path}"
    options: Any = {"max_size": None, "open_timeout": None, "close_timeout": 0.2}
    with connect(url, sock=raw, additional_headers=headers, **options) as connection:
        yield Socket(connection)


@pytest.fixture
def web_socket(proxy: Proxy) -> Iterator[Socket]:
    with opened(proxy) as one:
        yield one


def refusal(proxy: Proxy, path: str = "/v1/responses", **headers: str) -> tuple[int, str]:
    """Return the status and code of a refused handshake."""
    with pytest.raises(InvalidStatus) as refused, opened(proxy, path, **headers):
        pass
    answer = refused.value.response
    assert "application/json" == answer.headers["content-type"]
    assert answer.headers["x-request-id"]
    return answer.status_code, json.loads(answer.body or b"")["error"]["code"]


def text_of(events: list[Json]) -> str:
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def sent(simulator: Simulator) -> Json:
    """Return the body of the last call to Copilot."""
    body: Json = simulator.state.requests[-1].body
    return body


@pytest.mark.parametrize("model", PATHS)
def test_events(web_socket: Socket, proxy: Proxy, model: str) -> None:
    """The events are the same as in a stream over HTTP; the first event also has the headers."""
    asked = {"model": model, "input": "Say hello"}
    events = web_socket.ask(**asked)
    with proxy.client() as client:
        stream = client.post("/v1/responses", json={**asked, "stream": True})

    lines = [json.loads(x[6:]) for x in stream.text.splitlines() if x.startswith("data: ")]
    assert [line["type"] for line in lines] == [event["type"] for event in events]
    assert text_of(lines) == text_of(events)
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert (
        stream.headers["x-copilot-proxy-route"] == (events[0]["headers"]["x-copilot-proxy-route"])
    )
    assert not any("headers" in event or "stream_id" in event for event in events[1:])


def test_record(proxy: Proxy) -> None:
    """Each message has its own record, with the client, the session and the project."""
    path = "/c/codex/p/moon/v1/responses/"
    with opened(proxy, path, **{"session-id": "s-1", "user-agent": "codex_exec/0.1"}) as one:
        first = one.ask(model=NATIVE, input="Hello")
        call = {"call_id": "c1", "name": "f", "arguments": "{}"}
        one.ask(
            model=NATIVE,
            input=[
                {"type": "message", "role": "user", "content": "Hello"},
                {"type": "function_call", **call},
                {"type": "function_call_output", "call_id": "c1", "output": "x"},
            ],
        )
        records = [proxy.wait_for_record(number) for number in (1, 2)]

    assert ["user", "agent"] == [record.initiator for record in records]
    assert [("codex", "s-1", "moon")] * 2 == [
        (record.attribution.client, record.attribution.session, record.attribution.project)
        for record in records
    ]
    assert first[0]["headers"]["x-request-id"] == records[0].request_id
    assert records[0].request_id != records[1].request_id


def test_continuation(web_socket: Socket, proxy: Proxy, simulator: Simulator) -> None:
    """A response with `store: false` can only be continued on its own WebSocket."""
    first = web_socket.ask(model=TRANSLATED, input="I am Ada", store=False)[-1]["response"]
    again = {"model": TRANSLATED, "input": "Who?", "previous_response_id": first["id"]}
    second = web_socket.ask(**again, store=False)[-1]["response"]
    conversation = [m["content"] for m in sent(simulator)["messages"]]

    assert not first["store"]
    assert first["id"] == second["previous_response_id"]
    assert (3, "I am Ada", "Who?") == (len(conversation), conversation[0], conversation[-1])
    with opened(proxy) as other:
        assert (400, "previous_response_not_found") == other.refused(**again)
    with proxy.client() as client:
        assert 400 == client.post("/v1/responses", json=again).status_code
        assert 404 == client.get(f"/v1/responses/{first['id']}").status_code


def test_stored_responses(web_socket: Socket, proxy: Proxy) -> None:
    """Other responses can also be used over HTTP, even after the WebSocket is closed."""
    first = web_socket.ask(model=NATIVE, input="Hello")[-1]["response"]
    web_socket.connection.close()

    with proxy.client() as client:
        shown = client.get(f"/v1/responses/{first['id']}").json()
    assert first["output"] == shown["output"]


def test_a_closed_web_socket_is_forgotten(proxy: Proxy) -> None:
    """Responses that only one WebSocket could continue are freed when it closes."""
    memory = proxy.running.responses._web_sockets
    with opened(proxy) as one:
        one.ask(model=NATIVE, input="Hello", store=False)
        assert 1 == memory.count
    with opened(proxy):  # accepted after the first WebSocket has ended
        assert (0, 0) == (memory.count, memory.size)


def test_warm_up(web_socket: Socket, proxy: Proxy, simulator: Simulator) -> None:
    """A warm-up costs nothing, has no output, and can be continued."""
    instructions = {"type": "message", "role": "developer", "content": "Be brief"}
    warm = web_socket.ask(model=TRANSLATED, input=[instructions], generate=False, store=False)
    assert [] == [r for r in simulator.state.requests if r.path.endswith("completions")]
    response = warm[-1]["response"]
    assert ("completed", [], 0) == (
        response["status"],
        response["output"],
        response["usage"]["total_tokens"],
    )

    empty = web_socket.ask(model=TRANSLATED, input=[], generate=False)[-1]["response"]
    for previous in (response, empty):
        web_socket.ask(model=TRANSLATED, input="Hi", previous_response_id=previous["id"])
        roles = [message["role"] for message in sent(simulator)["messages"]]
        assert (["system"] if previous is response else []) + ["user"] == roles
    assert (404, "model_not_found") == web_socket.refused(model="no", generate=False, input=[])
    proxy.wait_for_record(2)
    assert 2 == len(proxy.records)


def test_notes(web_socket: Socket) -> None:
    """The first event lists the changes to the request."""
    (first, *_) = web_socket.ask(model=NATIVE, input="Hi", seven=7)

    assert "seven" in first["headers"]["x-copilot-proxy-notes"]


@pytest.mark.parametrize(
    ("message", "param", "code"),
    [
        ("not JSON", None, None),
        ("[]", None, None),
        ('{"model": "gpt-5.5", "input": "x"}', "type", "missing_required_parameter"),
        ('{"type": "session.update"}', "type", "invalid_value"),
        ('{"type": 7}', "type", "invalid_value"),
        ('{"type": "response.create", "stream_id": "a b"}', "stream_id", "invalid_value"),
        ('{"type": "response.create", "stream_id": 1}', "stream_id", "invalid_value"),
        ('{"type": "response.create", "input": "x"}', "model", "missing_required_parameter"),
        (
            '{"type": "response.create", "model": "x", "input": "x", "background": true}',
            "background",
            "unsupported_value",
        ),
        ('{"type": "response.create", "stream_id": "a"}' + "[" * 100_000, None, None),
        ('{"type": "response.create", "generate": 1e999}', "generate", "invalid_value"),
        ('{"type": "response.create", "generate": 0}', "generate", "invalid_value"),
        (b'{"type": "\xff"}', "type", "invalid_value"),
        (b'{"type": "response.create", "stream_id": "\xff"}', "stream_id", "invalid_value"),
        (b'{"type": "response.create", "model": "x", "input": "\xff"}', None, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_messages(
    web_socket: Socket, message: str | bytes, param: str | None, code: str | None
) -> None:
    """The error says what is wrong with a message, and the WebSocket stays open."""
    web_socket.connection.send(message)
    (event,) = web_socket.events()

    error = event["error"]
    assert ("error", 400, param) == (event["type"], event["status"], error["param"])
    assert "invalid_request_error" == error["type"]
    assert code in (error["code"], None)
    assert error["hint"]
    assert "Hello" in text_of(web_socket.ask(model=NATIVE, input="Hello"))


def test_other_messages(web_socket: Socket) -> None:
    """Input for a running response is refused; messages that need no answer get no answer."""
    connection = web_socket.connection
    connection.send(json.dumps({"type": "response.processed", "response_id": "resp_1"}))
    steer = {"input": "Stop", "previous_response_id": "resp_1"}
    connection.send(json.dumps({"type": "response.steer", **steer}))

    answer = web_socket.receive()
    assert ("response.steer.failed", "steering_not_supported", steer) == (
        answer["type"],
        answer["error"]["code"],
        answer["steer"],
    )


def test_input_that_cannot_be_repeated(web_socket: Socket) -> None:
    """A refusal repeats neither a long input nor anything that is not text."""
    connection = web_socket.connection
    connection.send(json.dumps({"type": "response.steer", "input": "x" * 200_000}))
    too_long = web_socket.receive()
    connection.send(b'{"type": "response.steer", "input": "\xff"}')
    broken = web_socket.receive()

    assert ("error", 413) == (too_long["type"], too_long["status"])
    assert "steering_not_supported" == too_long["error"]["code"] == broken["error"]["code"]
    assert broken["steer"]["input"] is None


def test_refusals_of_copilot(web_socket: Socket, simulator: Simulator) -> None:
    """A refusal's status, code and Retry-After reach the client, as over HTTP."""
    simulator.state.faults.on("rate_limited", times=1)
    (event,) = web_socket.ask(model=NATIVE, input="Hello", stream_id="lane.1")

    assert ("error", 429, "lane.1") == (event["type"], event["status"], event["stream_id"])
    assert int(event["headers"]["retry-after"]) > 0
    assert event["headers"] == event["error"]["headers"]


def test_a_failure_in_the_stream(web_socket: Socket, simulator: Simulator) -> None:
    """A stream that breaks ends with a failed response, and the next message is answered."""
    simulator.state.faults.on("cut_mid_stream", times=1)
    failed = web_socket.ask(model=NATIVE, input="Write 100 words")

    assert "response.failed" == failed[-1]["type"]
    assert "Hello" in text_of(web_socket.ask(model=NATIVE, input="Hello"))


def test_lanes(web_socket: Socket, simulator: Simulator) -> None:
    """Messages with the same `stream_id` run one at a time; other messages run in parallel."""
    simulator.state.faults.on("stall_mid_stream", times=1)
    web_socket.send(model=NATIVE, input="Wait", stream_id="a")
    simulator.state.recorder.wait_for(lambda r: r.path == "/responses")
    web_socket.send(model=NATIVE, input="Second of a", stream_id="a")
    events = [*web_socket.ask(model=NATIVE, input="Hello", stream_id="b")]

    of_b = [event for event in events if event["stream_id"] == "b"]
    assert "Hello" in text_of(of_b)
    assert {"a", "b"} >= {event["stream_id"] for event in events}
    assert 2 == len([r for r in simulator.state.requests if r.path == "/responses"])


def test_too_many_messages(web_socket: Socket, simulator: Simulator) -> None:
    """The number of waiting messages on a WebSocket is limited."""
    simulator.state.faults.on("stall_mid_stream")
    for _ in range(16):
        web_socket.send(model=NATIVE, input="Wait")
    web_socket.send(model=NATIVE, input="Hello", stream_id="b")
    events = web_socket.events()

    assert "websocket_stream_limit_reached" == events[-1]["error"]["code"]
    assert "b" == events[-1]["stream_id"]


def test_too_large_messages(simulator: Simulator) -> None:
    """The total size of waiting messages is limited."""
    simulator.state.faults.on("stall_mid_stream")
    with Proxy(settings_at(simulator, max_body_bytes=20_000)) as proxy, opened(proxy) as one:
        one.send(model=NATIVE, input="x" * 11_000, stream_id="a")
        one.send(model=NATIVE, input="x" * 11_000, stream_id="b")
        refused = next(event for event in iter(one.receive, None) if event["stream_id"] == "b")
        assert "websocket_stream_limit_reached" == refused["error"]["code"]
        assert "already has an unanswered request:" in refused["error"]["message"]


def test_an_internal_error(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error during a message is reported to the client."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("broken")

    with opened(proxy) as one:
        monkeypatch.setattr(AccessMiddleware, "_refusal", fail)
        assert (500, "internal_error") == one.refused(model=NATIVE, input="Hello")
        monkeypatch.undo()
        assert text_of(one.ask(model=NATIVE, input="Hello"))


def test_a_disconnect_ends_the_call(proxy: Proxy, simulator: Simulator) -> None:
    """When the client disconnects, its calls to Copilot end, and waiting messages are dropped."""
    simulator.state.faults.on("stall_mid_stream")
    with opened(proxy) as one:
        one.send(model=NATIVE, input="Hello")
        one.send(model=NATIVE, input="Never asked")
        one.receive()
    asked = simulator.state.recorder.wait_for(lambda r: r.path == "/responses" and r.done.is_set())
    assert "client_gone" == asked.finished
    assert proxy.wait_for_record().client_gone
    assert 1 == len([r for r in simulator.state.requests if r.path == "/responses"])


def test_an_aborted_connection_ends_the_call(proxy: Proxy, simulator: Simulator) -> None:
    """Even without a closing handshake, the call ends."""
    simulator.state.faults.on("stall_mid_stream")
    with opened(proxy) as one:
        one.send(model=NATIVE, input="Hello")
        one.receive()
        one.connection.socket.shutdown(socket.SHUT_RDWR)
        simulator.state.recorder.wait_for(lambda r: r.finished == "client_gone")


def test_handshake_is_checked(simulator: Simulator) -> None:
    """Host, Origin, site and path are checked before the WebSocket opens."""
    origin = "http://localhost:3000"
    with Proxy(settings_at(simulator, cors_origins=(origin,))) as proxy:
        port = urlsplit(proxy.url).port
        for header, value, code in (
            ("host", "evil.example", "host_not_allowed"),
            ("origin", "https://evil.example", "origin_not_allowed"),
            ("origin", "null", "origin_not_allowed"),
            ("sec-fetch-site", "cross-site", "origin_not_allowed"),
        ):
            assert (403, code) == refusal(proxy, **{header: value})
        for path in ("/nowhere", "/v1/responses/x/y/z"):
            assert (404, "unknown_url") == refusal(proxy, path)
        for path in ("/v1/chat/completions", "/v1/responses/x", "/v1/models", "/health", "/"):
            assert (405, "method_not_supported") == refusal(proxy, path)
        for allowed in (origin, f"http://127.0.0.1:{port}"):
            with opened(proxy, "/responses", origin=allowed) as one:
                assert text_of(one.ask(model=NATIVE, input="Hello"))
    assert 2 == len([r for r in simulator.state.requests if r.path == "/responses"])


def test_keys(simulator: Simulator) -> None:
    """A key is required, and its limits apply to every message."""
    keys = {"ci": {"key": "ci-key-0123456789", "models": [NATIVE]}}
    with Proxy(settings_at(simulator, api_keys=keys)) as proxy:
        assert (401, "invalid_api_key") == refusal(proxy)
        assert (401, "invalid_api_key") == refusal(proxy, authorization="Bearer wrong")
        with opened(proxy, authorization="Bearer ci-key-0123456789") as one:
            assert text_of(one.ask(model=NATIVE, input="Hello"))
            status, _ = one.refused(model=TRANSLATED, input="Hello")
            assert 403 == status
        assert "ci" == proxy.wait_for_record().key


def test_size(simulator: Simulator) -> None:
    """Messages have the size limit of bodies; a much larger message closes the connection."""
    with Proxy(settings_at(simulator, max_body_bytes=10_000)) as proxy, opened(proxy) as one:
        status, _ = one.refused(model=NATIVE, input="x" * 12_000)
        assert 413 == status
        assert text_of(one.ask(model=NATIVE, input="Hello"))
        one.send(model=NATIVE, input="x" * 30_000)
        with pytest.raises(ConnectionClosed) as closed:
            one.receive()
        assert closed.value.rcvd is not None
        assert 1009 == closed.value.rcvd.code


def test_an_answer_after_the_end(
    proxy: Proxy, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """If the server closes the connection, as after an oversized message, answers end as well."""
    simulator.state.pace = 0.002
    with opened(proxy) as one:
        one.send(model=NATIVE, input="Write 5000 words")
        one.receive()
        (server,) = cast("set[Any]", proxy._server.server_state.connections)
        server.close_sent = True
        assert proxy.wait_for_record().client_gone
    assert [] == [record for record in caplog.records if record.exc_info]


def test_budget_and_cooldown(simulator: Simulator, tmp_path: Path) -> None:
    """As with HTTP, a message beyond the budget is refused, and so is any during a cooldown."""
    budget = ("0.001/day",)
    settings = settings_at(simulator, ledger=True, home_dir=tmp_path, budget=budget)
    with Proxy(settings) as proxy, opened(proxy) as one:
        assert (400, "budget_exceeded") == one.refused(model=NATIVE, input="Hello")
    assert [] == [r for r in simulator.state.requests if r.path == "/responses"]

    simulator.state.faults.on("user_global_rate_limited", times=1)
    with Proxy(settings_at(simulator)) as proxy, opened(proxy) as one:
        for _ in range(2):
            status, _ = one.refused(model=NATIVE, input="Hello")
            assert 429 == status
    assert 1 == len([r for r in simulator.state.requests if r.path == "/responses"])


def test_concurrency(simulator: Simulator) -> None:
    """Messages use concurrency slots as requests do, so a message over the limit is refused."""
    limits = {"max_concurrency": 1, "max_queue": 0}
    simulator.state.faults.on("stall_mid_stream", times=1)
    with Proxy(settings_at(simulator, **limits)) as proxy, opened(proxy) as one:
        one.send(model=NATIVE, input="Wait", stream_id="a")
        assert "response.created" == one.receive()["type"]
        one.send(model=NATIVE, input="Hello", stream_id="b")
        refused = next(event for event in iter(one.receive, None) if event["stream_id"] == "b")
        assert (503, "server_busy") == (refused["status"], refused["error"]["code"])


def test_pings_without_end(proxy: Proxy) -> None:
    """A client that only sends pings and never reads does not fill memory with pongs."""
    address = urlsplit(proxy.url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(60)
        raw.connect((address.hostname or "", address.port or 0))
        raw.sendall(HANDSHAKE)
        assert b" 101 " in raw.recv(100)
        (server,) = cast("set[Any]", proxy._server.server_state.connections)
        message, handle_text = threading.Event(), server.handle_text

        def handle(event: object) -> None:
            message.set()
            handle_text(event)

        server.handle_text = handle

        raw.sendall(PING * 20_000 + EMPTY_OBJECT)
        assert message.wait(60)
        assert server.transport.get_write_buffer_size() < 600_000


def test_a_client_that_answers_no_ping(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a client vanishes without closing the connection, a missing pong reveals it."""
    monkeypatch.setattr(uvicorn_config, "_PING_INTERVAL", 0.3)
    simulator.state.faults.on("stall_mid_stream")
    with Proxy(settings_at(simulator)) as proxy, opened(proxy) as one:
        one.send(model=NATIVE, input="Hello")
        simulator.state.recorder.wait_for(lambda r: r.path == "/responses")
        one.connection.protocol.receive_data = lambda data: None  # type: ignore[method-assign]
        simulator.state.recorder.wait_for(lambda r: r.finished == "client_gone")


def test_a_client_that_does_not_read(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read does not keep the call open."""
    monkeypatch.setattr(uvicorn_config, "_PING_INTERVAL", 0.3)
    with Proxy(settings_at(simulator)) as proxy, opened(proxy) as one:
        one.send(model=NATIVE, input="Write 60000 words")
        simulator.state.recorder.wait_for(lambda r: r.finished == "client_gone")
        assert proxy.wait_for_record().client_gone


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/responses HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade",
        "GET /v1/responses HTTP/1.1\r\nupgrade: websocket",
        "GET /v1/responses HTTP/1.1\r\nupgrade: h2c\r\nconnection: upgrade",
        "GET /v1/responses HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade",
        "GET /v1/responses HTTP/1.0\r\nupgrade: websocket\r\nconnection: upgrade",
        "GET /v1/responses HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx: "
        + "y"
        * 20_000,
    ],
    ids=lambda head: repr(head[:90]),
)
def test_broken_handshakes(proxy: Proxy, head: str, caplog: pytest.LogCaptureFixture) -> None:
    """A request that is not a handshake gets a 4xx, and causes no error in the server."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(f"{head}\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n".encode())
        conn.settimeout(60)
        assert conn.recv(65536).split()[1].startswith(b"4")
    assert [] == [one for one in caplog.records if one.exc_info]


def test_plain_get(proxy: Proxy) -> None:
    """A GET request without an upgrade is not allowed."""
    with proxy.client() as client:
        plain = client.get("/v1/responses")
    assert (405, "POST, OPTIONS") == (plain.status_code, plain.headers["allow"])


@pytest.mark.filterwarnings("ignore:connect.. must be used")  # raised by websockets, about the SDK
def test_sdk(proxy: Proxy) -> None:
    """OpenAI's SDK accepts every message."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with (
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="x", http_client=http) as client,
        client.responses.connect() as connection,
    ):
        connection.response.create(model=TRANSLATED, input="Say hello")
        received: list[ResponsesServerEvent] = []
        for event in connection:
            received.append(event)
            if event.type == "response.completed":
                break
        assert event.type == "response.completed"
        assert "Say hello" in event.response.output_text
        connection.response.create(model="no-such-model", input="x")
        error = next(iter(connection))
        assert "error" == error.type
        assert (404, "model_not_found") == (error.status, error.error.code)
