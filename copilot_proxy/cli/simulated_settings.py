"""Loads the settings for a command; with ``--simulate``, they point to a simulator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from copilot_proxy.errors import hints_for_simulator
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.simulator import Simulator


@contextmanager
def settings_for(
    flags: Mapping[str, object], *, simulate: bool
) -> "Iterator[tuple[Settings, Simulator | None]]":
    """Load the settings; with `simulate`, also run a simulator, and point them to it.

    The simulator only replaces GitHub's addresses: signing in, the token exchange and every request
    take the same path through the code as with GitHub.
    """
    if not simulate:
        yield load_settings(flags), None
        return
    # Report any errors in the flags before starting the simulator.
    load_settings(flags)
    from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator

    with hints_for_simulator(True), Simulator() as simulator:
        simulated = {
            "github_token": SIMULATED_TOKEN,
            "github_url": simulator.url,
            "github_api_url": simulator.url,
        }
        settings = load_settings({**flags, **simulated})
        yield replace(settings, copilot_api_url=None, simulated=True), simulator
