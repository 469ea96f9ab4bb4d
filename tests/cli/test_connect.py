"""``connect``: configures clients in a separate home, tests them, and undoes the changes."""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.cli import banner, connect_files
from copilot_proxy.cli.completion import complete_client, complete_model, complete_runnable
from copilot_proxy.clients.registry import CLIENTS
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.cli.conftest import Cli
from tests.cli.terminals import Terminal, sign_in, wait_until
from tests.conftest import Proxy, settings_at
from tests.ledger.test_requests import rows
from tests.ports import free_port

KEY = "a-key-for-clients"
SETTINGS = '{\n  // mine\n  "model": "opus",\n  "env": {"CLAUDE_CODE_USE_BEDROCK": "1"},\n}'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with only Claude Code's settings; no client is installed."""
    home = tmp_path / "user"
    (home / ".claude").mkdir(parents=True)
    (home / ".claude" / "settings.json").write_text(SETTINGS)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("COPILOT_PROXY_PORT", str(free_port()))
    return home


@pytest.fixture
def copilot() -> Iterator[Simulator]:
    """A simulator."""
    with Simulator(pace=0) as simulator:
        yield simulator


@pytest.fixture
def running(home: Path, copilot: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A server that requires a key, at the address in the settings."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", KEY)
    with Proxy(settings_at(copilot, ledger=True)) as proxy:
        monkeypatch.setenv("COPILOT_PROXY_PORT", proxy.url.rpartition(":")[2])
        yield proxy


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_client(cli: Cli, home: Path, running: Proxy) -> None:
    """Required settings are added and the rest is kept; a test request reports its cost.

    Undoing restores the file.
    """
    before = snapshot(home)
    (home / ".claude" / "settings.json").chmod(0o644)
    ran = cli("connect", "claude", "--yes", "--model", "haiku")

    assert 0 == ran.code, ran.err
    text = (home / ".claude" / "settings.json").read_text()
    assert text.startswith('{\n  // mine\n  "model": "opus",')
    assert f'"ANTHROPIC_BASE_URL": "{running.url}/c/claude-code"' in text
    assert f'"ANTHROPIC_AUTH_TOKEN": "{KEY}"' in text
    assert '"ANTHROPIC_MODEL": "claude-haiku-5.5"' in text
    assert '"CLAUDE_CODE_USE_BEDROCK": ""' in text
    assert KEY not in ran.err + ran.out
    assert '"ANTHROPIC_AUTH_TOKEN": "********"' in ran.err
    assert "Tried GET /v1/models: " in ran.err
    tried = next(one for one in ran.err.splitlines() if "Tried POST /v1/messages: answered" in one)
    assert " tokens in, " in tried
    assert tried.endswith(" AI credits.")
    assert "claude-code" == running.wait_for_record().attribution.client
    assert "was not found on this machine" in ran.err
    assert "~/.claude/settings.json can be read by other users" in ran.err

    again = cli("connect", "claude", "--yes", "--model", "haiku", "--no-probe")
    assert "Nothing was changed" in again.err
    assert 0 == cli("connect", "claude", "--undo", "--yes").code
    assert before == snapshot(home)
    assert (
        "`connect` has not changed any of Claude Code's files"
        in cli("connect", "claude", "--undo").err
    )


def test_undo_keeps_edited_values(cli: Cli, home: Path, running: Proxy) -> None:
    """A value that the user has changed in the meantime is kept, and the output says so."""
    path = home / ".claude" / "settings.json"
    cli("connect", "claude", "--yes", "--no-probe", "--model", "haiku")
    path.write_text(path.read_text().replace('"claude-haiku-5.5"', '"mine"', 1))
    ran = cli("connect", "claude", "--undo", "--yes")

    edited = "Edited after `connect`, so kept in ~/.claude/settings.json: env."
    assert edited in ran.err
    assert '"mine"' in path.read_text()
    assert "ANTHROPIC_BASE_URL" not in path.read_text()

    path = home / ".config" / "zed" / "settings.json"
    cli("connect", "zed", "--yes", "--no-probe")
    edited = path.read_text().replace("/c/zed/v1", "/v1")
    path.write_text(edited)
    ran = cli("connect", "zed", "--undo", "--yes")
    assert "openai_compatible.copilot-proxy\nThere was nothing else to undo." in ran.err
    assert edited == path.read_text()


def test_all_clients(cli: Cli, home: Path, running: Proxy) -> None:
    """Each client is configured and restored, or only its instructions are printed."""
    before = snapshot(home)
    for client in CLIENTS:
        word = client.word
        printed = cli("connect", word, "--print")
        assert before == snapshot(home), word
        assert (word == "cursor") == printed.code, printed.err
        assert KEY in printed.out or word in ("cursor", "zed", "goose"), word
        ran = cli("connect", word, "--yes", "--no-probe")

        assert (word == "cursor") == ran.code, ran.err
        if before == snapshot(home):
            assert printed.out == ran.out, word
            continue
        assert KEY not in ran.out + ran.err, word
        assert "" == ran.out
        for path in {*snapshot(home)} - {*before}:
            assert 0o600 == Path(path).stat().st_mode & 0o777
            if path.endswith(".json"):
                json.loads(Path(path).read_text())
            if path.endswith(".toml"):
                tomllib.loads(Path(path).read_text())
        assert 0 == cli("connect", word, "--undo", "--yes").code
        assert before == snapshot(home), word


