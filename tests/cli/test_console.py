"""How messages are printed: wrapping, runnable commands, and every kind of stdout."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from copilot_proxy import terminal
from copilot_proxy.cli import console
from copilot_proxy.cli.error_boundary import run_command
from copilot_proxy.errors import (
    CopilotProxyError,
    NotSignedIn,
    UpstreamUnreachable,
    UsageError,
)
from tests.cli.conftest import Cli, environment
from tests.cli.terminals import Terminal


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "terminal_width", lambda stream=None: 40)


@pytest.mark.usefixtures("narrow")
def test_a_question_is_broken_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path stays whole, so that it can be copied."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert console.confirmed("Store the token in ~/a/folder/credentials.json?")
    asked = ["Store the token in", "~/a/folder/credentials.json? [y/N]:"]
    assert asked == capsys.readouterr().err.rstrip().splitlines()


@pytest.mark.usefixtures("narrow")
def test_long_lines_are_broken_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Words, URLs and commands stay whole; indented lines are not wrapped."""
    console.print_message(
        "Some words, and then a very long address: https://github.com/settings/copilot/features\n"
        "To keep it in a file: copilot-proxy login --with-token --store file\n"
        "Or with COPILOT_PROXY_PORT=8001 copilot-proxy run\n"
        "  curl http://127.0.0.1:8000/v1/chat/completions -d '{}'\n"
        "  API key    required, as Authorization: Bearer KEY"
    )
    assert capsys.readouterr().err.splitlines() == [
        "Some words, and then a very long",
        "address:",
        "https://github.com/settings/copilot/features",
        "To keep it in a file:",
        "copilot-proxy login --with-token --store file",
        "Or with",
        "COPILOT_PROXY_PORT=8001 copilot-proxy run",
        "  curl http://127.0.0.1:8000/v1/chat/completions -d '{}'",
        "  API key    required, as Authorization:",
        "             Bearer KEY",
    ]


@pytest.mark.usefixtures("narrow")
def test_long_values_stay_in_their_column() -> None:
    """A value that does not fit on the line continues in the same column on the next."""
    rows = [("Plan", "Pro"), ("Quota", "900.0 of 1,500 AI credits left (60%)")]
    assert console.two_columns(rows).splitlines() == [
        "Plan          Pro",
        "Quota         900.0 of 1,500 AI credits",
        "              left (60%)",
    ]


def test_an_error_on_a_terminal() -> None:
    """No word of the error is split across lines."""
    with Terminal("status", columns=30) as terminal:
        terminal.end()
        assert terminal.lines[:2] == ["Error: Not signed in to", "GitHub."]


def test_lines_are_not_wrapped_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal, lines are not wrapped."""
    console.print_message("word " * 100)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("{folder}/copilot-proxy", "{folder}/copilot-proxy"),
        ("{found}/copilot-proxy", "copilot-proxy"),
        ("/nowhere/g-copilot-proxy", "/nowhere/g-copilot-proxy"),
        ("copilot-proxy", "copilot-proxy"),
        ("/usr/lib/python/copilot_proxy/__main__.py", "copilot-proxy"),
    ],
)
def test_commands_in_messages_can_be_run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    called: str,
    name: str,
) -> None:
    """If the program is not on the PATH, commands in messages use the path that started it."""
    for folder in ("folder", "found"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "copilot-proxy").write_text("#!/bin/sh\n")
        (tmp_path / folder / "copilot-proxy").chmod(0o755)
    folders = {"folder": tmp_path / "folder", "found": tmp_path / "found"}
    monkeypatch.setenv("PATH", str(tmp_path / "found"))
    monkeypatch.setattr(sys, "argv", [called.format(**folders)])
    console.print_error(
        CopilotProxyError(
            "It is copilot-proxy's.", hint="See copilot-proxy models.\nSee: copilot-proxy --help"
        )
    )
    program = name.format(**folders)
    assert capsys.readouterr().err == (
        f"Error: It is copilot-proxy's.\nSee {program} models.\nSee: {program} --help\n"
    )


def test_the_seconds_to_wait(capsys: pytest.CaptureFixture[str]) -> None:
    """The wait in seconds is shown exactly once."""
    for hint in (None, "Or ask another model.", "Wait 9 s."):
        console.print_error(CopilotProxyError("Busy.", hint=hint, headers={"retry-after": "9"}))
    assert capsys.readouterr().err.splitlines()[1::2] == [
        "Wait 9 s.",
        "Wait 9 s. Or ask another model.",
        "Wait 9 s.",
    ]


def test_no_wait_without_a_connection(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a connection, the hint says what to check first, not to wait for the server."""
    error = UpstreamUnreachable("No connection.", sent=False, hint="Check the address.")
    error.headers["retry-after"] = "2"
    console.print_error(error)
    assert capsys.readouterr().err == "Error: No connection.\nCheck the address.\n"


def test_a_token_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If a variable with a token is set, the hint says to unset it."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_x")
    console.print_error(NotSignedIn("Refused.", code="github_token_refused"))
    assert "COPILOT_PROXY_GITHUB_TOKEN is set and takes precedence over a sign-in: unset it." in (
        capsys.readouterr().err
    )


def test_a_personal_access_token_in_the_environment(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hint names the variable in full, and says to unset it first."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghp_0123456789")
    ran = cli("status")
    assert ran.code == 3
    assert "The token in COPILOT_PROXY_GITHUB_TOKEN is a classic personal access token" in ran.err
    assert "Unset it there" in ran.err


