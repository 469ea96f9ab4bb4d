"""``run``: starts clients, with a running server or one that they share."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from copilot_proxy.cli import server_process, shared_server
from copilot_proxy.cli.client_process import run_program
from copilot_proxy.cli.project_name import current_project
from copilot_proxy.clients.registry import RUNNABLE
from copilot_proxy.server.leases import is_used
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Cli, environment
from tests.cli.terminals import Terminal, is_listening, sign_in, wait_until
from tests.conftest import Proxy, settings_at
from tests.http_server import HttpServer
from tests.ledger.test_requests import rows
from tests.ports import free_port

KEY = "a-key-for-clients"
PROGRAM = """#!{python} -S
import http.client, json, os, signal, sys, time, urllib.parse

if sys.argv[1:] == ["--version"]:
    print("1.2.3 (fake)")
    sys.exit()
signals, (reader, writer) = [], os.pipe()
os.set_blocking(writer, False)
signal.set_wakeup_fd(writer)
signal.signal(signal.SIGINT, lambda *_: signals.append("INT"))
signal.signal(signal.SIGTERM, lambda *_: signals.append("TERM"))
url = urllib.parse.urlsplit(os.environ["ANTHROPIC_BASE_URL"])
connection = http.client.HTTPConnection(url.netloc)
message = {{"role": "user", "content": "hi"}}
body = {{"model": os.environ["ANTHROPIC_MODEL"], "max_tokens": 9, "messages": [message]}}
key = os.environ.get("ANTHROPIC_AUTH_TOKEN") or os.environ["ANTHROPIC_API_KEY"]
headers = {{"authorization": f"Bearer {{key}}", "user-agent": "claude-cli/2.1.330"}}
connection.request("POST", url.path + "/v1/messages", json.dumps(body), headers)
response = connection.getresponse()
settings = sys.argv[2] if sys.argv[1:2] == ["--settings"] else None
record = {{
    "arguments": sys.argv[1:],
    "environ": dict(os.environ),
    "status": response.status,
    "settings": open(settings).read() if settings else None,
    "mode": os.stat(settings).st_mode & 0o777 if settings else None,
}}
response.read()
with open(os.environ["RECORD"], "w") as file:
    json.dump(record, file)
if sys.argv[-1] == "wait":
    print("waiting", flush=True)
    os.read(reader, 1)
    time.sleep(0.1)  # a second one would come at once
    print("got", *signals, end="" if sys.stdout.isatty() else "\\n", flush=True)
sys.exit(7)
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Install a fake Claude Code in a new home; return a function to read what it received."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "claude").write_text(PROGRAM.format(python=sys.executable))
    (programs / "claude").chmod(0o755)
    home = tmp_path / "user"
    (home / ".claude").mkdir(parents=True)
    (home / ".claude" / "settings.json").write_text('{"model": "opus"} // mine')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RECORD", str(tmp_path / "record.json"))
    monkeypatch.setenv("COPILOT_PROXY_PORT", str(free_port()))
    return lambda: json.loads((tmp_path / "record.json").read_text())


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch, record: object) -> Iterator[Proxy]:
    """A server that requires a key, at the address in the settings."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", KEY)
    with Simulator(pace=0) as simulator:
        settings = settings_at(simulator, ledger=True)
        with Proxy(settings) as proxy:
            monkeypatch.setenv("COPILOT_PROXY_PORT", proxy.url.rpartition(":")[2])
            yield proxy


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_client(cli: Cli, record: Callable[[], Any], running: Proxy, tmp_path: Path) -> None:
    """The client uses the running server with its key, and its own files are unchanged.

    Then the cost of this session is shown.
    """
    before = snapshot(tmp_path / "user")
    with running.client() as other:
        other.post("/v1/responses", json={"input": "hi"}, headers={"x-api-key": KEY})
    ran = cli("run", "claude", "--model", "haiku", "--", "-p", "--", "--model")

    seen = record()
    folder = Path(seen["arguments"][1]).parent
    assert 7 == ran.code, ran.err
    assert ["-p", "--", "--model"] == seen["arguments"][2:]
    assert 200 == seen["status"]
    assert KEY == seen["environ"]["ANTHROPIC_AUTH_TOKEN"]
    assert KEY not in " ".join(seen["arguments"])
    assert 0o600 == seen["mode"]
    assert seen["environ"]["ANTHROPIC_MODEL"] in seen["settings"]
    assert "claude-haiku-5.5" == seen["environ"]["ANTHROPIC_MODEL"]
    assert "claude-opus-5.5" == seen["environ"]["ANTHROPIC_DEFAULT_OPUS_MODEL"]
    assert "872000" == seen["environ"]["CLAUDE_CODE_MAX_CONTEXT_TOKENS"]
    assert not folder.exists()
    assert before == snapshot(tmp_path / "user")
    last = ran.err.strip().splitlines()[-1]
    assert re.match(r"This session: 1 request, (<)?0\.", last), ran.err
    assert last.endswith("% cached.")
    [row] = [one for one in rows(running.settings) if one["session"]]
    assert ("claude-code", "2.1.330") == (row["client"], row["client_version"])


def test_the_environment_of_a_client(
    cli: Cli, record: Callable[[], Any], running: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that would point the client elsewhere are removed, and proxies are not used."""
    monkeypatch.setenv("CLAUDE_CODE_USE_BEDROCK", "1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")
    cli("run", "Claude-Code")

    environ = record()["environ"]
    assert "CLAUDE_CODE_USE_BEDROCK" not in environ
    assert "example.com,127.0.0.1,localhost,::1" == environ["NO_PROXY"] == environ["no_proxy"]


