"""When Copilot, having refused, is not asked again for a while: decisions only, for tables to test.

A refusal that names a time lets its model rest for so long, or the whole account where its code
says so. One that names none counts, and the third in a row within a minute starts a rest of its
own: short, and longer each time that a single request asks again and is refused. Either way the
refusal is told anew meanwhile, with the time that is left.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final, Literal, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from copilot_proxy.auth.copilot_auth import Clock, CopilotToken, TokenSource
from copilot_proxy.errors import (
    CooldownRefusal,
    CopilotProxyError,
    UpstreamRefusal,
    code_of,
)
from copilot_proxy.formats.upstream_errors import repeat_refusal
from copilot_proxy.masking import Secret, mask

log = logging.getLogger(__name__)
_T = TypeVar("_T")

_ACCOUNT_WIDE: Final = frozenset(
    {
        "user_global_rate_limited",
        "user_weekly_rate_limited",
        "integration_rate_limited",
        "agent_mode_limit_exceeded",
        "extension_blocked",
    }
)
"""Codes that say that another model would be refused as well."""

_STRIKES: Final = 3
_STRIKES_WITHIN: Final = 60.0
_SHORTEST: Final = 10.0
_LONGEST: Final = 300.0
_ASKS_AFTER: Final = 3600.0
"""Seconds after which one request asks again, however long the wait that was named: limits of days
have been lifted after minutes."""
_PROBE: Final = 30.0
"""Seconds in which that request must be answered; after that another one may ask."""
_MOST: Final = 256
"""Rests that are remembered at most: model names may be anything while there is no list."""
_MOST_NAME: Final = 100


class _Key(NamedTuple):
    """What rests: an API of a model, a whole model, or with no model the account."""

    model: str | None = None
    api: str | None = None


_ACCOUNT: Final = _Key()


@dataclass(eq=False)
class _Rest:
    """A refusal that stands. It is replaced, never changed, but for `asks_at`."""

    error: CopilotProxyError
    asks_at: float
    """When one request may ask again."""
    until: float | None = None
    """When the time that upstream named is over; None if it named none."""
    failed: int = 0
    """How many requests have asked again in vain."""

    def left(self, now: float) -> float:
        return (self.asks_at if self.until is None else self.until) - now


@dataclass(frozen=True)
class Cooldown:
    """A rest, for ``/health`` and the log: no names but the model's."""

    scope: Literal["model", "account"]
    model: str | None
    code: str
    """Copilot's own, without its suffix; ours where it gave none."""
    retry_in: int
    """Seconds."""


