"""``login --from``: signing in with the sign-in of another program."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from keyring.credentials import SimpleCredential

from copilot_proxy.auth import other_programs
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import FOREIGN_TOKEN, SIMULATED_PAT, SIMULATED_TOKEN
from tests.auth.keyrings import MemoryKeyring
from tests.cli.conftest import Cli, Terminal

Program = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = "credentials.json"


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user without any other programs."""
    home = tmp_path / "user"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CONFIG_HOME", "COPILOT_GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(home / "bin"))
    return home


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def install_gh(user: Path, script: str) -> None:
    program = user / "bin/gh"
    write(program, f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def editor_folder(user: Path) -> Path:
    return user / ("" if sys.platform == "win32" else ".config") / "github-copilot"


def test_the_token_of_an_editor_is_exchanged(
    cli: Cli, simulator: Simulator, own_home: Path, user: Path
) -> None:
    """Of several apps' tokens, the editor plugins' own is preferred; other hosts are ignored."""
    apps = {
        "github.com:Iv23other": {"user": "mona", "oauth_token": FOREIGN_TOKEN},
        "acme.ghe.com:Iv1.b507a08c87ecfe98": {"oauth_token": "ghu_of_another_host"},
        "github.com:Iv1.b507a08c87ecfe98": {"user": "mona", "oauth_token": SIMULATED_TOKEN},
    }
    write(editor_folder(user) / "apps.json", apps)
    ran = cli("login", "--from", "editor", "--yes", "--store", "file")

    assert 0 == ran.code, ran.err
    assert "Signed in as mona" in ran.err
    assert SIMULATED_TOKEN == json.loads((own_home / FILE).read_text())["token"]
    assert "ghu_" not in ran.err
    assert "the way Copilot CLI uses it" not in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_the_token_of_github_cli_is_used_directly(
    cli: Cli, program: Program, simulator: Simulator, user: Path
) -> None:
    """GitHub CLI's token cannot be exchanged, but Copilot accepts it, and a message says so."""
    install_gh(user, f'test "$*" = "auth token --hostname github.com" && echo {FOREIGN_TOKEN}')
    ran = cli("login", "--from", "gh", "--yes", "--store", "file")

    assert 0 == ran.code, ran.err
    assert "Found a token in GitHub CLI." in ran.err
    assert "This token is used the way Copilot CLI uses it." in ran.err
    answer = program("chat", "Hi")
    assert 0 == answer.returncode, answer.stderr
    assert "simulator" in answer.stdout
    asked = simulator.state.requests[-1].headers
    assert f"Bearer {FOREIGN_TOKEN}" == asked["authorization"]
    assert "copilot-developer-cli" == asked["copilot-integration-id"]
    assert "editor-version" not in asked


@pytest.mark.parametrize("table", ["copilotTokens", "copilot_tokens"])
@pytest.mark.parametrize("entry", [FOREIGN_TOKEN, {"token": FOREIGN_TOKEN}])
def test_the_token_of_copilot_cli(
    cli: Cli, simulator: Simulator, user: Path, table: str, entry: object
) -> None:
    """Copilot CLI's file may contain comments, and either form of the token table."""
    text = json.dumps({table: {"https://github.com:mona": entry}, "a": "https://b"}, indent=1)
    write(user / ".copilot/config.json", f"// Managed automatically.\n{text}")
    ran = cli("login", "--from", "copilot-cli", "--yes", "--store", "file")

    assert 0 == ran.code, ran.err
    assert "config.json" in ran.err


@pytest.mark.parametrize("name", ["https://mygithub.com:mona", "https://github.com.example:mona"])
def test_the_token_of_another_host_is_not_taken(
    cli: Cli,
    simulator: Simulator,
    user: Path,
    memory_keyring: MemoryKeyring,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Another host's token is not sent, even if that host's name contains the right host's name."""
    text = json.dumps({"copilotTokens": {name: FOREIGN_TOKEN}})
    write(user / ".copilot/config.json", text)
    monkeypatch.setattr(
        memory_keyring, "get_credential", lambda *_: SimpleCredential(name, FOREIGN_TOKEN)
    )
    ran = cli("login", "--from", "copilot-cli", "--yes", "--store", "file")

    assert (1, True) == (ran.code, "Copilot CLI is not signed in" in ran.err)
    assert [] == simulator.state.requests


def test_the_token_of_copilot_cli_in_the_keyring(
    cli: Cli,
    simulator: Simulator,
    memory_keyring: MemoryKeyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name of the keyring entry does not matter."""
    found = SimpleCredential("https://github.com:mona", FOREIGN_TOKEN)
    monkeypatch.setattr(
        memory_keyring,
        "get_credential",
        # As the Secret Service does.
        lambda service, name: found if (service, name) == ("copilot-cli", None) else None,
    )
    ran = cli("login", "--from", "copilot-cli", "--yes")

    assert 0 == ran.code, ran.err
    assert "Found a token in the system keyring." in ran.err


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("gh", "GitHub CLI is not installed"),
        ("copilot-cli", "Copilot CLI is not signed in"),
        ("editor", "No editor has stored a token for github.com"),
    ],
)
def test_the_message_names_what_is_missing(
    cli: Cli, simulator: Simulator, own_home: Path, program: str, message: str
) -> None:
    """Nothing is sent, and the message names another way to sign in."""
    ran = cli("login", "--from", program, "--yes", "--store", "file")

    assert 1 == ran.code
    assert message in ran.err
    assert "copilot-proxy login" in ran.err
    assert [] == simulator.state.requests
    assert not (own_home / FILE).exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_github_cli_is_not_signed_in(cli: Cli, simulator: Simulator, user: Path) -> None:
    """The hint names GitHub CLI's own sign-in command."""
    install_gh(user, "echo no oauth token found >&2; exit 1")
    ran = cli("login", "--from", "gh", "--yes", "--store", "file")

    assert 1 == ran.code
    assert "gh auth login --hostname github.com" in ran.err


def test_an_encrypted_token_is_named_as_such(cli: Cli, simulator: Simulator, user: Path) -> None:
    """Newer plugins store the token in an encrypted database."""
    write(editor_folder(user) / "auth.db", "SQLite")
    ran = cli("login", "--from", "editor", "--yes", "--store", "file")
    assert "encrypts its token" in ran.err


def test_it_asks_for_consent_first(
    cli: Cli, simulator: Simulator, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, a flag is required as consent; nothing is read without consent."""
    monkeypatch.setattr(other_programs, "find_token", None)
    ran = cli("login", "--from", "gh", "--store", "file")

    assert 2 == ran.code
    assert "copilot-proxy login --from gh --store file --yes" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_one_error_names_all_flags(cli: Cli, simulator: Simulator, user: Path) -> None:
    """Without a terminal and a keyring, the hint shows the flags that replace both questions."""
    install_gh(user, f"echo {FOREIGN_TOKEN}")
    ran = cli("login", "--from", "gh")
    hint = ran.err.replace("\xa0", " ").splitlines()[-1]
    again = cli(*hint.partition("copilot-proxy ")[2].split())

    assert (1, 0) == (ran.code, again.code), again.err
    assert [] != simulator.state.requests


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
def test_one_question_is_enough(
    terminal: Callable[..., Terminal], simulator: Simulator, user: Path
) -> None:
    """On a terminal without a keyring, one question covers both the sign-in and the file."""
    install_gh(user, f"echo {FOREIGN_TOKEN}")
    person = terminal("login", "--from", "gh")
    asked = " ".join(person.expect("[y/N]: ").split())
    person.type("y")

    assert 0 == person.end(), person.screen
    assert asked.startswith("No keyring is available. Read GitHub CLI's token")
    assert "readable only by you? [y/N]:" in asked
    assert 1 == person.screen.count("[y/N]")


def test_a_fine_grained_token_with_the_permission_works(
    cli: Cli, program: Program, simulator: Simulator
) -> None:
    """Copilot accepts the token as if it came from Copilot CLI."""
    ran = cli("login", "--with-token", "--store", "file", stdin=SIMULATED_PAT)

    assert 0 == ran.code, ran.err
    assert "simulator" in program("chat", "Hi").stdout
    assert all("/v2/token" not in one.path for one in simulator.state.requests)


def test_a_fine_grained_token_without_the_permission(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The error names the missing permission, and the token is not stored."""
    token = "github_pat_11Without0000000000"
    simulator.state._oauth[token] = False
    ran = cli("login", "--with-token", "--store", "file", stdin=token)

    assert 3 == ran.code
    assert '"Copilot Requests"' in ran.err
    assert not (own_home / FILE).exists()
