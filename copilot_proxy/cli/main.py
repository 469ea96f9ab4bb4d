"""The ``copilot-proxy`` command: its options, its commands, its way out.

A command is one function in a module of its own, which imports what is heavy when it runs: the
help must not pay for a server.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from copilot_proxy import __version__
from copilot_proxy.cli.boundary import give_up_stderr, guard, open_streams
from copilot_proxy.cli.chat import chat
from copilot_proxy.cli.console import result
from copilot_proxy.cli.login import login
from copilot_proxy.cli.logout import logout
from copilot_proxy.cli.models import models
from copilot_proxy.cli.pi_ai import pi_ai
from copilot_proxy.cli.serve import serve
from copilot_proxy.cli.simulate import simulate
from copilot_proxy.cli.status import status

_COMMANDS = (
    login,
    logout,
    status,
    serve,
    chat,
    models,
    simulate,
)

app = typer.Typer(
    name="copilot-proxy",
    help="Your own GitHub Copilot subscription as a local server that speaks the OpenAI and "
    "Anthropic APIs.",
    epilog="Begin with: copilot-proxy login",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in _COMMANDS:
    app.command()(command)
app.add_typer(pi_ai)


def _version(wanted: bool) -> None:
    if wanted:
        result(f"g-copilot-proxy {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print name and version.", callback=_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the program an error came from.")
    ] = False,
) -> None:
    """Nothing of its own: the help text stands at `app`, and `--debug` is read by `run`."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code."""
    own = list(arguments)
    end = own.index("--") if "--" in own else len(own)
    # It is asked for after something went wrong, so people put it at the end of the line.
    debug = "--debug" in own[:end]
    own[:end] = [argument for argument in own[:end] if argument != "--debug"]
    command = typer.main.get_command(app)
    names = [one.__name__ for one in _COMMANDS]
    return guard(
        lambda: command.main(own or ["--help"], prog_name="copilot-proxy", standalone_mode=False),
        debug=debug,
        called=" ".join(["copilot-proxy", *(name for name in own[:1] if name in names)]),
    )


def main() -> None:
    """The entry point."""
    open_streams()
    code = run(sys.argv[1:])
    give_up_stderr()
    sys.exit(code)
