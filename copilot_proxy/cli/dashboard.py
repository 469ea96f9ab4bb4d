"""The ``dashboard`` command: opens the page of a server running on this machine."""

import os
import sys
from typing import Annotated

import typer

from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.private_files import failure_reason
from copilot_proxy.settings import Settings, load_settings


def dashboard(
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open the browser, or only print the address."),
    ] = True,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Use a server that was started with --simulate.")
    ] = False,
) -> None:
    """Open the dashboard of a running server in the browser."""
    from copilot_proxy.cli.shared_server import running_server
    from copilot_proxy.dashboard.login_codes import make_code

    settings = load_settings()
    server = running_server(settings, simulate=simulate)
    if server is None:
        raise _no_server(settings, simulate=simulate)
    address = f"{server.url}/"
    needs_key = bool(settings.keys) or server.refuses_key()
    if needs_key:
        try:
            # The code comes after the #, so that it is neither sent to a server nor logged. It
            # works only once.
            address += f"#code={make_code(settings.state_dir)}"
        except OSError as error:
            raise CopilotProxyError(
                f"{settings.state_dir} cannot be written to: {failure_reason(error)}.",
                hint=f"Open {server.url}/ and enter an API key.",
            ) from error
    if browser and _open(address):
        print_message(f"Opened {server.url}/ in the browser.")
        return
    if needs_key:
        print_message("Open this address within two minutes; it works only once.")
    print_result(address)


def _no_server(settings: Settings, *, simulate: bool) -> CopilotProxyError:
    """Return the error to raise when no server is running."""
    from copilot_proxy.cli.shared_server import address_of
    from copilot_proxy.doctor.server_facts import read_server

    address = address_of(settings)
    facts = read_server(settings)
    if facts.owner:
        return CopilotProxyError(
            f"Port {settings.port} is in use by {facts.owner}.",
            hint="Set COPILOT_PROXY_PORT to the server's port. If no server is running, set it to "
            "a free port and run: copilot-proxy serve",
        )
    flag = " --simulate" if simulate else ""
    return CopilotProxyError(
        f"No {'simulated ' * simulate}server is running at {address}.",
        hint=f"Start one with: copilot-proxy serve{flag}",
    )


def _open(address: str) -> bool:
    """Open the address in a browser. Return False if there is no browser, for example over SSH."""
    is_linux = sys.platform.startswith("linux")
    if is_linux and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False  # a browser in the terminal could not show the page
    from copilot_proxy.cli.login_screen import start_browser

    try:
        # Do not wait for the browser: some exit only when the user closes them.
        start_browser(address)
    except OSError:
        return False
    return True