@pytest.mark.parametrize("term", ["dumb", "xterm"])
@pytest.mark.parametrize("no_color", ["", "1"])
def test_dumb_terminals_and_no_color(
    monkeypatch: pytest.MonkeyPatch, term: str, no_color: str
) -> None:
    """A dumb terminal receives no escape codes; NO_COLOR only disables styles."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert terminal.can_draw() is (term == "xterm")
    assert terminal.can_style() is (term == "xterm" and not no_color)


@pytest.mark.parametrize("arguments", [["models"], ["login", "--store", "file", "--no-browser"]])
def test_no_escape_codes_for_a_dumb_terminal(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """There is no bold heading, no box and no spinner."""
    monkeypatch.setenv("NO_COLOR", "")
    flags = ["--simulate"] if arguments == ["models"] else []
    with Terminal(*arguments, *flags, TERM="dumb") as terminal:
        if flags:
            assert terminal.end() == 0
        else:
            terminal.wait_for("Error")  # no server is listening there
    assert b"\x1b" not in terminal.written


def shell(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = f"{sys.executable} -m copilot_proxy"
    return subprocess.run(
        ["sh", "-c", line.replace("copilot-proxy", program)],
        env={**environment(), **environ},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        encoding="latin-1",
        timeout=60,
        check=False,
    )


def test_characters_that_stdout_cannot_write() -> None:
    """Characters that stdout cannot encode are replaced, since the answer has been paid for."""
    ran = shell("copilot-proxy chat --simulate 'smile 😀' | cat", PYTHONIOENCODING="cp1252")
    assert ran.stderr == ""
    assert ran.stdout.endswith("You said: smile ?\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["chat --simulate hello", "models --simulate", "--version"])
def test_a_full_disk(command: str) -> None:
    """The error contains the system's message."""
    ran = shell(f"copilot-proxy {command} >/dev/full")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "Error: The output cannot be written: No space left on device.\n" in ran.stderr
    assert "Exception" not in ran.stderr


def test_a_closed_stdout() -> None:
    """A closed stdout is an error, except for commands that print nothing to it."""
    ran = shell("copilot-proxy --version >&-")
    assert ran.returncode == 1
    assert ran.stderr.startswith("Error: The output cannot be written: ")
    assert ran.stderr.count("\n") == 1
    assert shell("copilot-proxy logout >&-").returncode == 0
    assert shell("copilot-proxy --version 2>&-").returncode == 0


def test_a_pipe_that_is_closed_early() -> None:
    """A reader such as `head` may close the pipe early; that is not an error."""
    ran = shell("(copilot-proxy models --simulate; echo $? >&2) | head -1 | cut -c 1-5")
    assert (ran.stdout, ran.stderr.splitlines()[-1]) == ("MODEL\n", "0")
    assert "Error" not in ran.stderr


def raising(error: Exception) -> int:
    def command() -> None:
        raise error

    return run_command(command, debug=False)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(24, "Too many open files"),
            "Error: The operating system reports: Too many open files.\n",
        ),
        (
            FileNotFoundError(2, "No such file", "/a/file"),
            "Error: /a/file: No such file.\n",
        ),
    ],
)
def test_system_errors_have_the_systems_message(
    capsys: pytest.CaptureFixture[str], error: OSError, said: str
) -> None:
    """The error contains the system's message, and the file's name if there is one."""
    assert raising(error) == 1
    assert capsys.readouterr().err == said


def test_a_system_error_without_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A system error without a message is reported as unexpected."""
    assert raising(OSError()) == 1
    assert "An unexpected error occurred" in capsys.readouterr().err


def test_debug_shows_only_our_frames_for_known_errors(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The traceback leaves out the frames of libraries."""

    def command() -> None:
        try:
            subprocess.run(["/nowhere"], check=True)
        except OSError as error:
            raise UsageError("It cannot.") from error

    run_command(command, debug=True)
    err = capsys.readouterr().err
    assert "UsageError: It cannot." in err
    assert "boundary.py" in err
    assert "subprocess.py" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--port", "x"], "'--port': 'x' is not a whole number."),
        (["serve", "--keep-alive", "x"], "'--keep-alive': 'x' is not a number."),
        (["serve", "--log-format", "xml"], "'--log-format': 'xml' is not one of"),
        (["simulate", "--port", "99999"], "'--port': 99999 is not in the range 0 to 65535."),
        (["simulate", "--pace", "-1"], "'--pace': -1.0 must be at least 0."),
        (["serve", "--cors-origin", "*"], "Error: --cors-origin is invalid: "),
    ],
)
def test_an_invalid_value_is_a_plain_error(cli: Cli, arguments: list[str], said: str) -> None:
    """The error is in plain English, and names the option."""
    ran = cli(*arguments)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "is not UTF-8 text."),
        (b"a =", "is not valid TOML"),
        (b"nonsense = 1", "unknown setting, 'nonsense'"),
        (b"port = 'x'", "is invalid: expected a whole number, not 'x'."),
        (None, "cannot be read: Is a directory."),
    ],
)
def test_a_broken_configuration(cli: Cli, tmp_path: Path, content: bytes | None, said: str) -> None:
    """The error says what is wrong, and how to fix it without deleting the file."""
    file = tmp_path / "home" / "config.toml"
    file.parent.mkdir(exist_ok=True)
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    ran = cli("status")
    assert ran.code == 2
    assert said in ran.err
    hint = ran.err.splitlines()[1]
    assert hint
    assert "remove the file" not in hint
    assert "remove it" not in hint or "the setting" in hint
