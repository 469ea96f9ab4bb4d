"""Limits on the cost of requests, in AI credits per day, session or month."""

import re
from typing import Final, Literal, NamedTuple, get_args

from copilot_proxy.cost.nano_aiu import NANO

Per = Literal["day", "session", "month"]
PERIODS: Final[tuple[Per, ...]] = get_args(Per)
SCOPES: Final = ("key", "client", "project")
_LIMIT: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)\s*/\s*([a-z]+)")
_AMOUNT: Final = re.compile(r"\d{1,9}(?:\.\d{1,3})?")


class Limit(NamedTuple):
    """A limit; `kind` and `name` define which requests it applies to."""

    nano: int
    """In nano-AIU."""
    per: Per
    kind: str = ""
    """One of `SCOPES`; "" for all requests."""
    name: str = ""
    """The name of the key, client or project."""

    @property
    def target(self) -> tuple[str, str, str]:
        """What the limit applies to. A newer limit with the same target replaces this one."""
        return self.per, self.kind, self.name


def parse_limit(text: str) -> Limit:
    """Parse a limit such as ``500/day``. Raises `ValueError`."""
    found = _LIMIT.fullmatch(text.strip().lower())
    per = next((one for one in PERIODS if found is not None and one == found[2]), None)
    if found is None or per is None:
        raise ValueError(
            "expected AI credits per day, session or month, such as 500/day, with at most three "
            "decimals"
        )
    return Limit(parse_amount(found[1]), per)


def parse_limits(value: object) -> tuple[Limit, ...]:
    """Return the limits in a list such as ``["500/day"]``, or in comma-separated text.

    Each period may have only one limit. Raises `ValueError`.
    """
    texts = value.split(",") if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise ValueError("expected a list of limits, such as 500/day")
    found = tuple(one if isinstance(one, Limit) else parse_limit(str(one)) for one in texts if one)
    if len({one.target for one in found}) < len(found):
        raise ValueError("it contains two limits for the same period")
    return found


def parse_amount(text: str) -> int:
    """Convert AI credits, such as ``12.5``, to nano-AIU. Raises `ValueError`."""
    if not _AMOUNT.fullmatch(text.strip()):
        raise ValueError(
            "expected a number of AI credits, such as 500, with at most three decimals"
        )
    whole, _, rest = text.strip().partition(".")
    return int(whole) * NANO + int(rest.ljust(9, "0") or 0)
