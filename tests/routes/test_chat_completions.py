"""Chat completions over HTTP: requests to Copilot, responses, and streams."""

import json
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.recorder import RecordedRequest
from tests.conftest import Proxy, settings_at
from tests.selection import crossed

PATH = "/v1/chat/completions"


def chat(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def calls(simulator: Simulator) -> list[RecordedRequest]:
    """Return the chat requests that reached Copilot."""
    return [r for r in simulator.state.requests if r.path == "/chat/completions"]


def events(answer: httpx.Response) -> list[Any]:
    """Return the events of a stream, with the end mark and comments as text."""
    blocks = [block for block in answer.text.split("\n\n") if block]
    return [
        json.loads(block[6:]) if block.startswith("data: {") else block.removeprefix("data: ")
        for block in blocks
    ]


def test_headers_of_a_stream(proxy: Proxy) -> None:
    """A stream has the right headers, is neither cached nor buffered, and ends with [DONE]."""
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(stream=True))

    assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
    assert "no-cache" == answer.headers["cache-control"]
    assert "no" == answer.headers["x-accel-buffering"]
    assert "chat_completions" == answer.headers["x-copilot-proxy-route"]
    assert "rem=" in answer.headers["x-quota-snapshot-premium_interactions"]
    assert answer.text.endswith("data: [DONE]\n\n")


def test_notes_name_what_was_changed(proxy: Proxy, simulator: Simulator) -> None:
    """A response header lists the parameters that were dropped or renamed."""
    with proxy.client() as client:
        answer = client.post(
            PATH, json=chat(model="gpt-5-mini", max_tokens=50, service_tier="flex", store=True)
        )

    notes = answer.headers["x-copilot-proxy-notes"]
    assert 200 == answer.status_code
    assert all(name in notes for name in ("max_tokens", "service_tier", "store"))
    body = calls(simulator)[0].body
    assert 50 == body["max_completion_tokens"]
    assert not {"max_tokens", "service_tier", "store"} & set(body)


def test_other_fields_pass(proxy: Proxy, simulator: Simulator) -> None:
    """Fields that Copilot accepts are passed on unchanged, even unknown fields."""
    extra: Json = {
        "temperature": 0.3,
        "seed": 7,
        "stop": ["END"],
        "user": "me",
        "some_new_field": [1],
    }
    with proxy.client() as client:
        client.post(PATH, json=chat(**extra))

    body = calls(simulator)[0].body
    assert extra == {name: body[name] for name in extra}


@pytest.mark.parametrize(
    ("messages", "initiator"),
    [
        ([{"role": "user", "content": "x"}], "user"),
        (
            [
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "y"},
                {"role": "user", "content": "z"},
            ],
            "user",
        ),
        (
            [
                {"role": "user", "content": "x"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "1"},
            ],
            "agent",
        ),
    ],
)
def test_initiator(
    proxy: Proxy, simulator: Simulator, messages: list[dict[str, Any]], initiator: str
) -> None:
    """X-Initiator says who started the request, which depends on the last message."""
    with proxy.client() as client:
        assert 200 == client.post(PATH, json={"model": "gpt-4o", "messages": messages}).status_code

    assert initiator == calls(simulator)[0].initiator


def test_identity(proxy: Proxy, simulator: Simulator) -> None:
    """Copilot receives this program's name, and the editor version that Copilot requires."""
    with proxy.client() as client:
        client.post(PATH, json=chat())

    headers = calls(simulator)[0].headers
    assert headers["user-agent"].startswith("g-copilot-proxy/")
    assert headers["editor-version"].startswith("vscode/")
    assert "vscode-chat" == headers["copilot-integration-id"]
    assert headers["authorization"].startswith("Bearer tid=")


def test_client_headers_are_not_passed_on(proxy: Proxy, simulator: Simulator) -> None:
    """A client's headers, especially its key, are not sent to Copilot."""
    with proxy.client() as client:
        client.post(
            PATH,
            json=chat(),
            headers={"authorization": "Bearer my-own-key", "x-initiator": "agent", "x-foo": "1"},
        )

    headers = calls(simulator)[0].headers
    assert "my-own-key" not in str(headers)
    assert "x-foo" not in headers
    assert "user" == headers["x-initiator"]


def test_embeddings_model_is_not_a_chat_model(proxy: Proxy) -> None:
    """An embeddings model is refused, and the error names the parameter."""
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(model="text-embedding-3-small"))

    assert (400, "model") == (answer.status_code, answer.json()["error"]["param"])


