"""The ``copilot-proxy`` command: its global options, its subcommands and its exit code.

Each subcommand is in its own module, which `commands` imports on first use. Heavy modules are
imported only when the subcommand runs, so that ``--help`` stays fast.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from copilot_proxy import ENVIRONMENT_PREFIX, __version__
from copilot_proxy.cli.commands import COMMANDS, CommandGroup, with_option
from copilot_proxy.cli.console import is_interactive, print_message, print_result
from copilot_proxy.cli.error_boundary import flush_stderr, open_streams, run_command
from copilot_proxy.errors import UsageError

_PROFILE = f"{ENVIRONMENT_PREFIX}PROFILE"

app = typer.Typer(
    name="copilot-proxy",
    cls=CommandGroup,
    help="Use your own GitHub Copilot subscription through the OpenAI, Anthropic, Gemini and "
    "Ollama APIs, from a server on your own machine.",
    epilog="Get started with: copilot-proxy login. To try it without an account: "
    "copilot-proxy chat --simulate",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print_result(f"g-copilot-proxy {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the name and version.", callback=_version, is_eager=True
        ),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option(help="Use another account, with its own port and ledger.", metavar="NAME"),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Declare the global options. `run` handles ``--profile`` and ``--debug``."""
    from copilot_proxy.settings import unknown_variables

    for warning in unknown_variables(os.environ):
        print_message(warning)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    args = list(arguments)
    end = args.index("--") if "--" in args else len(args)
    # Users add --debug after seeing an error, so it may be anywhere on the line, even at the end.
    debug = "--debug" in args[:end]
    args[:end] = [argument for argument in args[:end] if argument != "--debug"]
    profile = _take_profile(args)
    args = with_option(args)
    command = typer.main.get_command(app)
    named = [name for name in args[:1] if name in COMMANDS]

    def main_command() -> object:
        from copilot_proxy.cli.completion_setup import completion_action

        if profile is not None:
            _check_profile(profile)
        elif args[-1:] == ["--profile"]:
            raise UsageError(
                "--profile needs a name.", hint="Example: copilot-proxy --profile work status"
            )
        if (action := completion_action(args)) is not None:
            return action()
        return command.main(args or ["--help"], prog_name="copilot-proxy", standalone_mode=False)

    with _environ(_PROFILE, profile):
        return run_command(
            main_command,
            debug=debug,
            command_path=" ".join(["copilot-proxy", *named]),
        )


def _take_profile(args: list[str]) -> str | None:
    """Remove ``--profile NAME`` from the arguments before any ``--``, and return the name.

    If there is no name, leave the flag in place.
    """
    end = args.index("--") if "--" in args else len(args)
    name = None
    for index, argument in reversed(list(enumerate(args[:end]))):
        if argument.startswith("--profile="):
            found, length = argument.partition("=")[2], 1
        elif argument == "--profile" and index + 1 < end:
            found, length = args[index + 1], 2
        else:
            continue
        name = found if name is None else name
        del args[index : index + length]
        end -= length
    return name


def _check_profile(name: str) -> None:
    """Raise `UsageError` if the name is invalid. A later check would blame an environment
    variable."""
    from copilot_proxy.settings.profiles import profile

    try:
        profile(name)
    except ValueError as error:
        raise UsageError(f"--profile is invalid: {error}.") from None


@contextmanager
def _environ(name: str, value: str | None) -> Iterator[None]:
    """Set the environment variable `name` while the block runs, unless `value` is None."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if value is not None and before is not None:
            os.environ[name] = before
        elif value is not None:
            os.environ.pop(name, None)


def _as_utf8(argument: str) -> str:
    """Return an argument decoded as UTF-8 regardless of the locale, with invalid bytes replaced.

    Python turns bytes that it cannot decode into lone surrogates, which cannot be sent or printed.
    """
    return os.fsencode(argument).decode("utf-8", "replace")


def _keep_owner_access() -> None:
    """Keep the umask from denying this program access to its own files."""
    os.umask(os.umask(0o077) & 0o077)


def main() -> None:
    """Run the program, and exit with its exit code."""
    _keep_owner_access()
    open_streams()
    arguments = [_as_utf8(argument) for argument in sys.argv[1:]]
    code = run(arguments)
    if is_interactive():
        from copilot_proxy.cli.updates import show_update

        show_update(next((one for one in arguments if one in COMMANDS), ""))
    flush_stderr()
    sys.exit(code)
