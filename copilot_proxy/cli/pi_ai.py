"""The ``pi-ai`` commands: what ``--upstream pi-ai`` needs."""

from typing import Annotated

import typer

from copilot_proxy.cli.console import talk
from copilot_proxy.settings import load_settings

pi_ai = typer.Typer(name="pi-ai", help="Install what --upstream pi-ai needs.")


@pi_ai.callback()
def options() -> None:
    """Nothing of its own: it makes `install` a command of a group."""


@pi_ai.command()
def install(
    force: Annotated[
        bool, typer.Option("--force", help="Install it anew, even if it is there.")
    ] = False,
) -> None:
    """Put the library pi-ai into the data folder, with npm."""
    from copilot_proxy.upstreams.pi_ai_install import Installer
    from copilot_proxy.upstreams.pi_ai_package import find_node, folder_of, version

    folder = folder_of(load_settings())
    find_node()
    if Installer(folder, talk).run(force=force):
        talk(f"pi-ai {version()} is in {folder}.")
    else:
        talk(f"pi-ai {version()} is there already: {folder}. --force installs it anew.")
    talk("To use it: copilot-proxy serve --upstream pi-ai")
