"""Shell completion: the candidates that the shell offers for a command line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Cli


def completed(home: Path, line: str) -> list[str]:
    """Return the completions that bash would offer after `line`."""
    words = line.split(" ")
    asked = {
        "_COPILOT_PROXY_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "COPILOT_PROXY_HOME_DIR": str(home),
    }
    code = (
        "import sys; sys.argv[0] = 'copilot-proxy'; from copilot_proxy.cli.main import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "" == ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("usage mo", ["month", "model"]),
        ("usage import ", ["copilot-cli"]),
        ("budget ", ["set", "raise", "off"]),
    ],
)
def test_words(tmp_path: Path, line: str, expected: list[str]) -> None:
    """Subcommands and options are offered, as are the values of options with fixed choices."""
    assert expected == completed(tmp_path, f"copilot-proxy {line}")


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of a user whose shell is unknown."""
    home = tmp_path / "user"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("SHELL", "ZDOTDIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


def test_the_shell_can_be_named(cli: Cli, user: Path) -> None:
    """Completion is installed for the named shell; installing it again changes nothing."""
    (user / ".zshrc").write_text("export A=1")
    first = cli("--install-completion", "zsh")
    before = (user / ".zshrc").read_text()
    second = cli("--install-completion=zsh")
    shown = cli("--show-completion", "zsh")

    assert (0, 0) == (first.code, second.code), first.err
    script = user / ".zfunc" / "_copilot-proxy"
    assert str(script) in first.err
    assert script.read_text() == shown.out
    assert before.startswith("export A=1\nfpath+=")
    assert before == (user / ".zshrc").read_text()
    assert [".zfunc", ".zshrc"] == sorted(path.name for path in user.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="there is no umask")
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_other_user_can_change_the_script(cli: Cli, user: Path, shell: str) -> None:
    """The script is not writable by others under any umask, because the shell runs it."""
    before = os.umask(0)
    try:
        assert 0 == cli("--install-completion", shell).code
    finally:
        os.umask(before)
    assert [] == [path for path in user.rglob("*") if path.stat().st_mode & 0o22]


def test_custom_folders(cli: Cli, user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Custom folders of zsh and fish are respected, and text that is not UTF-8 is kept."""
    for name in ("dots", "config"):
        (user / name).mkdir()
    (user / "dots" / ".zshrc").write_bytes(b"# caf\xe9\n")
    monkeypatch.setenv("ZDOTDIR", str(user / "dots"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user / "config"))

    assert [0, 0] == [cli("--install-completion", shell).code for shell in ("zsh", "fish")]
    assert (user / "dots" / ".zshrc").read_bytes().startswith(b"# caf\xe9\nfpath+=")
    assert (user / "config/fish/completions/copilot-proxy.fish").exists()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_home_folder_with_an_apostrophe(
    cli: Cli, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line in .bashrc is valid whatever characters the name of the home folder contains."""
    home = user / "O'Brien"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert 0 == cli("--install-completion", "bash").code
    command = ["bash", "--norc", "-c", '. "$HOME/.bashrc" && complete -p copilot-proxy']
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ("", 0) == (ran.stderr, ran.returncode)


@pytest.mark.parametrize("words", [["nosh"], ["zsh", "bash"]])
def test_a_shell_that_is_not_known(cli: Cli, user: Path, words: list[str]) -> None:
    """The error names the shells that are supported."""
    ran = cli("--install-completion", *words)

    assert 2 == ran.code
    assert "Use one of: bash, zsh, fish, " in ran.err
    assert [] == list(user.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
@pytest.mark.parametrize(
    ("shell", "typed", "added"),
    [("bash", "chat -m acm", "e-model"), ("zsh", "run openc", "ode")],
)
def test_the_first_tab(cli: Cli, user: Path, shell: str, typed: str, added: str) -> None:
    """The first Tab in a new terminal completes the command."""
    program = Path(sys.executable).with_name("copilot-proxy")
    if not shutil.which(shell) or not program.exists():
        pytest.skip(f"{shell} or copilot-proxy is not installed")
    assert 0 == cli("--install-completion", shell).code
    models = user / "state" / "models-for-completion.json"
    models.parent.mkdir()
    models.write_text('["acme-model"]')
    environ = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "TERM": "xterm",
        "COPILOT_PROXY_HOME_DIR": str(models.parent),
    }
    child = pexpect.spawn(shell, ["-i"], env=environ, encoding="utf-8", timeout=60)
    try:
        # A Tab sent before the shell reads the line would be lost.
        child.send("echo re''ady\r")
        child.expect_exact("ready")
        child.send(f"copilot-proxy {typed}")
        child.expect_exact(typed)
        child.send("\t")
        child.expect_exact(added)
    finally:
        child.close(force=True)