def test_any_other_program(
    cli: Cli, record: Callable[[], Any], running: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``env`` sets the SDKs' variables, and the ledger has the program's name."""
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "of-somebody-else")
    ran = cli("run", "env", "--", "claude", "x")

    assert 7 == ran.code, ran.err
    environ = record()["environ"]
    assert ["x"] == record()["arguments"]
    assert f"{environ['ANTHROPIC_BASE_URL']}/v1" == environ["OPENAI_BASE_URL"]
    # Anthropic's SDK warns if both of these variables are set.
    assert {"ANTHROPIC_API_KEY"} == {"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"} & set(environ)
    assert re.search(r"/c/claude/p/[^/]+/s/run-\w+/v1$", environ["OPENAI_BASE_URL"])


@pytest.mark.parametrize(
    ("folder", "project"),
    [
        ("user/code/app/src", "app"),
        ("user/code", "code"),
        ("user/My Café ☕ 100%", "My Café ☕ 100%"),
        ("user/%2e%2e", "%2e%2e"),
        ("user/..hidden", "..hidden"),
        ("user/a\nb\u202e", "ab"),
        ("user/" + "x" * 200, "x" * 64),
        ("user/ghp_" + "a1" * 18, "***"),
        ("user", None),
        (".", None),
        ("/", None),
    ],
)
def test_the_project(
    cli: Cli,
    record: Callable[[], Any],
    running: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    project: str | None,
) -> None:
    """The ledger has the name of the repository's folder, or else of the current folder.

    The home folder and the folders above it are not projects, even if they are repositories.
    """
    for repository in ("user", "user/code/app"):
        (tmp_path / repository / ".git").mkdir(parents=True)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / folder)
    assert 7 == cli("run", "claude").code

    assert 200 == record()["status"]
    assert [(project, "claude-code")] == [
        (row["project"], row["client"]) for row in rows(running.settings)
    ]


def test_the_project_below_a_folder_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the user may not look into counts as a folder without a repository."""
    stat = os.stat

    def denied(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith(".git"):
            raise PermissionError(13, "Permission denied", path)
        return stat(path, **options)

    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    monkeypatch.setattr(os, "stat", denied)

    assert "app" == current_project()


def test_a_named_project(cli: Cli, record: Callable[[], Any], running: Proxy) -> None:
    """The user can name a project or opt out; a name that cannot be part of a URL is refused."""
    assert 7 == cli("run", "claude", "--project", "octo/Reports").code
    assert 7 == cli("run", "claude", "--project", "").code
    refused = [cli("run", "claude", "--project", name) for name in ("..", "x" * 65, "a\tb")]

    assert ["octo/Reports", None] == [row["project"] for row in rows(running.settings)]
    assert [2, 2, 2] == [one.code for one in refused]
    assert "Error: '..' cannot be the name of a project." in refused[0].err


def test_the_variables_for_a_shell(cli: Cli, record: object) -> None:
    """``env`` alone prints the variables, plus a message if no server is running."""
    ran = cli("run", "env")

    port = load_settings().port
    assert f"export OPENAI_BASE_URL=http://127.0.0.1:{port}/v1" in ran.out.splitlines()
    assert f"export ANTHROPIC_BASE_URL=http://127.0.0.1:{port}" in ran.out.splitlines()
    assert "No server is running" in ran.err
    simulated = cli("run", "env", "--simulate")
    assert simulated.err.endswith("Start one with: copilot-proxy serve --simulate\n")


def test_the_variables_without_the_key(
    cli: Cli, running: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If requests with these variables would all be refused, a warning is printed as well."""
    assert "" == cli("run", "env").err
    monkeypatch.delenv("COPILOT_PROXY_API_KEY")
    ran = cli("run", "env")

    assert "export OPENAI_API_KEY=unused" in ran.out
    assert f"The server at {running.url} requires an API key" in ran.err


def test_the_list(cli: Cli, record: object) -> None:
    """Without a client, each client is listed with its version, or with how to install it."""
    ran = cli("run")

    lines = ran.out.splitlines()
    assert ["claude", "Claude", "Code", "1.2.3"] == lines[0].split()
    assert len(RUNNABLE) + 1 == len(lines)
    assert any("install: npm install -g @openai/codex" in line for line in lines)


def test_a_missing_client(cli: Cli, record: object) -> None:
    """The error says how to install the client, or suggests a client for a mistyped name."""
    missing, mistyped = cli("run", "codex"), cli("run", "cladue")

    assert 127 == missing.code
    assert "npm install -g @openai/codex" in missing.err
    assert 2 == mistyped.code
    assert "claude" in mistyped.err.splitlines()[1]
    known = cli("run", "xyz").err.splitlines()[1]
    assert known.startswith("Use one of: claude, codex, ")
    assert "zed" not in known  # `run` cannot start it
    assert "run env -- PROGRAM" in cli("run", "xyz").err.replace("\xa0", " ")
    others = cli("connect", "xyz").err.replace("\xa0", " ")
    assert "zed" in others
    assert "For other programs: copilot-proxy connect sdk" in others


def test_a_client_that_cannot_be_started(cli: Cli, record: object) -> None:
    """For an editor, the hint suggests `connect`; for unsupported clients, it gives the reason."""
    zed, cursor = cli("run", "zed"), cli("run", "cursor")

    assert 2 == zed.code == cursor.code
    assert "Configure it with: copilot-proxy connect zed" in zed.err.replace("\xa0", " ")
    assert "Cursor cannot use this server" in cursor.err


def test_arguments_without_the_dashes(cli: Cli, record: object) -> None:
    """The error says where arguments for the client go."""
    ran = cli("run", "claude", "-p", "Hi")

    assert 2 == ran.code
    assert "go after --" in ran.err


def test_a_removed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients' server stops if its folder is removed, since no client can find it anymore."""
    stopped: list[bool] = []
    monkeypatch.setattr(server_process, "_stop", lambda: stopped.append(True))
    server_process._stop_when_unused(tmp_path / "removed")
    assert [True] == stopped


def test_requests_that_the_server_refuses(
    cli: Cli, record: object, running: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is not started for an unknown model, or if the server requires another key."""
    unknown = cli("run", "claude", "--model", "nonesuch")
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", "another-key")
    refused = cli("run", "claude")

    assert (1, 1) == (unknown.code, refused.code)
    assert "`nonesuch` does not exist" in unknown.err
    assert unknown.err.splitlines()[1].startswith("List the account's models with: ")
    assert 1 == unknown.err.count("copilot-proxy models")
    assert "COPILOT_PROXY_API_KEY" in refused.err


def test_a_model_that_the_client_cannot_use(
    cli: Cli, record: Callable[[], Any], running: Proxy
) -> None:
    """An embedding model is refused, except for the user's own programs.

    For a model that must be enabled, the link is shown.
    """
    embeddings = cli("run", "claude", "-m", "text-embedding-3-small")
    own = cli("run", "env", "-m", "text-embedding-3-small", "--", "true")
    empty = cli("run", "claude", "-m", "")
    waiting = cli("run", "claude", "-m", "gemini-4-neon")

    assert (2, 0, 2, 7) == (embeddings.code, own.code, empty.code, waiting.code), own.err
    assert "text-embedding-3-small is for embeddings, not for chat." in embeddings.err
    assert "The model name is empty." in empty.err
    assert "gemini-4-neon must be enabled first" in waiting.err
    assert "https://github.com/settings/copilot/features" in waiting.err


class OldServer(HttpServer):
    """An older server, whose paths have no client names."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        health = handler.path == "/health"
        handler.send_response(200 if health else 404)
        handler.end_headers()
        error = {"error": {"message": "Unknown URL", "code": "unknown_url"}}
        body = {"status": "ok", "version": "0.1.0", "simulated": False} if health else error
        handler.wfile.write(json.dumps(body).encode())


def test_an_older_server(cli: Cli, record: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is not started, since all of its requests would fail."""
    with OldServer() as server:
        monkeypatch.setenv("COPILOT_PROXY_PORT", str(server.port))
        ran = cli("run", "claude")

    assert 1 == ran.code
    assert f"The server at {server.url} is older" in ran.err


@pytest.mark.parametrize("code", [0, 1, 130])
def test_a_client_that_reads_ctrl_c_as_a_key(code: int) -> None:
    """If the exit code shows an interruption, the cost gets a line of its own."""
    ended = run_program(["sh", "-c", f"exit {code}"], os.environ)
    assert (code, code == 130) == ended


def test_a_server_of_their_own(record: Callable[[], Any]) -> None:
    """The first client starts a server for all clients, which stops after the last one ends.

    The server survives Ctrl+C, which is meant for the client. The cost is on a new line, even if
    the client's last line has no line break.
    """
    with Terminal("run", "claude", "--simulate", "--", "wait") as terminal:
        terminal.wait_for("waiting")
        first = record()["environ"]["ANTHROPIC_BASE_URL"].split("/")[2]
        port = int(first.rpartition(":")[2])
        second = subprocess.Popen(
            [sys.executable, "-m", "copilot_proxy", "run", "claude", "--simulate", "--", "wait"],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with second:
            assert second.stdout is not None
            assert "waiting\n" == second.stdout.readline()
            assert first == record()["environ"]["ANTHROPIC_BASE_URL"].split("/")[2]
            terminal.press("c")
            shown = terminal.wait_for("This session: 1 request")
            assert "run claude --simulate -- --continue" in terminal.wait_for("To continue it")
            assert 7 == terminal.end()
            assert is_listening(port)
            second.send_signal(signal.SIGTERM)
            out, err = second.communicate(timeout=60)

    assert "got INT\n" in f"{shown}\n"
    assert (7, "got TERM\n") == (second.returncode, out), err
    assert "This session: 1 request" in err
    wait_until(lambda: not is_listening(port))


def test_a_port_that_is_taken(
    cli: Cli, record: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another program uses the port, the clients' server picks a different one."""
    with Simulator(pace=0) as simulator, socket.create_server(("127.0.0.1", 0)) as other:
        sign_in(monkeypatch, simulator)
        taken = other.getsockname()[1]
        monkeypatch.setenv("COPILOT_PROXY_PORT", str(taken))
        monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        ran = cli("run", "claude")
        port = int(record()["environ"]["ANTHROPIC_BASE_URL"].split("/")[2].rpartition(":")[2])
        wait_until(lambda: not is_listening(port))

    assert 7 == ran.code, ran.err
    assert taken != port
    assert "This session: 1 request" in ran.err


def test_without_a_sign_in(cli: Cli, record: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server cannot start; the error is the same as with ``serve``, plus a workaround."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    ran = cli("run", "claude")

    assert 3 == ran.code
    assert "Error: Not signed in to GitHub." == ran.err.splitlines()[0]
    assert "copilot-proxy run claude --simulate" in ran.err.replace("\xa0", " ")
    ran = cli("run", "env", "--", "claude", "a b")
    assert "copilot-proxy run env --simulate -- claude 'a b'" in ran.err.replace("\xa0", " ")


def test_the_simulator_needs_no_state_folder(cli: Cli, record: Callable[[], Any]) -> None:
    """With `--simulate`, a client starts even if nothing can be written."""
    path = load_settings().state_dir / "run"
    path.parent.mkdir(parents=True)
    path.touch()
    ran = cli("run", "claude", "--simulate")

    assert (7, 200) == (ran.code, record()["status"]), ran.err


def test_a_full_disk(cli: Cli, record: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests need no disk, so the client starts, with a server of its own on another port."""

    with Simulator(pace=0) as simulator:
        sign_in(monkeypatch, simulator)
        monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
        write = Mock(side_effect=[OSError(errno.ENOSPC, "No space left on device"), None])
        monkeypatch.setattr(shared_server, "replace_private", write)
        ran = cli("run", "claude")
        port = int(record()["environ"]["ANTHROPIC_BASE_URL"].split("/")[2].rpartition(":")[2])
        wait_until(lambda: not is_listening(port))

    assert (7, 200) == (ran.code, record()["status"]), ran.err
    assert load_settings().port != port


def test_a_shared_server_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is already running is joined, and keeps running for the new client."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    settings = load_settings()
    first = shared_server.server_for(settings, simulate=True)
    server = first.__enter__()
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(shared_server, "replace_private", full)
    with shared_server.server_for(settings, simulate=True) as joined:
        assert server.url == joined.url
        first.__exit__(None, None, None)
        assert is_used(settings.state_dir / "run" / f"{settings.port}-simulated")
        assert is_listening(int(joined.url.rpartition(":")[2]))


@pytest.mark.parametrize("name", ["run", "run/{port}-simulated/start.lock"])
def test_a_file_that_cannot_be_written(cli: Cli, record: object, name: str) -> None:
    """The server needs a folder for its log and lock; the error says how to choose a folder."""
    settings = load_settings()
    path = settings.state_dir / name.format(port=settings.port)
    if path.suffix:
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.touch()
    ran = cli("run", "claude", *["--simulate"] * bool(path.suffix))

    assert 1 == ran.code
    assert f"Error: {path} cannot be written: " in ran.err
    assert "COPILOT_PROXY_HOME_DIR" in ran.err
