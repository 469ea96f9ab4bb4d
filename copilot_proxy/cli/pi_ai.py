"""The ``pi-ai`` commands: install the library that ``--upstream pi-ai`` needs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, Final

import typer

from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.cli.error_boundary import INTERRUPTED
from copilot_proxy.settings import load_settings
from copilot_proxy.terminal import can_draw

_STOP_SIGNALS: Final = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]

pi_ai = typer.Typer(name="pi-ai", help="Install the library for --upstream pi-ai.")


@pi_ai.callback(invoke_without_command=True)
def options(context: typer.Context) -> None:
    """Show the help if no subcommand is given."""
    if context.invoked_subcommand is None:
        print_result(context.get_help())


@pi_ai.command()
def install(
    force: Annotated[
        bool, typer.Option("--force", help="Reinstall it even if it is intact.")
    ] = False,
) -> None:
    """Install the pi-ai library into the data folder, with npm."""
    from copilot_proxy.upstreams.pi_ai.install import Installer
    from copilot_proxy.upstreams.pi_ai.package import find_node, folder_of, version

    folder = folder_of(load_settings())
    node = find_node()
    try:
        with _interruptible(), _progress() as report:
            installed = Installer(folder, node, report).run(force=force)
    except KeyboardInterrupt:
        print_message("\nStopped. The unfinished installation was removed.")
        raise typer.Exit(INTERRUPTED) from None
    if installed:
        print_message(f"Installed pi-ai {version()} in {folder}.")
    else:
        print_message(
            f"pi-ai {version()} is already installed in {folder}. Use --force to reinstall it."
        )
    print_message("To use it: copilot-proxy serve --upstream pi-ai")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that prints a step; on a terminal, also show the elapsed time."""
    if not can_draw():
        yield print_message
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    columns = SpinnerColumn("line"), TimeElapsedColumn()  # the spinner "line" is plain ASCII
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        progress.add_task("")
        yield lambda text: progress.console.print(text, markup=False, highlight=False)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Treat other stop signals like Ctrl+C while the block runs, so that it can clean up."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
            with suppress(ValueError):  # not possible outside the main thread
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
