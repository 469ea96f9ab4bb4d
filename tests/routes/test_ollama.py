"""Ollama's API on the server: on and off, its paths, streams, callers and refusals."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import ollama
import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.grammars import ollama_lines

PATHS = (
    ("GET", "/api/tags"),
    ("GET", "/api/version"),
    ("GET", "/api/ps"),
    ("POST", "/api/show"),
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/api/pull"),
    ("DELETE", "/api/delete"),
    ("HEAD", "/api/blobs/sha256-0"),
    ("GET", "/api/chat"),
)


@pytest.fixture
def proxy(simulator: Simulator) -> Iterator[Proxy]:
    """A server with Ollama's API enabled."""
    with Proxy(settings_at(simulator, ollama=True)) as running:
        yield running


def chat(text: str = "Hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_off(simulator: Simulator, method: str, path: str) -> None:
    """Without the setting, the paths do not exist, and the error says how to enable them."""
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.request(method, path, json=chat())
        root = client.get("/").text

    assert 404 == answer.status_code
    if method != "HEAD":
        assert "unknown_url" == answer.json()["code"]
        assert "--ollama" in answer.json()["error"]
    assert "Ollama is running" not in root
    assert not [one for one in simulator.state.requests if one.method == "POST"]


@pytest.mark.parametrize(
    ("path", "accept", "is_ollama"),
    [("/", "*/*", True), ("/", "text/html,*/*;q=0.8", False)],
)
def test_the_root(proxy: Proxy, path: str, accept: str, is_ollama: bool) -> None:
    """Ollama clients receive the exact text that they look for; browsers receive the dashboard."""
    with proxy.client(headers={"accept": accept}) as client:
        answer, head = client.get(path), client.head(path)

    assert is_ollama == (answer.text == "Ollama is running")
    assert (200, 200) == (answer.status_code, head.status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/api/chat",
        "/api/chat/",
        "//api//chat",
        "/v1/api/chat",
        "/api/api/chat",
        "/c/kitchen/api/chat",
    ],
)
def test_spellings(proxy: Proxy, path: str) -> None:
    """Paths that result from unusual base URLs work, and may contain the client's name."""
    with proxy.client() as client:
        answer = client.post(f"{proxy.url}{path}", json=chat(stream=False))

    assert 200 == answer.status_code
    assert "You said: Hi" in answer.json()["message"]["content"]
    expected = "kitchen" if "kitchen" in path else "python-httpx"
    assert expected == proxy.wait_for_record().attribution.client


def test_paths_of_other_apis_remain(proxy: Proxy) -> None:
    """Claude Code's check and telemetry still work, and the server is not taken for LM Studio."""
    with proxy.client() as client:
        assert {"message": "hello"} == client.get("/api/hello").json()
        for path in ("", "/batch", "/v2/batch"):
            assert 204 == client.post(f"/api/event_logging{path}", json={}).status_code
        assert 404 == client.get("/api/v0/models").status_code


def test_vs_code(proxy: Proxy) -> None:
    """VS Code's Ollama provider works; for a listed model, it uses Chat Completions."""
    with proxy.client() as client:
        version = client.get("/api/version").json()["version"]
        assert (0, 6, 4) <= tuple(map(int, version.split(".")))
        names = [one["model"] for one in client.get("/api/tags").json()["models"]]
        shown = {name: client.post("/api/show", json={"model": name}).json() for name in names}
        for name in names:
            assert shown[name]["model_info"]["general.basename"]
        info = shown["gpt-4o:latest"]["model_info"]
        assert info[f"{info['general.architecture']}.context_length"] > 4096
        answer = client.post("/v1/chat/completions", json=chat(model="gpt-4o:latest"))

    assert 200 == answer.status_code
    assert "gpt-4o:latest" == answer.json()["model"]
    assert "gpt-4o" == proxy.wait_for_record().model


@pytest.mark.parametrize("model", ["sonnet:latest", "default:latest", "mine", "mine:latest"])
def test_names(simulator: Simulator, model: str) -> None:
    """Families and aliases also have Ollama's tag, and an alias keeps its parameters."""
    aliases = {"mine": {"model": "sonnet", "reasoning_effort": "low"}}
    with Proxy(settings_at(simulator, ollama=True, aliases=aliases)) as proxy:
        with proxy.client() as client:
            names = [one["name"] for one in client.get("/api/tags").json()["models"]]
            answer = client.post("/api/chat", json=chat(model=model, stream=False))
        record = proxy.wait_for_record()

    assert "mine:latest" in names
    assert (200, model) == (answer.status_code, answer.json()["model"])
    assert str(record.model).startswith("claude-sonnet")
    assert model == record.model_asked


