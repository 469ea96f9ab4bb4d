"""One trial: clients place orders with a server that is killed twice on the way."""

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
    """What a trial has found."""

    audit: Audit
    sound: bool
    """Whether ``usage --verify`` has found nothing."""
    seconds: float


def run_trial(home: Path, count: int) -> Trial:
    """Place `count` orders by eight clients at once; two workers, with a budget that suffices.

    After a third of the orders one worker is killed, after two thirds the whole server.
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
