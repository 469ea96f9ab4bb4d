"""The faults of a soak test, and which failures each one explains, and when."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

HARMLESS: Final = (
    "comments",
    "split_writes",
    "one_byte_writes",
    "crlf",
    "gzip",
    "no_done",
    "extra_done",
    "changing_ids",
    "annotations",
    "references",
    "other_model_name",
    "stop_despite_calls",
    "calls_all_zero",
    "calls_from_one",
    "calls_without_index",
    "whole_calls",
    "thinking_fields",
    "no_sequence_numbers",
    "unordered",
    "json_instead_of_sse",
)
"""Quirks of Copilot that a client must not notice."""

HARMFUL: Final[Mapping[str, Any]] = {
    "cut_before_headers": None,
    "cut_after_headers": None,
    "cut_mid_event": None,
    "cut_mid_stream": None,
    "end_early": None,
    "stall_before_headers": None,
    "stall_mid_stream": None,
    "empty_stream": None,
    "filter_chunk_only": None,
    "html_instead": None,
    "json_error_instead_of_sse": None,
    "error_first_chunk": None,
    "error_chunk": None,
    "failed": None,
    "invalid_json_event": None,
    "server_error_500": None,
    "bad_gateway_html": None,
    "unavailable_503": None,
    "overloaded_529": None,
    "rate_limited": 1,
    "user_global_rate_limited": 1,
    "quota_exceeded": None,
    "forbidden": None,
    "authentication_failed": None,
}
"""Faults during which an answer may fail -> the value that switches each one on."""

TOKENS_EXPIRE: Final = "(tokens expire)"
NO_NEW_TOKEN: Final = "(tokens expire while GitHub is down)"
GITHUB_DOWN: Final = "github_down"
_TOKEN_LOSSES: Final = (TOKENS_EXPIRE, NO_NEW_TOKEN, "authentication_failed")
"""Faults that make the proxy fetch a new token from GitHub."""

_RECOVERY_SECONDS: Final = 1.0
"""Seconds after a fault during which requests may still fail on a connection that it broke."""
_REMEMBERED: Final[Mapping[str, tuple[float, frozenset[int]]]] = {
    "rate_limited": (3.0, frozenset({429})),
    "user_global_rate_limited": (3.0, frozenset({429})),
    "quota_exceeded": (20.0, frozenset({400, 402})),
    "forbidden": (20.0, frozenset({401, 403})),
    "authentication_failed": (20.0, frozenset({401, 403})),
    NO_NEW_TOKEN: (12.0, frozenset({401, 500, 502, 503, 504})),
}
"""Fault -> (seconds for which the proxy remembers the refusal, statuses of its answers)."""
_RENEWAL_INTERVAL: Final = 40.0
"""Seconds between token losses, because the proxy limits how often it asks for tokens."""

Send = Callable[..., Awaitable[Any]]
"""Sends a command to the simulator process."""


@dataclass
class Window:
    """When a fault was on, in seconds of the monotonic clock."""

    name: str
    since: float
    until: float = float("inf")

    def excuses(self, started: float, ended: float, status: int) -> bool:
        """Return whether the fault explains why a request at that time failed with `status`."""
        if ended < self.since:
            return False
        longer, statuses = _REMEMBERED.get(self.name, (0.0, frozenset()))
        remembered = started < self.until + longer and status in statuses
        return started < self.until + _RECOVERY_SECONDS or remembered


@dataclass
class FaultSchedule:
    """Switches faults on and off at random, and records when."""

    send: Send
    choice: random.Random
    pause: Callable[[float], Awaitable[None]]
    """Waits for some seconds, or until the soak is over."""
    windows: list[Window] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    """Name of a fault -> number of times it was switched on."""
    _lost_token: float = float("-inf")
    _remaining: list[str] = field(default_factory=list)

    async def once(self) -> None:
        """Wait for a while, then switch one or two faults on for a second or two."""
        await self.pause(self.choice.uniform(1.0, 4.0))
        names = {self._next() for _ in range(self.choice.choice((1, 1, 2)))}
        if names == {TOKENS_EXPIRE, GITHUB_DOWN}:
            names = {NO_NEW_TOKEN}
        windows = [await self._begin(name) for name in sorted(names)]
        await self.pause(self.choice.uniform(0.5, 2.0))
        for window in windows:
            await self._end(window)

    def excuse(self, started: float, ended: float, status: int) -> str | None:
        """Return a fault that may have caused a failure at that time, or None."""
        latest_first = reversed(self.windows)
        fitting = (one.name for one in latest_first if one.excuses(started, ended, status))
        return next(fitting, None)

    def _next(self) -> str:
        """Return the next fault, going through all of them in random order before repeating any."""
        if not self._remaining:
            self._remaining = [*HARMLESS, *HARMFUL, TOKENS_EXPIRE, GITHUB_DOWN, NO_NEW_TOKEN]
            self.choice.shuffle(self._remaining)
        too_early = time.monotonic() < self._lost_token + _RENEWAL_INTERVAL
        fitting = [name for name in self._remaining if name not in _TOKEN_LOSSES or not too_early]
        name = fitting[-1] if fitting else GITHUB_DOWN
        if fitting:
            self._remaining.remove(name)
        return name

    async def _begin(self, name: str) -> Window:
        window = Window(name, time.monotonic())
        self.counts[name] = self.counts.get(name, 0) + 1
        if name not in HARMLESS and name not in (TOKENS_EXPIRE, GITHUB_DOWN):
            self.windows.append(window)
        if name in _TOKEN_LOSSES:
            self._lost_token = window.since
        if name in (GITHUB_DOWN, NO_NEW_TOKEN):
            await self.send("on", "github_down", {})
        if name in (TOKENS_EXPIRE, NO_NEW_TOKEN):
            await self.send("expire")
        elif name != GITHUB_DOWN:
            await self.send("on", name, {"value": HARMFUL.get(name)})
        return window

    async def _end(self, window: Window) -> None:
        name = "github_down" if window.name == NO_NEW_TOKEN else window.name
        await self.send("off", name)
        window.until = time.monotonic()