def test_unknown_model(proxy: Proxy, simulator: Simulator) -> None:
    """A request for an unknown model receives a 404 that suggests similar names."""
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(model="claude-hiku-4.5"))

    error = answer.json()["error"]
    assert (404, "model_not_found") == (answer.status_code, error["code"])
    assert "claude-haiku-4.5" in error["hint"]
    assert [] == calls(simulator)


def test_needs_enabling(proxy: Proxy, simulator: Simulator) -> None:
    """The error links to the page for accepting the model's terms, and no list offers the model."""
    disabled = next(
        m["id"]
        for m in simulator.state.catalogue
        if m.get("policy", {}).get("state") == "disabled"
        and "/chat/completions" in m.get("supported_endpoints", ["/chat/completions"])
    )
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(model=disabled))
        shown = client.get(f"/v1/models/{disabled}").json()
        lists = [
            client.get("/v1/models", headers=headers).text
            for headers in ({}, {"anthropic-version": "2023-06-01"}, {"x-goog-api-key": "unused"})
        ]

    assert 404 == answer.status_code
    assert "github.com/settings/copilot" in answer.json()["error"]["hint"]
    assert "needs_enabling" == shown["state"]
    assert "github.com/settings/copilot" in shown["enable_url"]
    assert all(disabled not in listed and "claude-sonnet-4.5" in listed for listed in lists)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("alias", "resolved"),
    [
        ("default", "claude-sonnet-9.1"),
        ("haiku", "claude-haiku-9"),
        ("gpt-4", "gpt-4"),
        ("gpt-3.5-turbo-16k", "gpt-9-luna"),
        ("claude-haiku-9-20290929", "claude-haiku-9"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-9.1"),
    ],
)
def test_aliases(
    proxy: Proxy, simulator: Simulator, alias: str, resolved: str, stream: bool
) -> None:
    """Common model names map to one of the account's models; the answer repeats the name."""
    ids = ["gpt-4", "gpt-9-luna", "claude-haiku-9", "claude-sonnet-9", "claude-sonnet-9.1"]
    simulator.state.catalogue = [
        {"id": one, "model_picker_category": "lightweight" if "luna" in one else "versatile"}
        for one in ids
    ]
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(model=alias, stream=stream))

    assert 200 == answer.status_code
    assert resolved == calls(simulator)[0].body["model"]
    first = events(answer)[0] if stream else answer.json()
    assert alias == first["model"]


def test_catalogue_down(proxy: Proxy, simulator: Simulator) -> None:
    """Without the model list, requests are sent to Copilot unchanged."""
    simulator.state.faults.on("models_500")
    with proxy.client() as client:
        answer = client.post(PATH, json=chat())
        models = client.get("/v1/models")

    assert 200 == answer.status_code
    assert models.status_code >= 500
    assert models.json()["error"]["message"]


def test_long_answers_of_claude(proxy: Proxy, simulator: Simulator) -> None:
    """An answer that Copilot must stream because of its length is returned in one piece."""
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(model="claude-sonnet-4.5", max_tokens=20_000))

    assert calls(simulator)[0].body["stream"] is True
    assert "You said: Hello" in answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["usage"]["completion_tokens"] > 0


def test_models_that_cannot_stream(proxy: Proxy, simulator: Simulator) -> None:
    """Clients can stream answers from models that do not support streaming."""
    model = simulator.state.model("gpt-4o")
    assert model is not None
    model["capabilities"]["supports"]["streaming"] = False
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(stream=True))

    assert calls(simulator)[0].body["stream"] is False
    frames = events(answer)
    assert "[DONE]" == frames[-1]
    assert "stop" == frames[-2]["choices"][0]["finish_reason"]


