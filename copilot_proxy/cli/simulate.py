"""The ``simulate`` command: the simulator alone, for trying things out by hand."""

import errno
import signal
import textwrap
from contextlib import suppress
from difflib import get_close_matches
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from copilot_proxy.cli.console import result, talk
from copilot_proxy.errors import CopilotProxyError, UsageError

if TYPE_CHECKING:
    from copilot_proxy.simulator import Simulator


def simulate(
    port: Annotated[
        int,
        typer.Option(
            help="Port to listen on; 0 takes a free one.", min=0, max=65535, metavar="NUMBER"
        ),
    ] = 8765,
    plan: Annotated[
        str,
        typer.Option(help="Plan of the simulated account, such as free or pro.", metavar="NAME"),
    ] = "pro",
    pace: Annotated[
        float | None,
        typer.Option(help="Seconds between two pieces of an answer.", min=0, metavar="SECONDS"),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="Something that goes wrong; may be repeated.", metavar="NAME[=VALUE]"),
    ] = None,
    list_faults: Annotated[
        bool, typer.Option("--list-faults", help="List everything that can go wrong, and end.")
    ] = False,
) -> None:
    """Stand in for GitHub and Copilot: no account needed."""
    from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator

    if list_faults:
        _list_faults()
        return
    _check(plan, fault or [])
    paced = {} if pace is None else {"pace": pace}
    simulator = Simulator(port=port, faults=fault or [], plan=plan, **paced)  # type: ignore[arg-type]  # mypy cannot see which option it is
    try:
        simulator.start()
    except OSError as error:
        raise CopilotProxyError(
            f"Port {port} cannot be used: {_reason(error)}.",
            hint="Use another one; --port 0 takes any that is free.",
        ) from error
    try:
        _tell(simulator, SIMULATED_TOKEN)
        _wait()
    finally:
        simulator.stop()
    talk("Stopped.")


def _reason(error: OSError) -> str:
    known = {errno.EADDRINUSE: "another program listens there"}
    return known.get(error.errno or 0) or error.strerror or "the system refuses it"


def _check(plan: str, faults: list[str]) -> None:
    from copilot_proxy.simulator import FAULTS
    from copilot_proxy.simulator.plans import PLANS

    if plan not in PLANS:
        raise UsageError(f"There is no plan {plan!r}.", hint=f"There are: {', '.join(PLANS)}.")
    for fault in faults:
        name = fault.partition("=")[0]
        if name not in FAULTS:
            near = get_close_matches(name, FAULTS, n=1)
            like = f"Did you mean {near[0]}? " if near else ""
            raise UsageError(
                f"There is no fault {name!r}.",
                hint=f"{like}All of them: copilot-proxy simulate --list-faults",
            )


def _list_faults() -> None:
    from copilot_proxy.simulator import FAULTS

    width = max(map(len, FAULTS))
    for name, description in FAULTS.items():
        first, *more = textwrap.wrap(description, 96 - width) or [""]
        result(f"{name:<{width}}  {first}")
        for line in more:
            result(" " * (width + 2) + line)


def _tell(simulator: "Simulator", token: str) -> None:
    url = simulator.url
    talk(f"The simulator is at {url}, in place of GitHub and Copilot.\n")
    talk("To use it, set this where copilot-proxy runs:\n")
    for line in (
        f"export COPILOT_PROXY_GITHUB_URL={url}",
        f"export COPILOT_PROXY_GITHUB_API_URL={url}",
        f"export COPILOT_PROXY_GITHUB_TOKEN={token}",
    ):
        # A token of the simulator's opens nothing; it is meant to be seen.
        result(line)
    talk("\nTo try signing in as well, leave the token out, keep your own folder out of it, and")
    talk("sign in; the code is approved after a few seconds by itself:\n")
    talk("  unset COPILOT_PROXY_GITHUB_TOKEN")
    talk("  export COPILOT_PROXY_HOME_DIR=$(mktemp -d)")
    talk("  copilot-proxy login --store file --no-browser\n")
    talk("When the simulator ends, it forgets who signed in: sign in again after a restart.\n")
    on = simulator.state.faults.listed()["on"]
    if on:
        talk(f"Going wrong: {', '.join(on)}.")
    talk("Switch faults by hand with PUT and DELETE, and look at what was asked for:\n")
    talk(f"  curl -X PUT {url}/_simulator/faults/server_error_500")
    talk(f"  curl -X DELETE {url}/_simulator/faults")
    talk(f"  curl {url}/_simulator/requests\n")
    talk("Stop with Ctrl+C.")


def _wait() -> None:
    """Until Ctrl+C, or until the system asks for the end."""
    ended = Event()
    before = signal.getsignal(signal.SIGTERM)
    with suppress(ValueError):  # outside the main thread
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        # A wait without a timeout cannot be interrupted on every platform.
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        talk()
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, before)
