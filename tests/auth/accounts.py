"""Helpers for the token tests: clocks, a credential store, and waiting for exchanges."""

import asyncio
from collections.abc import Callable

import pytest

from copilot_proxy.auth.copilot_auth import Clock, CopilotAuth
from copilot_proxy.auth.credential import Credential
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import Secret
from copilot_proxy.simulator.state import SIMULATED_TOKEN

MONA = Credential(Secret(SIMULATED_TOKEN), login="mona", source="keyring")


class Time:
    """The monotonic and the wall clock, set by the test; during sleep, only the wall clock
    moves."""

    def __init__(self) -> None:
        self.monotonic, self.wall = 1000.0, 1_795_000_000.0
        self.pauses: list[float] = []
        self.clock = Clock(lambda: self.monotonic, lambda: self.wall, self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Return immediately, but remember the pause."""
        self.pauses.append(seconds)

    def advance(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += seconds


class Store:
    """A credential store that counts how often it is read."""

    def __init__(self) -> None:
        self.holds: Credential | CopilotProxyError | None = MONA
        self.reads = 0

    async def load(self) -> Credential | None:
        self.reads += 1
        await asyncio.sleep(0)
        if isinstance(self.holds, CopilotProxyError):
            raise self.holds
        return self.holds


async def wait_for_exchange(auth: CopilotAuth) -> None:
    """Wait for the background exchange to finish."""
    while auth._task is not None:
        await asyncio.wait([auth._task])
        await asyncio.sleep(0)


async def failing(call: Callable[[], object]) -> CopilotProxyError:
    with pytest.raises(CopilotProxyError) as caught:
        await call()  # type: ignore[misc]
    return caught.value
