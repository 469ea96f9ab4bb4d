"""Circuit breakers: after a refusal, similar requests are not sent to Copilot for a while.

A refusal with a waiting time starts a cooldown of that length. The cooldown applies to the model
or, for some codes, to the whole account. A refusal without a waiting time counts as a failure, and
the third failure in a row within a minute starts a short cooldown.

During a cooldown, requests are answered with the same refusal and the remaining time. After a
cooldown, the breaker is half-open: one request, the probe, is sent. If Copilot accepts it, the
breaker closes; if not, the next cooldown is longer. Copilot may also accept a request with status
200, and refuse it in an event; that counts like a refusal by status.

Nothing here waits or sends anything, so tests need no clock and no server.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from types import MappingProxyType
from typing import Any, Final, Literal, Self

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.upstream_errors import repeat_refusal
from copilot_proxy.masking import mask
from copilot_proxy.upstreams.cooldown_targets import Target, short_code, target_of, targets_of

log = logging.getLogger(__name__)

_FAILURE_THRESHOLD: Final = 3
_FAILURE_WINDOW: Final = 60.0
_MIN_COOLDOWN: Final = 10.0
_MAX_COOLDOWN: Final = 300.0
"""Maximum length of a cooldown in seconds, if Copilot gave no waiting time."""
_PROBE_AFTER: Final = 3600.0
"""Seconds after which a probe is sent even if Copilot gave a longer time, because day-long
limits have been lifted after minutes."""
_PROBE_TIMEOUT: Final = 30.0
"""Seconds within which a probe must be answered; after that, another may be sent."""
_MAX_ENTRIES: Final = 256
"""Maximum number of breakers; without a model list, clients can send any model name."""
_MAX_NAME_LENGTH: Final = 100


@dataclass(eq=False)
class _Breaker:
    """An open or half-open circuit breaker. Only `probe_at` is assigned; any other change
    replaces the object."""

    error: CopilotProxyError
    probe_at: float
    """When a probe may be sent."""
    until: float | None = None
    """When the waiting time that Copilot gave ends; None if it gave none."""
    failed_probes: int = 0

    def left(self, now: float) -> float:
        """Return the seconds until the cooldown is over."""
        return (self.probe_at if self.until is None else self.until) - now


_Failures = Mapping[Target, list[float]]
"""The times of recent failures."""
_NONE: Final[_Failures] = MappingProxyType({})
_Probed = tuple[Target, _Breaker]
"""The target of a half-open breaker that a request probes, and the breaker."""


@dataclass(frozen=True)
class Cooldown:
    """A cooldown as shown by ``/health`` and in the log, without personal data."""

    scope: Literal["model", "account"]
    model: str | None
    code: str
    """Copilot's code without its suffix, or our own code if Copilot sent none."""
    retry_in: int
    """Seconds until requests are sent again."""


