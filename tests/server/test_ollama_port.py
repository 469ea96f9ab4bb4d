"""The second port, on which clients look for Ollama."""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server import ollama_port
from copilot_proxy.settings import Settings, load_settings
from tests.conftest import NO_TLS
from tests.ports import free_port
from tests.selection import first


class Ollama(BaseHTTPRequestHandler):
    """An imitation of Ollama that answers GET requests like the real one."""

    def do_GET(self) -> None:
        body = b"Ollama is running" if self.path == "/" else b"404 page not found"
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def real_ollama() -> Iterator[int]:
    """Run the imitation, and yield its port."""
    with HTTPServer(("127.0.0.1", 0), Ollama) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def settings_for(**flags: object) -> Settings:
    return load_settings({"ollama": True, "port": free_port(), **flags})


def test_a_port_that_is_free() -> None:
    """The port is bound in addition to the server's own, on the same address."""
    port = free_port()
    with ollama_port.bound(settings_for(ollama_port=port)) as second:
        assert second.listener is not None
        assert ("127.0.0.1", port) == second.listener.getsockname()
        assert f"http://127.0.0.1:{port}" == second.url


@pytest.mark.parametrize("flags", [{"ollama": False}, {"ollama_port": 0}])
def test_no_port(flags: dict[str, object]) -> None:
    """The port is not bound unless the user requests it."""
    with ollama_port.bound(settings_for(**flags)) as second:
        assert ollama_port.OllamaPort() == second


def test_the_servers_own_port() -> None:
    """The server itself may be on Ollama's port."""
    port = free_port()
    with ollama_port.bound(settings_for(port=port, ollama_port=port)) as second:
        assert ollama_port.OllamaPort() == second


def test_next_to_a_real_ollama() -> None:
    """If the default port is taken, the server still starts; with a custom port, it fails."""
    with real_ollama() as port:
        with (
            pytest.raises(CopilotProxyError, match=f"Port {port} is in use by Ollama") as caught,
            ollama_port.bound(settings_for(ollama_port=port)),
        ):
            pass
        assert "--ollama-port 0" in str(caught.value.hint)

        # Treat this port as the default.
        with ollama_port.bound(replace(settings_for(), ollama_port=port)) as second:
            assert second.listener is None
            assert f"Port {port} is in use by Ollama" in str(second.problem)


@pytest.mark.parametrize("workers", first(["1", "2"]))
@pytest.mark.skipif(sys.platform == "win32", reason="there are no workers on Windows")
def test_serving(workers: str) -> None:
    """Both ports answer with one or several processes, and are closed at the end."""
    first, second = free_port(), free_port()
    flags = ["--port", str(first), "--ollama-port", str(second), "--workers", workers]
    program = [sys.executable, "-m", "copilot_proxy", "serve", "--simulate", *flags]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        shown = ""
        for line in server.stderr:
            shown += line
            if "Ctrl+C" in line:
                break
        assert re.search(rf"Ollama +http://127\.0\.0\.1:{second}\n", shown)
        body = {"model": "default", "prompt": "Ahoy", "stream": False}
        with httpx.Client(trust_env=False, verify=NO_TLS, timeout=60) as client:
            for port in (first, second):
                answer = client.post(f"http://127.0.0.1:{port}/api/generate", json=body)
                assert "You said: Ahoy" in answer.json()["response"]
                host = client.get(f"http://127.0.0.1:{port}/", headers={"host": "evil.example"})
                assert 403 == host.status_code
        server.terminate()
        server.stderr.read()
        assert 0 == server.wait(60)
    for port in (first, second):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
