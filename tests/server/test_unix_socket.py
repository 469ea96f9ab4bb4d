"""Serving on a Unix socket."""

import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import httpx2
import openai
import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server import unix_socket
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import Terminal, client_of, question, serve_while, sign_in
from tests.conftest import NO_TLS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path for the socket, relative because the absolute path may be too long."""
    monkeypatch.chdir(tmp_path)
    return Path("proxy.sock")


def test_the_openai_sdk_through_a_socket(path: Path) -> None:
    """The OpenAI SDK works with and without streaming, and without a key.

    The file is removed when the server stops.
    """

    def use(client: httpx.Client) -> None:
        with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path), verify=NO_TLS)) as http:
            sdk = openai.OpenAI(base_url="http://localhost/v1", api_key="none", http_client=http)
            whole = sdk.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": "Hi"}]
            )
            assert "simulator" in (whole.choices[0].message.content or "")
            pieces = sdk.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            assert "simulator" in "".join(
                chunk.choices[0].delta.content or "" for chunk in pieces if chunk.choices
            )

    assert serve_while(use, uds=path) == 0
    assert not path.exists()


def test_the_sdks_through_a_socket_as_documented(
    path: Path,
) -> None:
    """The example in docs/clients.md works with the installed SDKs of OpenAI and Anthropic."""
    document = Path(__file__).parents[2] / "docs" / "clients.md"
    section = document.read_text(encoding="utf-8").partition("### Unix socket")[2]
    example = section.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    answers: list[str | None] = []

    def use(client: httpx.Client) -> None:
        exec(example.replace("~/.copilot-proxy.sock", str(path)), names)  # noqa: S102  # our own
        question = {"role": "user", "content": "Hi"}
        whole = names["openai"].chat.completions.create(model="gpt-5-mini", messages=[question])
        answers.append(whole.choices[0].message.content)
        message = names["anthropic"].messages.create(
            model="gpt-5-mini", max_tokens=100, messages=[question]
        )
        answers.append(message.content[0].text)
        names["http_client"].close()

    assert serve_while(use, uds=path) == 0
    assert [True, True] == ["simulator" in (answer or "") for answer in answers]


def test_the_socket_is_private_from_the_first_moment(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket has mode 0600 before anyone can connect; the umask is restored."""
    before = os.umask(0)
    modes: list[int] = []
    try:
        real = unix_socket._identity

        def identity(path: Path) -> object:
            modes.append(path.lstat().st_mode)
            return real(path)

        monkeypatch.setattr(unix_socket, "_identity", identity)
        with unix_socket.bound(path):
            pass
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(modes[0]) == 0o600


def test_the_banner_has_a_curl_command_that_works(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command names the socket in a way that works in any folder."""
    shown: list[str] = []

    def use(client: httpx.Client) -> None:
        shown.append(capsys.readouterr().err)
        text = shown[0].replace("\\\n", "")
        line = next(line for line in text.splitlines() if line.lstrip().startswith("curl"))
        _, flag, socket_path, url, _, body = shlex.split(line)
        assert flag == "--unix-socket"
        assert Path(socket_path).is_absolute()
        with client_of(Path(socket_path)) as other:
            assert other.post(url, content=body).status_code == 200

    assert serve_while(use, uds=path) == 0
    assert f"Socket     {path.absolute()}\n" in shown[0]
    assert "Base URL   http://localhost/v1\n" in shown[0]


def test_hosts_and_origins_are_checked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown hosts and origins are refused, even if the host setting is a network address."""
    monkeypatch.setenv("COPILOT_PROXY_HOST", "0.0.0.0")
    codes: list[str] = []

    def use(client: httpx.Client) -> None:
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            codes.append(client.get("/v1/models", headers=headers).json()["error"]["code"])

    assert serve_while(use, uds=path) == 0
    assert codes == ["host_not_allowed", "origin_not_allowed"]


def test_a_second_server_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the program that listens there, and the first server is not affected."""

    def use(client: httpx.Client) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "copilot_proxy", "serve", "--uds", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == (
            f"Error: Another copilot-proxy is already listening at {path}.\n"
            "Use another path, or stop that program.\n"
        )
        assert client.get("/health").status_code == 200

    assert serve_while(use, uds=path) == 0


def test_another_program_keeps_its_socket(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another program that listens there keeps its socket."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert run(["serve", "--uds", str(path)]) == 1
    assert path.is_socket()
    assert f"Another program is already listening at {path}." in capsys.readouterr().err


def test_a_socket_that_was_left_behind_is_replaced(path: Path) -> None:
    """The stale socket of a killed server does not keep the next server from starting."""
    with Terminal("serve", "--uds", str(path)) as terminal:
        terminal.wait_for("Stop with Ctrl+C.")
        terminal.kill(signal.SIGKILL)
        terminal.end()
    assert path.is_socket()
    assert serve_while(lambda client: None, uds=path) == 0


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_other_files_are_not_replaced(
    path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path to another kind of file causes an error, and the file stays."""
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    assert run(["serve", "--uds", str(path)]) == 2
    assert f"{path} exists and is not a socket." in capsys.readouterr().err
    assert os.path.lexists(path)


def test_aborted_answers_leave_nothing_behind(path: Path, account: Simulator) -> None:
    """The socket is also removed when a second Ctrl+C aborts open requests."""
    account.state.pace = 0.05
    with Terminal("serve", "--uds", str(path)) as terminal:
        terminal.wait_for("Stop with Ctrl+C.")
        body = question("Write 600 words", stream=True)
        with (
            client_of(path) as client,
            client.stream("POST", "/v1/chat/completions", json=body) as answer,
        ):
            lines = answer.iter_lines()
            next(lines)
            terminal.press("c")
            terminal.wait_for("Finishing 1 open request")
            terminal.press("c")
            assert any("server_stopped" in line for line in lines)
        assert terminal.end() == 130
    assert not path.exists()


def test_the_socket_of_a_successor_stays(path: Path) -> None:
    """A new file that has replaced the socket is not removed."""
    with unix_socket.bound(path):
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()


def test_invalid_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says what is wrong with the path."""
    assert run(["serve", "--uds", str(tmp_path / ("x" * 108))]) == 2
    assert (
        f"has {len(str(tmp_path)) + 109} bytes; the system allows at most 10"
        in capsys.readouterr().err
    )
    assert run(["serve", "--uds", "/nowhere/at/all.sock"]) == 2
    assert "The socket's folder, /nowhere/at, does not exist." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (PermissionError(13, "Permission denied"), "You may not create a socket in /x."),
        (OSError(28, "No space left on device"), "Cannot listen at /x/y: No space left on device."),
    ],
)
def test_other_errors_of_the_path(failure: OSError, said: str) -> None:
    """Other system errors have readable messages."""
    error = unix_socket._failed(failure, Path("/x/y"))
    assert isinstance(error, CopilotProxyError)
    assert said in error.message


def test_contradictory_flags(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contradictory flags are a usage error; a flag overrides a socket in the settings."""
    assert run(["serve", "--uds", str(path), "--port", "8000"]) == 2
    assert "--uds cannot be combined with --host or --port." in capsys.readouterr().err
    monkeypatch.setenv("COPILOT_PROXY_UDS", str(path))
    assert serve_while(lambda client: None) == 0


def test_windows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says that Windows has no Unix sockets."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert run(["serve", "--uds", "proxy.sock", "--simulate"]) == 2
    assert "Unix sockets need Linux or macOS." in capsys.readouterr().err
