"""Raises limits for the rest of the day or month."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from copilot_proxy.budget.formatting import scope_flag
from copilot_proxy.budget.limits_file import Limits, Raise, change, days_of
from copilot_proxy.cost.limits import Limit
from copilot_proxy.errors import UsageError


def raise_limits(
    path: Path,
    defaults: Iterable[Limit],
    nano: int,
    kind: str,
    name: str,
    now: datetime,
    *,
    per: str = "",
) -> None:
    """Raise the limits of a scope by `nano` nano-AIU.

    `kind` and `name` are the scope; both are "" for all requests. With `per`, only the limit for
    that period is raised. `path` is the limits file, and `defaults` are the limits from the
    settings. Raises `UsageError` if there is no such limit or `nano` is not positive, and
    `CopilotProxyError` if the file cannot be used.
    """
    if nano <= 0:
        raise UsageError("The amount must be greater than 0.")
    more = Raise(nano, *days_of(now), kind, name, per)

    def raised(stored: Limits) -> Limits:
        limits = stored.with_defaults(defaults).limits
        if not any((one.kind, one.name) == (kind, name) and per in ("", one.per) for one in limits):
            # Otherwise, the raise would apply to a limit that the user sets later.
            general = " that covers all requests" if limits else ""
            scope = f" for the {kind} {name}" if kind else general
            flag = scope_flag(Limit(nano, "day", kind, name))
            others = "To list the budgets, run: copilot-proxy budget\n" if limits else ""
            raise UsageError(
                f"There is no budget{f' per {per}' if per else ''}{scope}, so nothing was raised.",
                hint=f"{others}Set one with: copilot-proxy budget set 500/{per or 'day'}{flag}",
            )
        return stored._replace(raises=(*stored.raises, more))

    change(path, now, raised)