def test_keys_and_their_models(simulator: Simulator) -> None:
    """A key is required; only the key's models are listed, and other models are refused."""
    key = {"key": "secret-key", "models": ["gpt-4o"]}
    with (
        Proxy(settings_at(simulator, ollama=True, api_keys={"home": key})) as proxy,
        proxy.client(headers={"authorization": "Bearer secret-key"}) as client,
        proxy.client() as stranger,
    ):
        names = [one["name"] for one in client.get("/api/tags").json()["models"]]
        allowed = client.post("/api/chat", json=chat(stream=False))
        refused = client.post("/api/chat", json=chat(model="gpt-5.5"))
        loaded = client.post("/api/generate", json={"model": "gpt-5.5"})
        shown = client.post("/api/show", json={"model": "gpt-5.5"})
        unknown = stranger.get("/api/tags")

    assert ["gpt-4o:latest"] == names
    assert 200 == allowed.status_code
    for answer in (refused, loaded, shown):
        assert (403, "model_not_allowed") == (answer.status_code, answer.json()["code"])
    assert (401, "invalid_api_key") == (unknown.status_code, unknown.json()["code"])
    assert "home" == proxy.records[0].key


@pytest.mark.parametrize("fault", ["stall_before_headers", "stall_mid_stream"])
def test_keep_alive(simulator: Simulator, fault: str) -> None:
    """A silent stream gets whitespace that does not count as a separate line."""
    simulator.state.faults.on(fault, path="/chat/completions")
    settings = settings_at(simulator, ollama=True, header_grace="0.02", keep_alive="0.02")
    received = b""
    with (
        Proxy(settings) as proxy,
        proxy.client() as client,
        client.stream("POST", "/api/chat", json=chat("Write 30 words")) as answer,
    ):
        assert "application/x-ndjson" == answer.headers["content-type"]
        parts = answer.iter_raw()
        while not received.endswith(b"   "):
            received += next(parts)

    assert all(json.loads(line) for line in received.splitlines()[:-1])
    assert b"\n\n" not in received


def test_the_library_accepts_keep_alives(simulator: Simulator) -> None:
    """Ollama's own client reads all of a stream that has pauses, and reports a late error."""
    simulator.state.faults.on("stall_before_headers", path="/chat/completions", value="0.3")
    simulator.state.faults.on("end_early", path="/chat/completions", times=1)
    settings = settings_at(simulator, ollama=True, header_grace="0.02", keep_alive="0.02")
    with (
        Proxy(settings) as proxy,
        ollama.Client(proxy.url, verify=NO_TLS, trust_env=False) as client,
    ):
        with pytest.raises(ollama.ResponseError, match="Try again"):
            list(client.chat("gpt-4o", chat()["messages"], stream=True))
        parts = list(client.chat("gpt-4o", chat()["messages"], stream=True))

    assert "You said: Hi" in "".join(part.message.content or "" for part in parts)


@pytest.mark.parametrize("stream", [True, False])
def test_client_disconnects(simulator: Simulator, stream: bool) -> None:
    """When the client disconnects, the call to Copilot ends immediately."""
    fault = "stall_mid_stream" if stream else "stall_before_headers"
    simulator.state.faults.on(fault, path="/chat/completions")
    body = json.dumps(chat(stream=stream)).encode()
    head = f"POST /api/chat HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with Proxy(settings_at(simulator, ollama=True)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            conn.sendall(head.encode() + body)
            call = simulator.state.recorder.wait_for(lambda r: r.path == "/chat/completions")
            if stream:
                assert conn.recv(1)
        assert call.done.wait(60), "the call is still open"
        record = proxy.wait_for_record()

    assert call.closed_by_client
    assert record.client_gone


def test_a_used_up_budget(simulator: Simulator) -> None:
    """The status is one that no client retries; loading a model costs nothing."""
    settings = settings_at(simulator, ollama=True, ledger=True, budget=["0/day"])
    with Proxy(settings) as proxy, proxy.client() as client:
        refused = client.post("/api/chat", json=chat(model="claude-opus-5"))
        loaded = client.post("/api/chat", json={"model": "claude-opus-5"})

    assert (400, "budget_exceeded") == (refused.status_code, refused.json()["code"])
    assert "copilot-proxy budget raise" in refused.json()["error"]
    assert ["load"] == [line["done_reason"] for line in ollama_lines(loaded.text)]
    assert not [one for one in simulator.state.requests if one.method == "POST"]


def test_notes(proxy: Proxy) -> None:
    """Dropped fields are in the header, even for streams; essential fields are refused."""
    options = {"top_k": 5, "num_ctx": 4096, "temperature": 0.5}
    with proxy.client() as client:
        answer = client.post("/api/chat", json=chat(options=options, keep_alive="5m"))
        refused = client.post("/api/generate", json={"model": "gpt-4o", "prompt": "x", "raw": True})

    notes = answer.headers["x-copilot-proxy-notes"]
    assert notes == "dropped options.top_k: Copilot has no equivalent"
    assert (400, "unsupported_parameter") == (refused.status_code, refused.json()["code"])
