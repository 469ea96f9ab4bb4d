"""The ``pi-ai`` commands: what ``--upstream pi-ai`` needs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final

import typer

from copilot_proxy.cli.boundary import INTERRUPTED
from copilot_proxy.cli.console import result, talk
from copilot_proxy.settings import load_settings
from copilot_proxy.terminal import can_draw

_ENDING: Final = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]

pi_ai = typer.Typer(name="pi-ai", help="Install what --upstream pi-ai needs.")


@pi_ai.callback(invoke_without_command=True)
def options(context: typer.Context) -> None:
    """The bare group shows its help, as the bare program does."""
    if context.invoked_subcommand is None:
        result(context.get_help())


@pi_ai.command()
def install(
    force: Annotated[
        bool, typer.Option("--force", help="Install it anew, even if it is there.")
    ] = False,
) -> None:
    """Put the library pi-ai into the data folder, with npm."""
    from copilot_proxy.upstreams.pi_ai.install import Installer
    from copilot_proxy.upstreams.pi_ai.package import find_node, folder_of, version

    folder = folder_of(load_settings())
    node = find_node()
    try:
        with _interruptible(), _steps() as tell:
            installed = Installer(folder, node, tell).run(force=force)
    except KeyboardInterrupt:
        talk("\nStopped. Nothing half done is left.")
        raise typer.Exit(INTERRUPTED) from None
    if installed:
        talk(f"pi-ai {version()} is in {folder}.")
    else:
        talk(f"pi-ai {version()} is there already: {folder}. --force installs it anew.")
    talk("To use it: copilot-proxy serve --upstream pi-ai")


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """What is told a line for each step; on a terminal with the time that has passed."""
    if not can_draw():
        yield talk
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = SpinnerColumn("line"), TimeElapsedColumn()  # "line" is ASCII
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task("")
        yield lambda text: progress.console.print(text, markup=False, highlight=False)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets what asks the program to end do what Ctrl+C does, so that nothing is left behind."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            with suppress(ValueError):  # outside the main thread
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
