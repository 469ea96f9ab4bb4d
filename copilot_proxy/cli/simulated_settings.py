"""Loads the settings for a command; with ``--simulate``, they point to a simulator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from copilot_proxy.errors import CopilotProxyError, hints_for_simulator
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.simulator import Simulator


@contextmanager
def settings_for(
    flags: Mapping[str, object], *, simulate: bool
) -> "Iterator[tuple[Settings, Simulator | None]]":
    """Yield the settings and, with `simulate`, a simulator to which they point.

    Only GitHub's addresses are replaced. Signing in, the token exchange and all requests use the
    same code as with GitHub.
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
        settings = replace(settings, copilot_api_url=None, simulated=True)
        if settings.ledger:
            simulator.state.spent = _spent_before(settings)
        yield settings, simulator


def _spent_before(settings: Settings) -> float:
    """Return the credits that earlier simulators charged this month, or 0 if that is unknown.

    This keeps a new command from resetting the quota.
    """
    if not settings.ledger_file.exists():
        return 0.0
    from copilot_proxy.cost.nano_aiu import credits
    from copilot_proxy.ledger.database import opened_ledger
    from copilot_proxy.ledger.queries import month_total

    try:
        with opened_ledger(settings.ledger_file) as database:
            return credits(month_total(database, datetime.now().astimezone()).nano_aiu)
    except CopilotProxyError:
        return 0.0