def test_it_asks(home: Path, running: Proxy) -> None:
    """On a terminal, the command shows the diff and asks; without a yes, nothing is changed."""
    before = snapshot(home)
    with Terminal("connect", "claude") as terminal:
        shown = terminal.wait_for("[y/N]")
        terminal.type("n")
        assert 1 == terminal.end()
    assert '+    "ANTHROPIC_AUTH_TOKEN": "********"' in shown
    assert before == snapshot(home)


def test_a_simulated_server(cli: Cli, home: Path, copilot: Simulator, tmp_path: Path) -> None:
    """The models are described as simulated, both before the question and with the instructions."""
    with (
        Proxy(settings_at(copilot, ledger=True), simulated=True) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("COPILOT_PROXY_PORT", proxy.url.rpartition(":")[2])
        with Terminal("connect", "claude") as terminal:
            shown = terminal.wait_for("[y/N]")
            terminal.type("n")
            assert 1 == terminal.end()
        printed = cli("connect", "zed", "--print")
        asked_for = cli("connect", "claude", "--simulate", "--yes", "--no-probe")
    words = " ".join(shown.split())
    assert "This configuration is for a simulator" in words
    assert f"The server at {proxy.url} was started with --simulate." in words
    assert "settings.json to use the simulator? [y/N]" in words
    assert "This configuration is for a simulator" in printed.err
    assert "This configuration is for a simulator" not in printed.out
    assert "This configuration is for a simulator" in asked_for.err
    assert "was started with" not in asked_for.err


def test_without_a_terminal(cli: Cli, home: Path, running: Proxy) -> None:
    """Consent requires a flag; with --dry-run, the diff is the result."""
    before = snapshot(home)
    asked, dry = cli("connect", "claude"), cli("connect", "claude", "--dry-run")

    assert 2 == asked.code
    assert "add --yes" in asked.err
    assert 0 == dry.code
    assert dry.out.startswith("--- ~/.claude/settings.json\n")
    assert before == snapshot(home)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [("{ broken", 0o600, "is not valid JSON (line 1)"), (SETTINGS, 0o400, "is read-only")],
)
def test_a_file_that_cannot_be_changed(
    cli: Cli, home: Path, running: Proxy, content: str, mode: int, reason: str
) -> None:
    """The error gives the reason, and the lines to add by hand are printed."""
    path = home / ".claude" / "settings.json"
    path.write_text(content)
    path.chmod(mode)
    ran = cli("connect", "claude", "--yes")

    assert 1 == ran.code
    assert f"Error: ~/.claude/settings.json {reason}. Nothing was changed." in ran.err
    assert f'"ANTHROPIC_BASE_URL": "{running.url}/c/claude-code"' in ran.out
    assert content == path.read_text()


def test_another_address(cli: Cli, running: Proxy) -> None:
    """Instructions for a container use the address that is reachable from it."""
    ran = cli("connect", "open-webui", "--url", "http://host.docker.internal:8000/v1/")
    assert "http://host.docker.internal:8000/c/open-webui/v1" in ran.out

    assert 2 == cli("connect", "open-webui", "--url", "host:8000").code