@crossed(
    model=["gpt-4o", "claude-sonnet-4.5", "gemini-2.5-pro"],
    fault=[
        "json_instead_of_sse",
        "native_claude_body",
        "one_byte_writes",
        "split_writes",
        "crlf",
        "gzip",
        "comments",
        "no_done",
        "cut_after_finish",
        "changing_ids",
        "references",
        "annotations",
        "cot_id",
        "other_model_name",
        "usage_nowhere",
    ],
)
def test_oddities_are_harmless(proxy: Proxy, simulator: Simulator, model: str, fault: str) -> None:
    """The client receives the complete answer, however oddly Copilot sends it."""
    text = "Grüße, 世界 🙂"
    simulator.state.faults.on(fault, path="/chat/completions")
    with proxy.client() as client:
        streamed = events(client.post(PATH, json=chat(text, model=model, stream=True)))
        whole = client.post(PATH, json=chat(text, model=model)).json()

    assert "[DONE]" == streamed[-1]
    assert "stop" == streamed[-2]["choices"][0]["finish_reason"]
    parts = [event["choices"][0]["delta"].get("content", "") for event in streamed[:-1]]
    assert "".join(parts) == whole["choices"][0]["message"]["content"]
    assert text in "".join(parts)
    assert {"chat.completion.chunk"} == {event["object"] for event in streamed[:-1]}
    assert 1 == len({event["id"] for event in streamed[:-1]})


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("empty_stream", "upstream_broken"),
        ("filter_chunk_only", "upstream_broken"),
        ("html_instead", "upstream_broken"),
        ("cut_after_headers", "upstream_broken"),
        ("error_first_chunk", None),
    ],
)
def test_failures_before_the_first_word(
    proxy: Proxy, simulator: Simulator, fault: str, code: str | None
) -> None:
    """An accepted request that fails without an answer gets an error that SDKs do not retry."""
    simulator.state.faults.on(fault, path="/chat/completions")
    with proxy.client() as client:
        answer = client.post(PATH, json=chat(stream=True))

    assert answer.status_code >= 400
    assert "false" == answer.headers["x-should-retry"]
    if code is not None:
        assert code == answer.json()["error"]["code"]
    assert 1 == len(calls(simulator))


@pytest.mark.parametrize(
    "fault", ["cut_mid_event", "end_early", "error_chunk", "invalid_json_event"]
)
def test_failures_in_mid_stream(proxy: Proxy, simulator: Simulator, fault: str) -> None:
    """Chunks before the failure are kept, followed by an error event, without a finish reason."""
    simulator.state.faults.on(fault, path="/chat/completions")
    with proxy.client() as client:
        frames = events(client.post(PATH, json=chat("Write 30 words", stream=True)))

    *chunks, error, done = frames
    assert "[DONE]" == done
    assert error["error"]["message"]
    assert {"message", "type", "param", "code", "request_id"} <= set(error["error"])
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert all(c["choices"][0]["finish_reason"] is None for c in chunks)
    record = proxy.wait_for_record()
    assert record.error
    assert record.first_token is not None


@pytest.mark.parametrize("fault", ["stall_before_headers", "stall_mid_stream"])
def test_keep_alive(simulator: Simulator, fault: str) -> None:
    """A silent stream gets comment lines."""
    simulator.state.faults.on(fault, path="/chat/completions")
    settings = settings_at(simulator, header_grace="0.05", keep_alive="0.05")
    with (
        Proxy(settings) as proxy,
        proxy.client() as client,
        client.stream("POST", PATH, json=chat(stream=True)) as answer,
    ):
        assert 200 == answer.status_code
        lines = answer.iter_lines()
        comments = [line for line in (next(lines) for _ in range(12)) if line.startswith(":")]

    assert [": keep-alive"] == sorted(set(comments))
    assert len(comments) >= 3


def test_failure_after_the_grace_period(simulator: Simulator) -> None:
    """An error after the grace period is an event in the stream."""
    simulator.state.faults.on("stall_before_headers", path="/chat/completions", value="0.5")
    simulator.state.faults.on("end_early", path="/chat/completions")
    with (
        Proxy(settings_at(simulator, header_grace="0.05")) as proxy,
        proxy.client() as client,
    ):
        answer = client.post(PATH, json=chat(stream=True))

    frames = events(answer)
    assert 200 == answer.status_code
    assert ": keep-alive" == frames[0]
    assert "error" in frames[-2]