class Cooldowns:
    """The cooldowns of an account; `now` returns monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._breakers: dict[Target, _Breaker] = {}
        self._failures: dict[Target, list[float]] = {}

    def guard(self, api: str, model: str) -> "Guard":
        """Return a context in which to send a request to Copilot and wait for the answer's status.

        Entering it raises `errors.CooldownRefusal` during a cooldown.
        """
        return Guard(self, api, model)

    def _begin(self, api: str, model: str) -> list[_Probed]:
        """Return the half-open breakers that a request probes. Raises `CooldownRefusal`."""
        return self._admit(targets_of(model, api)) if self._breakers else []

    def _succeeded(self, api: str, model: str, probed: list[_Probed]) -> _Failures:
        """Close the breakers that the request has probed, and forget the earlier failures of its
        targets. Returns the latter."""
        for target, breaker in probed:
            if self._breakers.get(target) is breaker:
                del self._breakers[target]
        if not self._failures:
            return _NONE
        targets = targets_of(model, api)
        return {one: self._failures.pop(one) for one in targets if one in self._failures}

    def _failed_later(
        self,
        api: str,
        model: str,
        probed: list[_Probed],
        forgotten: _Failures,
        error: CopilotProxyError,
    ) -> None:
        """Handle `error` as if Copilot had sent it instead of the status."""
        target = target_of(error, model, api)
        if target is None:
            return
        before = next((breaker for one, breaker in probed if one == target), None)
        if before is not None and target not in self._breakers:
            _remember(self._breakers, target, before)
        if target in forgotten and target not in self._failures:
            _remember(self._failures, target, forgotten[target])
        self._failed(api, model, [] if before is None else [(target, before)], error)

    def _failed(self, api: str, model: str, probed: list[_Probed], error: BaseException) -> None:
        target = target_of(error, model, api)
        for one, breaker in probed:
            if one != target and self._breakers.get(one) is breaker:
                breaker.probe_at = self._now()  # no result, so the next request is the probe
        if target is not None and isinstance(error, CopilotProxyError):
            was_probe = (target, self._breakers.get(target)) in probed
            self._refused(target, error.copy(), was_probe)

    def active(self) -> list[Cooldown]:
        """Return the active cooldowns."""
        now = self._now()
        return [
            _cooldown(target, breaker, now)
            for target, breaker in self._breakers.items()
            if breaker.left(now) > 0
        ]

    def _admit(self, targets: tuple[Target, ...]) -> list[_Probed]:
        """Return the half-open breakers of `targets`. Raises `CooldownRefusal` if one is open."""
        now = self._now()
        found = [(one, breaker) for one in targets if (breaker := self._breakers.get(one))]
        for target, breaker in found:
            if breaker.until is not None and now >= breaker.until:
                del self._breakers[target]
        found = [(target, breaker) for target, breaker in found if target in self._breakers]
        if waiting := [breaker for _, breaker in found if now < breaker.probe_at]:
            longest = max(waiting, key=lambda breaker: breaker.left(now))
            raise repeat_refusal(longest.error, ceil(longest.left(now)))
        for _, breaker in found:
            breaker.probe_at = now + _PROBE_TIMEOUT
        return found

    def _refused(self, target: Target, error: CopilotProxyError, was_probe: bool) -> None:
        now = self._now()
        before = self._breakers.get(target)
        wait = float(error.headers.get("retry-after", 0))
        if wait > 0:
            self._open_for(target, error, now, wait, None if was_probe else before)
        elif before is None:
            self._count_failure(target, error, now)
        elif was_probe and before.until is not None and before.until > now:
            probe_at = min(before.until, now + _PROBE_AFTER)
            self._open(target, _Breaker(error, probe_at, before.until))
        elif was_probe:
            failed = before.failed_probes + 1
            pause = min(_MIN_COOLDOWN * 2 ** min(failed, 10), _MAX_COOLDOWN)
            self._open(target, _Breaker(error, now + pause, failed_probes=failed))
        # Otherwise, the request was sent before the cooldown began, so its refusal is nothing new.

    def _open_for(
        self,
        target: Target,
        error: CopilotProxyError,
        now: float,
        wait: float,
        before: _Breaker | None,
    ) -> None:
        """Start a cooldown of `wait` seconds, as Copilot requested, unless `before` ends later."""
        known = before.until if before is not None and before.until is not None else None
        until = now + wait
        if known is not None and known >= until:
            return
        # Concurrent requests are refused together, so one log line is enough.
        is_news = known is None or until - known > 1
        self._open(target, _Breaker(error, min(until, now + _PROBE_AFTER), until), log_it=is_news)

    def _count_failure(self, target: Target, error: CopilotProxyError, now: float) -> None:
        recent = [at for at in self._failures.pop(target, ()) if now - at < _FAILURE_WINDOW]
        recent.append(now)
        if len(recent) < _FAILURE_THRESHOLD:
            _remember(self._failures, target, recent)
        else:
            self._open(target, _Breaker(error, now + _MIN_COOLDOWN))

    def _open(self, target: Target, breaker: _Breaker, *, log_it: bool = True) -> None:
        self._failures.pop(target, None)
        _remember(self._breakers, target, breaker)
        if log_it:
            cooldown = _cooldown(target, breaker, self._now())
            log.warning(
                "Copilot refused requests for %s (%s); none will be sent for %d s.",
                f"the model {cooldown.model}" if cooldown.model else "the account",
                cooldown.code,
                cooldown.retry_in,
                extra={"fields": {"event": "cooldown", **asdict(cooldown)}},
            )


class Guard:
    """The context manager for a request. This is a class because a generator would take several
    times as long."""

    __slots__ = ("_api", "_cooldowns", "_forgotten", "_model", "_probed")

    def __init__(self, cooldowns: Cooldowns, api: str, model: str) -> None:
        self._cooldowns = cooldowns
        self._api = api
        self._model = model

    def __enter__(self) -> Self:
        self._probed = self._cooldowns._begin(self._api, self._model)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            self._forgotten = self._cooldowns._succeeded(self._api, self._model, self._probed)
        else:
            self._cooldowns._failed(self._api, self._model, self._probed, error)

    def refused(self, error: CopilotProxyError) -> None:
        """Report a refusal that arrived as an event, after a status of 200."""
        self._cooldowns._failed_later(self._api, self._model, self._probed, self._forgotten, error)


def _cooldown(target: Target, breaker: _Breaker, now: float) -> Cooldown:
    return Cooldown(
        scope="account" if target.model is None else "model",
        model=None if target.model is None else _printable(target.model),
        code=_printable(short_code(breaker.error)),
        retry_in=ceil(breaker.left(now)),
    )


def _printable(name: str) -> str:
    """Return `name` as a short line, because clients can send anything as a model name."""
    return "".join(c if c.isprintable() else "?" for c in mask(name)[:_MAX_NAME_LENGTH])


def _remember(where: dict[Target, Any], target: Target, what: object) -> None:
    """Store `what` as the newest entry, dropping the oldest entry if there are too many."""
    where.pop(target, None)
    where[target] = what
    if len(where) > _MAX_ENTRIES:
        del where[next(iter(where))]
