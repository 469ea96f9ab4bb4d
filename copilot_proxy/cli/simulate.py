"""The ``simulate`` command: runs the simulator without a server."""

import errno
import signal
import textwrap
from contextlib import suppress
from difflib import get_close_matches
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from copilot_proxy.cli.console import print_message, print_result
from copilot_proxy.errors import CopilotProxyError, UsageError

if TYPE_CHECKING:
    from copilot_proxy.simulator import Simulator


def simulate(
    port: Annotated[
        int,
        typer.Option(
            help="Port to listen on; 8765 by default, 0 for any free port.",
            min=0,
            max=65535,
            metavar="NUMBER",
            show_default=False,
        ),
    ] = 8765,
    plan: Annotated[
        str,
        typer.Option(
            help="The simulated account's plan, such as free or pro_credits (the default).",
            metavar="NAME",
            show_default=False,
        ),
    ] = "pro_credits",
    catalogue: Annotated[
        str | None,
        typer.Option(
            help="The account's models: 2026-11 (the default), 2026-03 or future.",
            metavar="NAME",
        ),
    ] = None,
    pace: Annotated[
        float | None,
        typer.Option(help="Seconds between chunks of a response.", min=0, metavar="SECONDS"),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Fault to simulate; may be repeated.", metavar="NAME[=VALUE]"),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="List all faults and exit.")
    ] = False,
) -> None:
    """Run a simulator of GitHub and Copilot; no account is needed."""
    from copilot_proxy.simulator import SIMULATED_TOKEN, Options, Simulator

    if list_faults:
        _list_faults()
        return
    _check(plan, catalogue, fault or [])
    options: Options = {"plan": plan}
    if pace is not None:
        options["pace"] = pace
    if catalogue is not None:
        options["catalogue"] = catalogue
    simulator = Simulator(port=port, faults=fault or [], **options)
    try:
        simulator.start()
    except OSError as error:
        raise CopilotProxyError(
            f"Port {port} cannot be used: {_reason(error)}.",
            hint="Use another port; --port 0 picks a free one.",
        ) from error
    try:
        _print_instructions(simulator, SIMULATED_TOKEN)
        _wait()
    finally:
        simulator.stop()
    print_message("Stopped.")


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program is listening on it"
    return error.strerror or "the system gave no reason"


def _check(plan: str, catalogue: str | None, faults: list[str]) -> None:
    from copilot_proxy.simulator import CATALOGUES, FAULTS
    from copilot_proxy.simulator.plans import PLANS

    if plan not in PLANS:
        raise UsageError(f"Unknown plan: {plan!r}.", hint=f"Use one of: {', '.join(PLANS)}.")
    if catalogue is not None and catalogue not in CATALOGUES:
        raise UsageError(
            f"Unknown catalogue: {catalogue!r}.", hint=f"Use one of: {', '.join(CATALOGUES)}."
        )
    for fault in faults:
        name = fault.partition("=")[0]
        if name not in FAULTS:
            matches = get_close_matches(name, FAULTS, n=1, cutoff=0.7)
            suggestion = f"Did you mean {matches[0]}? " if matches else ""
            raise UsageError(
                f"Unknown fault: {name!r}.",
                hint=f"{suggestion}List all faults: copilot-proxy simulate --list-faults",
            )


def _list_faults() -> None:
    from copilot_proxy.simulator import FAULTS

    width = max(map(len, FAULTS))
    for name, description in FAULTS.items():
        first, *more = textwrap.wrap(description, 96 - width) or [""]
        print_result(f"{name:<{width}}  {first}")
        for line in more:
            print_result(" " * (width + 2) + line)


def _print_instructions(simulator: "Simulator", token: str) -> None:
    url = simulator.url
    print_message(f"The simulator of GitHub and Copilot is at {url}.\n")
    print_message("To use it, set these variables before you run copilot-proxy:\n")
    for line in (
        f"export COPILOT_PROXY_GITHUB_URL={url}",
        f"export COPILOT_PROXY_GITHUB_API_URL={url}",
        f"export COPILOT_PROXY_GITHUB_TOKEN={token}",
    ):
        # The simulator's token is not secret.
        print_result(line)
    print_message(
        "\nTo try signing in, unset the token, use a temporary folder, and sign in;\n"
        "the code is approved automatically after a few seconds:\n"
    )
    print_message("  unset COPILOT_PROXY_GITHUB_TOKEN")
    print_message("  export COPILOT_PROXY_HOME_DIR=$(mktemp -d)")
    print_message("  copilot-proxy login --store file --no-browser\n")
    print_message("The simulator forgets sign-ins when it stops: sign in again after a restart.\n")
    on = simulator.state.faults.listed()["on"]
    if on:
        print_message(f"Active faults: {', '.join(on)}.")
    print_message("Turn faults on and off, and list the requests that were received:\n")
    print_message(f"  curl -X PUT {url}/_simulator/faults/server_error_500")
    print_message(f"  curl -X DELETE {url}/_simulator/faults")
    print_message(f"  curl {url}/_simulator/requests\n")
    print_message("Stop with Ctrl+C.")


def _wait() -> None:
    """Wait for Ctrl+C or SIGTERM."""
    stopped = Event()
    before = signal.getsignal(signal.SIGTERM)
    with suppress(ValueError):  # not possible outside the main thread
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        # On some platforms, waiting without a timeout cannot be interrupted.
        while not stopped.wait(0.5):
            pass
    except KeyboardInterrupt:
        print_message()
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, before)
