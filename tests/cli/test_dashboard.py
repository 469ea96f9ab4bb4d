"""``copilot-proxy dashboard`` finds the server and signs the browser in."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Cli
from tests.conftest import Proxy, settings_at

KEY = "the-owners-key"


def at(server: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the command at a server."""
    monkeypatch.setenv("COPILOT_PROXY_PORT", server.url.rpartition(":")[2])


def test_the_address(cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser, the command prints the address."""
    with Proxy(settings_at(simulator)) as server:
        at(server, monkeypatch)
        ran = cli("dashboard", "--no-browser")

    assert (0, f"{server.url}/\n", "") == (ran.code, ran.out, ran.err)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_code(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """With a key, the address contains a one-time sign-in code instead of the key.

    The key need not be in the settings: the server may have been started with ``--api-key``.
    """
    if is_known:
        monkeypatch.setenv("COPILOT_PROXY_API_KEY", KEY)
    with Proxy(settings_at(simulator, api_key=KEY)) as server, server.client() as client:
        at(server, monkeypatch)
        ran = cli("dashboard", "--no-browser")
        address, _, code = ran.out.strip().partition("#code=")
        body, header = {"code": code}, {"x-copilot-proxy-page": "1"}
        answers = [
            client.post("/dashboard/login", json=body, headers=header).status_code for _ in range(2)
        ]

    assert f"{server.url}/" == address
    assert KEY not in ran.out + ran.err
    assert "it works only once" in ran.err
    assert [200, 401] == answers


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
def test_the_browser(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command opens the browser named by the variable BROWSER."""
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.new; mv {opened}.new {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    started: list[Any] = []
    from copilot_proxy.cli import login_screen

    start = login_screen.start_browser

    def start_and_keep(url: str) -> Any:
        started.append(start(url))
        return started[0]

    monkeypatch.setattr(login_screen, "start_browser", start_and_keep)
    with Proxy(settings_at(simulator)) as server:
        at(server, monkeypatch)
        ran = cli("dashboard")
        started[0].wait(60)

    assert (0, "") == (ran.code, ran.out)
    assert f"Opened {server.url}/ in the browser." in ran.err
    assert f"{server.url}/\n" == opened.read_text()


def test_no_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server, the command says how to start one."""
    monkeypatch.setenv("COPILOT_PROXY_PORT", "1")
    ran = cli("dashboard", "--simulate")

    assert 1 == ran.code
    assert "No simulated server is running at http://127.0.0.1:1." in ran.err
    assert "copilot-proxy serve --simulate" in ran.err


def test_another_program(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program is on the port, the error does not advise starting a server there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("COPILOT_PROXY_PORT", str(port))
        monkeypatch.setattr("copilot_proxy.server.port_owner._TIMEOUT", 0.1)
        monkeypatch.setattr("copilot_proxy.server.discovery._HEALTH_TIMEOUT", 0.1)
        monkeypatch.setattr("copilot_proxy.doctor.server_facts._TIMEOUT", 0.1)
        ran = cli("dashboard")

    assert 1 == ran.code
    assert f"Error: Port {port} is in use by " in ran.err


@pytest.mark.parametrize("command", [("dashboard",), ("connect", "claude", "--print")])
def test_an_unknown_port(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """With port 0 the server picks a free port, so no hint mentions port 0."""
    monkeypatch.setenv("COPILOT_PROXY_PORT", "0")
    ran = cli(*command)

    assert 2 == ran.code
    assert "COPILOT_PROXY_PORT sets it to 0" in ran.err
    assert ":0" not in ran.out + ran.err