@pytest.mark.parametrize("fault", [None, "stall_before_headers", "stall_mid_stream"])
@pytest.mark.parametrize("stream", [True, False])
def test_client_disconnects(simulator: Simulator, fault: str | None, stream: bool) -> None:
    """When the client disconnects, the call to Copilot and its billing end immediately."""
    simulator.state.pace = 3600
    if fault is not None:
        simulator.state.faults.on(fault, path="/chat/completions")
    body = json.dumps(chat("Write 500 words", stream=stream)).encode()
    answered = stream and fault != "stall_before_headers"
    # The client disconnects after the headers, which are sent after the grace period.
    settings = settings_at(simulator, **({"header_grace": "0.05"} if answered else {}))
    with Proxy(settings) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
            conn.sendall(head.encode() + body)
            call = simulator.state.recorder.wait_for(lambda r: r.path == "/chat/completions")
            if answered:
                assert conn.recv(1)

        assert call.done.wait(60), "the call is still open"
        record = proxy.wait_for_record()

    assert call.closed_by_client
    assert record.client_gone


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("stream", [True, False])
def test_client_disconnects_with_requests_waiting(
    simulator: Simulator, stream: bool, at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A disconnect is noticed even if more requests are queued on the connection.

    The queued requests are not sent to Copilot.
    """
    simulator.state.faults.on("stall_before_headers", path="/chat/completions")
    body = json.dumps(chat("Write 500 words", stream=stream)).encode()
    with Proxy(settings_at(simulator)) as proxy:
        address = urlsplit(proxy.url)
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            conn.sendall(request * (3 if at_once else 1))
            call = simulator.state.recorder.wait_for(lambda r: r.path == "/chat/completions")
            if not at_once:
                conn.sendall(request * 2)

        assert call.done.wait(60), "the call is still open"
        assert proxy.wait_for_record().client_gone
        with proxy.client() as client:
            assert 200 == client.get("/health").status_code

    assert call.closed_by_client
    assert 1 == len(proxy.records)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize("stream", [True, False])
def test_client_disconnects_during_a_queued_request(simulator: Simulator, stream: bool) -> None:
    """The second of three queued requests is also cancelled when the client disconnects."""
    simulator.state.faults.on("stall_before_headers", path="/chat/completions")
    body = json.dumps(chat("Write 500 words", stream=stream)).encode()
    with Proxy(settings_at(simulator)) as proxy:
        address = urlsplit(proxy.url)
        first = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            conn.sendall(first + (head.encode() + body) * 2)
            call = simulator.state.recorder.wait_for(lambda r: r.path == "/chat/completions")

        assert call.done.wait(60), "the call is still open"
        assert proxy.wait_for_record().client_gone

    assert call.closed_by_client
    assert 1 == len(proxy.records)


def test_records(proxy: Proxy) -> None:
    """The record of a request contains its counts and times, but no text of the conversation."""
    with proxy.client() as client:
        client.post(PATH, json=chat("a secret thought", stream=True))
        client.post(PATH, json=chat(model="nope"))
    answered, refused = proxy.wait_for_record(1), proxy.wait_for_record(2)

    assert ("gpt-4o", 200, True, "user") == (
        answered.model,
        answered.status,
        answered.stream,
        answered.initiator,
    )
    assert answered.usage is not None
    assert answered.usage["total_tokens"] > 0
    assert answered.first_token is not None
    assert 0 < answered.first_token <= answered.duration
    assert "secret thought" not in repr(answered)
    assert (404, "model_not_found") == (refused.status, refused.error)


def test_openapi_describes_the_shapes(proxy: Proxy) -> None:
    """The OpenAPI document has schemas for requests and answers, and its references resolve."""
    with proxy.client() as client:
        document = client.get("/schema/openapi.json").json()
        page = client.get("/schema")

    operation = document["paths"]["/v1/chat/completions"]["post"]
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/ChatCompletionRequest"} == body
    schemas = document["components"]["schemas"]
    assert {"model", "messages", "tools", "stream"} <= set(
        schemas["ChatCompletionRequest"]["properties"]
    )
    references = set(_references(document))
    assert references <= {f"#/components/schemas/{name}" for name in schemas}
    assert "ChatCompletionRequest" in page.text
    assert "<script" not in page.text
    assert "string or list of (string or integer or list of integer)" in page.text
    assert "<code>None</code>" not in page.text


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for child in value.values() for ref in _references(child)]
    if isinstance(value, list):
        return [ref for child in value for ref in _references(child)]
    return []


def test_silence_after_the_finish(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the model has finished, the server does not wait for the connection to close."""
    monkeypatch.setattr("copilot_proxy.relay.reply._END_TIMEOUT", 0.05)
    simulator.state.faults.on("stall_after_finish", path="/chat/completions")
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        frames = events(client.post(PATH, json=chat(stream=True)))

    assert "[DONE]" == frames[-1]
    assert "stop" == frames[-2]["choices"][0]["finish_reason"]