class Cooldowns:
    """The rests of one account; `now` gives seconds of a clock that never goes back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rests: dict[_Key, _Rest] = {}
        self._strikes: dict[_Key, list[float]] = {}

    @contextmanager
    def asking(self, api: str, model: str) -> Iterator[None]:
        """Goes around asking upstream, until the answer is accepted or refused.

        Raises `errors.CooldownRefusal` where that must not be.
        """
        probed = self._admitted(_keys(model, api)) if self._rests else []
        try:
            yield
        except BaseException as error:
            key = _scope(error, model, api)
            for one, rest in probed:
                if one != key and self._rests.get(one) is rest:
                    rest.asks_at = self._now()  # nothing was learned about it: the next one asks
            if key is not None and isinstance(error, CopilotProxyError):
                self._refused(key, error.copy(), (key, self._rests.get(key)) in probed)
            raise
        for key, rest in probed:
            if self._rests.get(key) is rest:
                del self._rests[key]
        if self._strikes:
            for key in _keys(model, api):
                self._strikes.pop(key, None)

    def standing(self) -> list[Cooldown]:
        """What is refused without asking now."""
        now = self._now()
        return [
            _standing(key, rest, now) for key, rest in self._rests.items() if rest.left(now) > 0
        ]

    def _admitted(self, keys: tuple[_Key, ...]) -> list[tuple[_Key, _Rest]]:
        """The rests that this request puts to the test; raises if one is not due for that."""
        now = self._now()
        found = [(key, rest) for key in keys if (rest := self._rests.get(key)) is not None]
        for key, rest in found:
            if rest.until is not None and now >= rest.until:
                del self._rests[key]
        due = [(key, rest) for key, rest in found if key in self._rests]
        if closed := [rest for _, rest in due if now < rest.asks_at]:
            longest = max(closed, key=lambda rest: rest.left(now))
            raise repeat_refusal(longest.error, ceil(longest.left(now)))
        for _, rest in due:
            rest.asks_at = now + _PROBE
        return due

    def _refused(self, key: _Key, error: CopilotProxyError, was_probe: bool) -> None:
        now = self._now()
        before = self._rests.get(key)
        wait = float(error.headers.get("retry-after", 0))
        if wait > 0:
            self._rest_as_told(key, error, now, wait, None if was_probe else before)
        elif before is None:
            self._strike(key, error, now)
        elif was_probe and before.until is not None and before.until > now:
            asks_at = min(before.until, now + _ASKS_AFTER)
            self._rest(key, _Rest(error, asks_at, before.until))
        elif was_probe:
            failed = before.failed + 1
            pause = min(_SHORTEST * 2 ** min(failed, 10), _LONGEST)
            self._rest(key, _Rest(error, now + pause, failed=failed))
        # Else it was under way when the rest began, and says nothing new.

    def _rest_as_told(
        self, key: _Key, error: CopilotProxyError, now: float, wait: float, before: _Rest | None
    ) -> None:
        """A rest of the time that upstream named, unless `before` is a longer one."""
        known = before.until if before is not None and before.until is not None else None
        until = now + wait
        if known is not None and known >= until:
            return
        # Many requests that were under way together are refused together: one line tells it.
        is_news = known is None or until - known > 1
        self._rest(key, _Rest(error, min(until, now + _ASKS_AFTER), until), told=is_news)

    def _strike(self, key: _Key, error: CopilotProxyError, now: float) -> None:
        recent = [at for at in self._strikes.pop(key, ()) if now - at < _STRIKES_WITHIN]
        recent.append(now)
        if len(recent) < _STRIKES:
            _keep(self._strikes, key, recent)
        else:
            self._rest(key, _Rest(error, now + _SHORTEST))

    def _rest(self, key: _Key, rest: _Rest, *, told: bool = True) -> None:
        self._strikes.pop(key, None)
        _keep(self._rests, key, rest)
        if told:
            one = _standing(key, rest, self._now())
            log.warning(
                "Copilot refuses %s (%s): it is not asked for %d s",
                f"the model {one.model}" if one.model else "the account",
                one.code,
                one.retry_in,
                extra={"fields": {"event": "rest", **asdict(one)}},
            )


class AccountCooldowns:
    """One `Cooldowns` for each sign-in, for as long as its tokens come from the same account."""

    def __init__(self, clock: Clock) -> None:
        self._now = _Elapsed(clock)
        self._kept: WeakKeyDictionary[TokenSource, tuple[Secret | None, Cooldowns]] = (
            WeakKeyDictionary()
        )

    def of(self, auth: TokenSource, token: CopilotToken) -> Cooldowns:
        """That of `auth`, which has given `token`; a new one if that is of another sign-in."""
        kept = self._kept.get(auth)
        if kept is None or kept[0] != token.github_token:
            kept = self._kept[auth] = (token.github_token, Cooldowns(self._now))
        return kept[1]

    async def permitted(
        self,
        auth: TokenSource,
        token: CopilotToken,
        api: str,
        model: str,
        ask: Callable[[CopilotToken], Awaitable[_T]],
    ) -> _T:
        """What `ask` gives with `token`, or, if that rests, with one of another sign-in."""
        try:
            with self.of(auth, token).asking(api, model):
                return await ask(token)
        except CooldownRefusal:
            other = await auth.successor(token)
            if other is None:
                raise
        with self.of(auth, other).asking(api, model):
            return await ask(other)

    def standing(self, auth: TokenSource) -> list[Cooldown]:
        """What is refused to `auth` without asking now."""
        kept = self._kept.get(auth)
        return kept[1].standing() if kept is not None else []


class _Elapsed:
    """Seconds that have passed by whichever clock says more: one stops while a laptop sleeps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._monotonic, self._wall = clock.monotonic(), clock.wall()
        self._passed = 0.0

    def __call__(self) -> float:
        monotonic, wall = self._clock.monotonic(), self._clock.wall()
        self._passed += max(monotonic - self._monotonic, wall - self._wall, 0.0)
        self._monotonic, self._wall = monotonic, wall
        return self._passed


def _keys(model: str, api: str) -> tuple[_Key, ...]:
    """All that must not rest if the API of the model is to be asked."""
    return (_ACCOUNT, _Key(model), _Key(model, api))


def _scope(error: BaseException, model: str, api: str) -> _Key | None:
    """What `error` speaks against; None if it is about the request alone, or no refusal."""
    if isinstance(error, CopilotProxyError) and error.code == "caller_token_refused":
        return _ACCOUNT
    if not isinstance(error, UpstreamRefusal):
        return None
    if error.code in ("rate_limit_exceeded", "insufficient_quota"):
        return _ACCOUNT if _code(error) in _ACCOUNT_WIDE else _Key(model)
    if error.upstream_status == 503 and "retry-after" in error.headers:
        return _Key(model)
    if error.upstream_status == 401 and error.status == 401:
        return _ACCOUNT
    if error.upstream_status == 403 and error.upstream_code in (None, "forbidden"):
        # It may be meant for this API of the model alone, such as counting tokens.
        return _Key(model, api)
    return None


def _code(error: CopilotProxyError) -> str:
    # Codes can have a suffix: user_model_rate_limited:gpt-5.6
    named = error.upstream_code if isinstance(error, UpstreamRefusal) else None
    return (named or code_of(error)).partition(":")[0]


def _standing(key: _Key, rest: _Rest, now: float) -> Cooldown:
    return Cooldown(
        scope="account" if key.model is None else "model",
        model=None if key.model is None else _printable(key.model),
        code=_printable(_code(rest.error)),
        retry_in=ceil(rest.left(now)),
    )


def _printable(name: str) -> str:
    """One short line: a model's name may be anything that a client sends."""
    return "".join(c if c.isprintable() else "?" for c in mask(name)[:_MOST_NAME])


def _keep(where: dict[_Key, Any], key: _Key, kept: object) -> None:
    """Keeps it as the newest, and forgets the oldest when there are too many."""
    where.pop(key, None)
    where[key] = kept
    if len(where) > _MOST:
        del where[next(iter(where))]
