"""Polls GitHub until the user approves the sign-in: the device flow of RFC 8628, sections
3.4-3.5."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from copilot_proxy.auth.github import DeviceCode, Pending
from copilot_proxy.errors import LoginFailed, UpstreamError
from copilot_proxy.masking import Secret

_MARGIN: Final = 1.0
"""Seconds added to GitHub's interval; without them, a fast local clock would trigger
`slow_down`."""
_SLOW_DOWN: Final = 5.0
"""Seconds by which `slow_down` increases the interval (RFC 8628, section 3.5)."""


class Poller(Protocol):
    """Asks whether the user has approved the sign-in; implemented by `GitHub`."""

    async def poll(self, device_code: Secret) -> Secret | Pending: ...


@dataclass(frozen=True)
class Waiting:
    """The seconds that are left, and the error of the last poll if it failed."""

    left: float
    last_error: str | None = None


async def wait_for_approval(
    github: Poller,
    code: DeviceCode,
    *,
    report: Callable[[Waiting], None] = lambda waiting: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Secret:
    """Poll until the user has entered `code`, and return the GitHub token.

    Raises `LoginFailed` if the code expires or GitHub reports a final error. Raises the
    `UpstreamError` of a poll if GitHub asks for a wait that outlasts the code; other temporary
    errors do not end the wait. May be cancelled at any time.
    """
    deadline = clock() + code.expires_in
    interval = code.interval
    last_error: UpstreamError | None = None
    while True:
        left = deadline - clock()
        if left <= 0:
            raise LoginFailed(
                "The code expired before the sign-in was approved."
                + (f" The last poll failed: {last_error.message}" if last_error else ""),
                hint=last_error.hint if last_error else "Start again with: copilot-proxy login",
                code="expired_token",
            )
        asked = float(last_error.headers.get("retry-after", 0)) if last_error else 0.0
        if last_error and asked >= left:
            raise last_error
        pause = max(min(interval + _MARGIN, left), asked)
        report(Waiting(left=left, last_error=last_error.message if last_error else None))
        await sleep(pause)
        try:
            answer = await github.poll(code.device_code)
        except UpstreamError as error:
            last_error = error
            continue
        last_error = None
        if isinstance(answer, Secret):
            return answer
        if answer.interval is not None:
            interval = max(interval, answer.interval)
        elif answer.slower:
            interval += _SLOW_DOWN
