"""One trial: clients place orders with a server that is killed twice along the way."""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from tests.billing.audit import Audit, audit
from tests.billing.clients import place
from tests.billing.copilot import FakeCopilot
from tests.billing.orders import make_orders
from tests.billing.server import Server


class Trial(NamedTuple):
    """The result of a trial."""

    audit: Audit
    sound: bool
    """Whether ``usage --verify`` found no problems."""
    seconds: float


def run_trial(home: Path, count: int) -> Trial:
    """Place `count` orders with eight concurrent clients, two workers and a sufficient budget.

    One worker is killed after a third of the orders, and the whole server after two thirds.
    """
    orders = make_orders(count)
    kills: list[float] = []
    with FakeCopilot() as fake:
        with Server(home, fake.url, "--workers", "2", budget="999999/month") as server:
            begun = time.monotonic()

            async def hook(taken: int) -> None:
                if taken == count // 3:
                    server.kill_worker()
                    kills.append(time.monotonic())
                elif taken == 2 * count // 3:
                    server.kill()
                    kills.append(time.monotonic())
                    await asyncio.to_thread(server.start)

            outcomes = asyncio.run(place(server, orders, hook=hook))
            seconds = time.monotonic() - begun
        checked = server.run("usage", "--verify")
        ledger = Path(server.run("usage", "path").stdout.strip())
    return Trial(audit(ledger, outcomes, fake.charges, kills), checked.returncode == 0, seconds)