def test_a_unix_socket(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients cannot use a Unix socket, so they are not configured with an unreachable address."""
    monkeypatch.setenv("COPILOT_PROXY_UDS", str(home / "socket"))
    ran = cli("connect", "claude", "--yes")

    assert 2 == ran.code
    assert "Unix socket" in ran.err


def test_the_banner(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, the banner names the installed clients and their commands.

    If the port comes from a flag, the commands include it; otherwise, they would use another port.
    """
    (tmp_path / "bin").mkdir()
    for name in ("codex", "claude"):
        (tmp_path / "bin" / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    url = "http://127.0.0.1:8001"

    def shown(**flags: object) -> str:
        return banner.Banner(settings=load_settings(flags), address=url, catalogue=None).text()

    assert "Clients" not in shown()
    monkeypatch.setattr(banner, "stderr_is_tty", lambda: True)
    assert "Clients    claude, codex: start one with copilot-proxy run claude" in shown()
    assert "start one with COPILOT_PROXY_PORT=8001 copilot-proxy run" in shown(port=0)
    assert "Clients" not in shown(host="::1")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "Clients" not in shown()


def test_ctrl_c(home: Path, running: Proxy) -> None:
    """Ctrl+C at the question changes nothing."""
    before = snapshot(home)
    with Terminal("connect", "claude") as terminal:
        terminal.wait_for("[y/N]")
        terminal.press("c")
        assert 130 == terminal.end()
    assert before == snapshot(home)


def test_a_variable_that_wins(cli: Cli, running: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that would send the client to another server is named."""
    monkeypatch.setenv("CLAUDE_CODE_OAUTH_TOKEN", "x")

    ran = cli("connect", "claude", "--yes", "--no-probe")
    assert "CLAUDE_CODE_OAUTH_TOKEN is set in your environment" in ran.err


def test_a_request_that_fails(cli: Cli, running: Proxy, copilot: Simulator) -> None:
    """The error that the client would see is shown; the change, which did not cause it, is kept."""
    copilot.state.faults.on("quota_exceeded")
    ran = cli("connect", "pi", "--yes")

    assert 1 == ran.code
    assert "Tried POST /v1/chat/completions: 400, " in ran.err
    assert "quota is used up" in ran.err
    assert "connect pi --undo" in ran.err.replace("\xa0", " ")


def test_the_list(cli: Cli, home: Path, running: Proxy, tmp_path: Path) -> None:
    """The list shows whether each client is installed and connected, and its last request."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "claude"
    program.write_text("#!/bin/sh\necho 7.8.9\n")
    program.chmod(0o755)
    os.environ["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    cli("connect", "claude", "--yes")
    cli("connect", "pi", "--yes", "--no-probe")
    (home / ".pi" / "agent" / "extensions" / "copilot-proxy.ts").write_text("// mine now")
    wait_until(lambda: bool(rows(running.settings)))
    found = {line.split()[0]: line.split() for line in cli("connect").out.splitlines()}

    assert ["claude", "Claude", "Code", "7.8.9", "yes"] == found["claude"][:5]
    assert found["claude"][5].startswith("20")
    assert ["pi", "pi", "-", "changed", "since", "-"] == found["pi"]
    assert ["zed", "Zed", "-", "-", "-"] == found["zed"]
    assert len(CLIENTS) + 1 == len(found)
    load_settings().ledger_file.write_bytes(b"damaged" * 1000)
    assert len(CLIENTS) + 1 == len(cli("connect").out.splitlines())


def test_without_a_server(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary server provides the models; a message says that the client needs a server."""
    monkeypatch.setenv("PYTHONPATH", str(Path(connect_files.__file__).parents[2]))
    with Simulator(pace=0) as simulator:
        sign_in(monkeypatch, simulator)
        ran = cli("connect", "llm", "--yes", "--no-probe")

    assert 0 == ran.code, ran.err
    assert "needs a running server." in ran.err
    port = load_settings().port
    assert f"http://127.0.0.1:{port}/c/llm/v1" in next(home.rglob("extra-openai*")).read_text()


def test_mistakes(cli: Cli, home: Path) -> None:
    """A mistyped name gets a suggestion; without a sign-in, the simulator is suggested."""
    mistyped, nobody = cli("connect", "zedd"), cli("connect", "zed")

    assert 2 == mistyped.code
    assert "Did you mean zed?" in mistyped.err
    assert 3 == nobody.code
    assert "copilot-proxy connect zed --simulate" in nobody.err.replace("\xa0", " ")
    assert 2 == cli("connect", "--undo").code
    cursor = cli("connect", "cursor")  # signing in would not help
    assert 1 == cursor.code
    assert "Cursor cannot use this server" in cursor.out


def test_completion(cli: Cli, running: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients, families, aliases and the last known models are offered, despite broken files."""
    assert [("codex", "Codex CLI"), ("codecompanion", "codecompanion.nvim")] == sorted(
        complete_client("cod"), reverse=True
    )
    assert [("env", "any other program")] == complete_runnable("en")
    assert [] == complete_runnable("zed")
    cli("connect", "zed", "--dry-run")
    known = complete_model("claude-")
    assert {"claude-sonnet", "claude-haiku-5.5"} <= {*known}
    assert len(known) == len(set(known))
    (load_settings().state_dir / "models-for-completion.json").write_text("{")
    assert "claude-sonnet" in complete_model("claude-")
    monkeypatch.setenv("COPILOT_PROXY_PORT", "none")
    assert "claude-sonnet" in complete_model("claude-")


@pytest.mark.parametrize(
    "content", ["{", "[]", "[" * 5000, '{"files": [{"path": 1}], "about": {}}']
)
def test_a_damaged_journal(cli: Cli, home: Path, tmp_path: Path, content: str) -> None:
    """If the journal is damaged, undoing is an error, which says where the old files are."""
    journal = load_settings({}).state_dir / "backups" / "claude-code" / "journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text(content)
    ran = cli("connect", "claude", "--undo", "--yes")

    assert 1 == ran.code
    assert "journal is damaged" in ran.err
    assert str(journal.parent) in ran.err.replace("\n", "")
    assert SETTINGS == (home / ".claude" / "settings.json").read_text()
