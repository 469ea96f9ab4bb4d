"""What goes wrong during a soak, when, and which answers that excuses."""

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
"""Oddities of Copilot's that a client must not notice at all."""

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
"""Faults that an answer may fail with, and the value each is switched on with."""

TOKENS_EXPIRE: Final = "(tokens expire)"
GITHUB_AWAY: Final = "(tokens expire while GitHub is down)"
GITHUB_DOWN: Final = "github_down"
_LOSSES: Final = (TOKENS_EXPIRE, GITHUB_AWAY, "authentication_failed")
"""Those that make the proxy ask GitHub for another token."""

_AFTER: Final = 1.0
"""Seconds after a fault in which requests may still meet it, on a connection that it broke."""
_REMEMBERED: Final[Mapping[str, tuple[float, frozenset[int]]]] = {
    "rate_limited": (3.0, frozenset({429})),
    "user_global_rate_limited": (3.0, frozenset({429})),
    "quota_exceeded": (20.0, frozenset({402, 403, 429})),
    "forbidden": (20.0, frozenset({401, 403})),
    "authentication_failed": (20.0, frozenset({401, 403})),
    GITHUB_AWAY: (12.0, frozenset({401, 500, 502, 503, 504})),
}
"""What the proxy answers from memory for some seconds more, without asking GitHub, and how."""
_RENEWALS: Final = 40.0
"""Seconds between two losses of the token: the proxy asks GitHub no more often than that."""

Tell = Callable[..., Awaitable[Any]]
"""Sends a command to the simulator's process."""


@dataclass
class Window:
    """One time of trouble, in seconds of the monotonic clock."""

    name: str
    since: float
    until: float = float("inf")

    def excuses(self, begun: float, ended: float, status: int) -> bool:
        """Whether a request of that time may have ended so because of this."""
        if ended < self.since:
            return False
        longer, statuses = _REMEMBERED.get(self.name, (0.0, frozenset()))
        remembered = begun < self.until + longer and status in statuses
        return begun < self.until + _AFTER or remembered


@dataclass
class Trouble:
    """Switches faults on and off at random, and remembers when."""

    tell: Tell
    choice: random.Random
    pause: Callable[[float], Awaitable[None]]
    """Waits some seconds, or less if the soak is over."""
    windows: list[Window] = field(default_factory=list)
    met: dict[str, int] = field(default_factory=dict)
    """Name of a fault -> how often it was switched on."""
    _lost_token: float = float("-inf")
    _bag: list[str] = field(default_factory=list)

    async def once(self) -> None:
        """A calm while, then one or two things go wrong for a second or two."""
        await self.pause(self.choice.uniform(1.0, 4.0))
        names = {self._next() for _ in range(self.choice.choice((1, 1, 2)))}
        if names == {TOKENS_EXPIRE, GITHUB_DOWN}:
            names = {GITHUB_AWAY}
        windows = [await self._begin(name) for name in sorted(names)]
        await self.pause(self.choice.uniform(0.5, 2.0))
        for window in windows:
            await self._end(window)

    def excuse(self, begun: float, ended: float, status: int) -> str | None:
        """The name of a fault that a request of that time may have failed with."""
        fitting = (one.name for one in reversed(self.windows) if one.excuses(begun, ended, status))
        return next(fitting, None)

    def _next(self) -> str:
        """Every fault before any of them again."""
        if not self._bag:
            self._bag = [*HARMLESS, *HARMFUL, TOKENS_EXPIRE, GITHUB_DOWN, GITHUB_AWAY]
            self.choice.shuffle(self._bag)
        too_early = time.monotonic() < self._lost_token + _RENEWALS
        fitting = [name for name in self._bag if name not in _LOSSES or not too_early]
        name = fitting[-1] if fitting else GITHUB_DOWN
        if fitting:
            self._bag.remove(name)
        return name

    async def _begin(self, name: str) -> Window:
        window = Window(name, time.monotonic())
        self.met[name] = self.met.get(name, 0) + 1
        if name not in HARMLESS and name not in (TOKENS_EXPIRE, GITHUB_DOWN):
            self.windows.append(window)
        if name in _LOSSES:
            self._lost_token = window.since
        if name in (GITHUB_DOWN, GITHUB_AWAY):
            await self.tell("on", "github_down", {})
        if name in (TOKENS_EXPIRE, GITHUB_AWAY):
            await self.tell("expire")
        elif name != GITHUB_DOWN:
            await self.tell("on", name, {"value": HARMFUL.get(name)})
        return window

    async def _end(self, window: Window) -> None:
        name = "github_down" if window.name == GITHUB_AWAY else window.name
        await self.tell("off", name)
        window.until = time.monotonic()
