"""``service`` with a real systemd: install, use, break, restore, remove."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.masking import Secret
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.cli.conftest import Cli
from tests.conftest import NO_TLS
from tests.ports import free_port
from tests.selection import only_in_ci
from tests.service.systemds import reason_missing, user_systemd

pytestmark = pytest.mark.skipif(reason_missing() is not None, reason=str(reason_missing()))


KEY = "a-long-secret-key"


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with user_systemd(tmp_path_factory.mktemp("user")) as environ:
        yield environ


@pytest.fixture(autouse=True)
def port(systemd: dict[str, str], simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> int:
    """The port of the service; the user is not signed in yet."""
    for name, value in systemd.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # D-Bus would start this machine's keyring, if it has one.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    port = free_port()
    monkeypatch.setenv("COPILOT_PROXY_PORT", str(port))
    return port


@pytest.fixture
def installed(
    cli: Cli, own_home: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an installed service that requires a key; the service is removed at the end."""
    sign_in(own_home)
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", KEY)
    ran = cli("service", "install")
    assert 0 == ran.code, ran.err
    yield f"http://127.0.0.1:{port}"
    cli("service", "uninstall")


def sign_in(home: Path) -> None:
    FileStore(home).save(Credential(Secret(SIMULATED_TOKEN), login="mona"))


def units(systemd: dict[str, str]) -> set[str]:
    folder = Path(systemd["HOME"], ".config/systemd/user")
    return {one.name for one in folder.glob("*.s*")}


def status(cli: Cli) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(cli("service", "status", "--json").out)
    return shown


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(url: str) -> str:
    body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"x-api-key": KEY}
    answer = httpx.post(
        f"{url}/v1/chat/completions", json=body, headers=headers, verify=NO_TLS, timeout=60
    )
    return str(answer.json()["choices"][0]["message"]["content"])


def test_it_answers_survives_a_crash_and_is_removed(
    cli: Cli, installed: str, systemd: dict[str, str], own_home: Path
) -> None:
    """A service goes through its whole life, as its user sees it.

    The service's key is only in a private file.
    """
    record = own_home / "service/service.json"
    assert (
        KEY not in Path(systemd["HOME"], ".config/systemd/user/copilot-proxy.service").read_text()
    )
    assert KEY in record.read_text()
    assert 0o600 == record.stat().st_mode & 0o777
    assert "simulator" in ask(installed)
    before = status(cli)
    assert (True, True, "yes") == (before["running"], before["answers"], before["signed_in"])
    assert 0 == cli("service", "status").code
    assert "copilot-proxy 0.1.0 is ready." in cli("service", "logs").out

    os.kill(before["process"], signal.SIGKILL)
    until(lambda: status(cli)["process"] not in (None, before["process"]))
    again = cli("service", "restart")
    assert 0 == again.code, again.err
    assert before["process"] != status(cli)["process"]

    ended = cli("service", "uninstall")
    assert "was removed" in ended.err
    assert set() == units(systemd)
    with pytest.raises(httpx.ConnectError):
        ask(installed)
    assert 1 == cli("service", "status").code


def test_without_a_sign_in_it_is_not_installed(cli: Cli, systemd: dict[str, str]) -> None:
    """The error is the same as for ``serve``, with its exit code; nothing is left behind."""
    ran = cli("service", "install")

    assert 3 == ran.code
    assert ran.err.endswith("Error: Not signed in to GitHub.\nSign in with: copilot-proxy login\n")
    assert set() == units(systemd)


@only_in_ci
def test_a_failed_update_restores_the_service(
    cli: Cli, installed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the port is taken, the old service keeps running."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("COPILOT_PROXY_PORT", str(other.getsockname()[1]))
        ran = cli("service", "install")

    assert 1 == ran.code
    assert "is in use by" in ran.err
    monkeypatch.setenv("COPILOT_PROXY_PORT", installed.rpartition(":")[2])
    until(lambda: bool(status(cli)["answers"]))
    assert "simulator" in ask(installed)


@only_in_ci
def test_it_starts_when_a_client_connects(
    cli: Cli, installed: str, systemd: dict[str, str]
) -> None:
    """With ``--on-demand``, the first request waits for the server."""
    assert 0 == cli("service", "install", "--on-demand").code
    assert {"copilot-proxy.service", "copilot-proxy.socket"} == units(systemd)
    process = status(cli)["process"]
    stop = ["systemctl", "--user", "stop", "copilot-proxy.service"]
    subprocess.run(stop, check=True, capture_output=True)

    assert "waiting for a client" in cli("service", "status").out
    assert "simulator" in ask(installed)
    assert process != status(cli)["process"]


def test_a_token_in_a_variable_is_refused(
    cli: Cli, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token in a variable is refused, since it would have to be stored in a file."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)
    ran = cli("service", "install")

    assert 2 == ran.code
    assert "COPILOT_PROXY_GITHUB_TOKEN, which the service cannot read" in ran.err
    assert not (own_home / "service/service.json").exists()


def test_a_machine_without_systemd(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If systemctl or systemd is missing, the error names an alternative."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    ran = cli("service", "install")
    assert 1 == ran.code
    assert "systemd is not running for this user" in ran.err

    monkeypatch.setenv("PATH", str(tmp_path))
    ran = cli("service", "install")
    assert 1 == ran.code
    assert "This machine has no systemd." in ran.err
    assert "copilot-proxy serve" in ran.err
