"""Keeps the cooldowns of each sign-in; a new sign-in starts without any."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from copilot_proxy.auth.copilot_auth import Clock, CopilotToken, TokenSource
from copilot_proxy.errors import CooldownRefusal
from copilot_proxy.masking import Secret
from copilot_proxy.upstreams.cooldowns import Cooldown, Cooldowns, Guard

_T = TypeVar("_T")


class AccountCooldowns:
    """A `Cooldowns` for each source of tokens, replaced when the source's GitHub token changes."""

    def __init__(self, clock: Clock) -> None:
        self._now = _Elapsed(clock)
        self._accounts: WeakKeyDictionary[TokenSource, tuple[Secret | None, Cooldowns]] = (
            WeakKeyDictionary()
        )

    def of(self, auth: TokenSource, token: CopilotToken) -> Cooldowns:
        """Return the cooldowns of `auth`, or new ones if `token` belongs to a new sign-in."""
        known = self._accounts.get(auth)
        owner = token.github_token
        if known is None or (known[0] is not owner and known[0] != owner):
            known = self._accounts[auth] = (token.github_token, Cooldowns(self._now))
        return known[1]

    async def call(
        self,
        auth: TokenSource,
        token: CopilotToken,
        api: str,
        model: str,
        ask: Callable[[CopilotToken], Awaitable[_T]],
    ) -> tuple[_T, Guard]:
        """Call `ask` with `token`. Return the result, and the guard for refusals that arrive later.

        During a cooldown, the token of a newer sign-in is used instead. Raises `CooldownRefusal` if
        there is no newer sign-in, or if that one has a cooldown too.
        """
        try:
            with self.of(auth, token).guard(api, model) as guard:
                return await ask(token), guard
        except CooldownRefusal:
            other = await auth.successor(token)
            if other is None:
                raise
        with self.of(auth, other).guard(api, model) as guard:
            return await ask(other), guard

    def active(self, auth: TokenSource) -> list[Cooldown]:
        """Return the active cooldowns of `auth`."""
        known = self._accounts.get(auth)
        return known[1].active() if known is not None else []


class _Elapsed:
    """Elapsed seconds according to whichever clock shows more; the monotonic clock may stop during
    sleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic, self._wall = clock.monotonic(), clock.wall()
        self._passed = 0.0

    def __call__(self) -> float:
        monotonic, wall = self._clock.monotonic(), self._clock.wall()
        self._passed += max(monotonic - self._monotonic, wall - self._wall, 0.0)
        self._monotonic, self._wall = monotonic, wall
        return self._passed
