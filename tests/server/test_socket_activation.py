"""Serving on a socket that systemd has opened."""

import os
import socket
import subprocess
import sys

import httpx
import pytest

from tests.conftest import NO_TLS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no systemd")

_AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[2])
os.execv(sys.executable, [sys.executable, "-m", "copilot_proxy", "serve", "--simulate"])
"""


def start(listener: socket.socket, count: str = "1") -> "subprocess.Popen[str]":
    """Start a server as systemd does."""
    return subprocess.Popen(
        [sys.executable, "-c", _AS_SYSTEMD, str(listener.fileno()), count],
        env={**os.environ, "COPILOT_PROXY_PORT": "1"},
        pass_fds=[listener.fileno()],
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_socket_replaces_the_port_of_the_settings() -> None:
    """A request sent before the server was ready is answered, and the banner names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = start(listener)
        listener.close()
        with process:
            try:
                health = httpx.get(f"{url}/health", verify=NO_TLS, timeout=60).json()
                assert process.stderr is not None
                assert any(f"{url}/v1" in line for line in process.stderr)
            finally:
                process.terminate()
            assert health["simulated"]
    assert 0 == process.returncode


def test_the_network_needs_a_key() -> None:
    """A key is required because of the socket's address, whatever address is in the settings."""
    with socket.create_server(("0.0.0.0", 0)) as listener, start(listener) as process:
        _, error = process.communicate(timeout=60)
    assert 2 == process.returncode
    assert "Without an API key, anyone who can reach 0.0.0.0" in error


def test_several_sockets_are_refused() -> None:
    """The server refuses more than one socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener, start(listener, "2") as process:
        _, error = process.communicate(timeout=60)
    assert 2 == process.returncode
    assert "systemd has passed 2 sockets" in error
