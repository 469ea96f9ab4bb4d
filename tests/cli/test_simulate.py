"""``simulate``: the simulator without the proxy."""

import os
import signal
import socket
import threading
from importlib import import_module

import httpx
import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.simulator import FAULTS, SIMULATED_TOKEN
from tests.cli.conftest import Cli
from tests.cli.terminals import Terminal

module = import_module("copilot_proxy.cli.simulate")  # the package has a function of that name


def test_the_printed_variables_are_sufficient(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    """The printed variables are all that copilot-proxy needs; after Ctrl+C, the exit code is 0."""
    with Terminal("simulate", "--port", "0", "--pace", "0", "--fault", "models_500") as terminal:
        shown = terminal.wait_for("Stop with Ctrl+C.")
        assert "Active faults: models_500." in shown
        lines = [
            line.split() for line in shown.splitlines() if "export COPILOT_PROXY_GITHUB" in line
        ]
        for _, setting in lines:
            name, _, value = setting.partition("=")
            monkeypatch.setenv(name, value)
        assert len(lines) == 3
        assert cli("models").code == 1
        forget = next(line for line in shown.splitlines() if "-X DELETE" in line).split()[-1]
        httpx.delete(forget, timeout=60)
        assert cli("models").code == 0
        terminal.press("c")
        assert terminal.end() == 0
        assert "Stopped." in terminal.text
        assert "Traceback" not in terminal.text


def test_signing_in_to_it() -> None:
    """The instructions sign in with a temporary folder; after SIGTERM, the exit code is 0."""
    with Terminal("simulate", "--port", "0") as terminal:
        shown = terminal.wait_for("Stop with Ctrl+C.")
        assert "export COPILOT_PROXY_HOME_DIR=$(mktemp -d)" in shown
        assert "copilot-proxy login --store file" in shown
        assert "The simulator forgets sign-ins when it stops" in shown
        terminal.kill(signal.SIGTERM)
        assert terminal.end() == 0


def test_another_catalogue() -> None:
    """--catalogue selects the models of the account."""
    with Terminal("simulate", "--port", "0", "--catalogue", "future") as terminal:
        shown = terminal.wait_for("Stop with Ctrl+C.")
        url = next(word for word in shown.split() if word.startswith("http")).rstrip(".")
        headers = {"authorization": f"token {SIMULATED_TOKEN}"}
        token = httpx.get(f"{url}/copilot_internal/v2/token", headers=headers, timeout=60).json()[
            "token"
        ]
        asked = {
            "authorization": f"Bearer {token}",
            "copilot-integration-id": "vscode-chat",
            "editor-version": "vscode/1.137.0",
            "x-github-api-version": "2026-08-01",
        }
        listed = httpx.get(f"{url}/models", headers=asked, timeout=60).json()["data"]
        assert "aurora-1" in [model["id"] for model in listed]
        terminal.press("c")
        assert terminal.end() == 0


def test_an_unknown_catalogue(cli: Cli) -> None:
    """The error lists the catalogues that exist."""
    ran = cli("simulate", "--catalogue", "2027")
    assert ran.code == 2
    assert "Unknown catalogue: '2027'." in ran.err
    assert "2026-11, 2026-03, future" in ran.err


def test_faults_are_listed(cli: Cli) -> None:
    """Every fault has a name and a description."""
    listed = cli("simulate", "--list-faults").out
    assert all(name in listed for name in FAULTS)
    assert max(map(len, listed.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fault", "rate_limitd=5"], "Did you mean rate_limited?"),
        (["--fault", "zzz"], "List all faults: copilot-proxy simulate --list-faults"),
        (["--plan", "gold"], "Use one of: free, "),
    ],
)
def test_wrong_usage(cli: Cli, arguments: list[str], said: str) -> None:
    """The error for an unknown name lists the existing names, or suggests one."""
    ran = cli("simulate", *arguments)
    assert ran.code == 2
    assert said in ran.err


def test_a_port_that_is_taken(cli: Cli) -> None:
    """The hint says how to use another port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        ran = cli("simulate", "--port", str(other.getsockname()[1]))
    assert ran.code == 1
    assert "cannot be used: another program is listening on it." in ran.err
    assert "--port 0 picks a free one" in ran.err
    assert cli("simulate", "--port", "99999").code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Both signals stop the simulator, and the previous signal handlers are restored."""
    before = signal.getsignal(signal.SIGTERM)
    wait = module._wait

    def wait_for_the_end() -> None:
        timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), number))
        timer.start()
        wait()
        timer.join()

    monkeypatch.setattr(module, "_wait", wait_for_the_end)
    assert run(["simulate", "--port", "0"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    assert "Stop with Ctrl+C." in capsys.readouterr().err


def test_waits_outside_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulator waits even if signal handlers cannot be set."""
    ended = threading.Event()
    ended.set()
    monkeypatch.setattr(module, "Event", lambda: ended)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            module._wait()
        except BaseException as failure:
            failures.append(failure)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join()
    assert failures == []
