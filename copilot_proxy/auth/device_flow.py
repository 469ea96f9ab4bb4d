"""The wait for the person's approval: the polling half of the device flow (RFC 8628, 3.4-3.5)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from copilot_proxy.auth.github import DeviceCode, Pending
from copilot_proxy.errors import LoginFailed, UpstreamError
from copilot_proxy.masking import Secret

_POLITE: Final = 1.0
"""Seconds more than GitHub's interval, since a clock that runs fast earns a `slow_down`."""
_SLOWER: Final = 5.0


class Poller(Protocol):
    """Who is asked whether the person has approved; `GitHub` is one."""

    async def poll(self, device_code: Secret) -> Secret | Pending: ...


@dataclass(frozen=True)
class Waiting:
    """How the wait stands, in seconds; `hiccup` says why the last question had no answer."""

    left: float
    next_in: float
    hiccup: str | None = None


async def wait_for_approval(
    github: Poller,
    code: DeviceCode,
    *,
    report: Callable[[Waiting], None] = lambda waiting: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Secret:
    """The GitHub token, once the person has entered `code`.

    Network trouble does not end the wait, only the code's expiry or GitHub's word does: both
    raise `LoginFailed`. Where GitHub wants to be left alone for longer than the code lives, its
    refusal is raised. May be cancelled at any time.
    """
    deadline = clock() + code.expires_in
    interval = code.interval
    hiccup: UpstreamError | None = None
    while True:
        left = deadline - clock()
        if left <= 0:
            raise LoginFailed(
                "The code expired before GitHub reported an approval."
                + (f" The last question failed: {hiccup.message}" if hiccup else ""),
                hint=hiccup.hint if hiccup else "Start again with: copilot-proxy login",
                code="expired_token",
            )
        asked = float(hiccup.headers.get("retry-after", 0)) if hiccup else 0.0
        if hiccup and asked >= left:
            raise hiccup
        pause = max(min(interval + _POLITE, left), asked)
        report(Waiting(left=left, next_in=pause, hiccup=hiccup.message if hiccup else None))
        await sleep(pause)
        try:
            answer = await github.poll(code.device_code)
        except UpstreamError as error:
            hiccup = error
            continue
        hiccup = None
        if isinstance(answer, Secret):
            return answer
        if answer.interval is not None:
            interval = max(interval, answer.interval)
        elif answer.slower:
            interval += _SLOWER
