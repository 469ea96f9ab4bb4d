"""Answers the dashboard's queries to the ledger. The first query loads this module."""

import asyncio
from typing import Final, TypeVar

import msgspec

from copilot_proxy.cost.limits import PERIODS, SCOPES, parse_amount
from copilot_proxy.dashboard.dashboard import Dashboard
from copilot_proxy.errors import RequestError, UsageError
from copilot_proxy.ledger.queries import Filters
from copilot_proxy.ledger.series import DIMENSIONS, SPANS

_MAX_ID: Final = 2**62
_Choice = TypeVar("_Choice", bound=str)


class BudgetRaise(msgspec.Struct):
    """A request to raise the limit of a scope and period, or all limits of the scope."""

    credits: str
    kind: str = ""
    name: str = ""
    per: str = ""


async def answer(dashboard: Dashboard, name: str, query: dict[str, str], key: str | None) -> object:
    """Return the part of the data that is called `name`, or None for an unknown name.

    `key`, the name of an API key, restricts the data to that key's requests. Raises `RequestError`.
    """
    match name:
        case "spent":
            span, by = _choice(query, "span", SPANS), _choice(query, "by", DIMENSIONS)
            found = await dashboard.spent(span, by, key)
            return {"starts": found.starts, "spent": [one._asdict() for one in found.spent]}
        case "requests":
            filters = Filters(
                model=query.get("model"),
                client=query.get("client"),
                key=query.get("key") if key is None else key,
                project=query.get("project"),
                session=query.get("session"),
            )
            failed = query.get("failed") == "1"
            rows = await dashboard.requests(filters, before=_before(query), failed=failed)
            return {"requests": rows}
        case "request":
            request = await dashboard.request(query.get("id", ""), key)
            if request is None:
                raise RequestError(
                    "The ledger has no such request.",
                    status=404,
                    code="request_not_found",
                    hint="It may have been removed with: copilot-proxy usage forget",
                )
            return request
    return None


async def raise_budget(dashboard: Dashboard, wanted: BudgetRaise, key: str | None) -> None:
    """Increase a budget. Raises `RequestError` if that fails."""
    if key is not None:
        raise RequestError(
            "This API key may not raise the budget.",
            status=403,
            type="permission_error",
            code="key_not_allowed",
            hint="On the server's machine, run: copilot-proxy budget raise 100",
        )
    if wanted.kind not in ("", *SCOPES):
        raise RequestError("Unknown kind of budget.", code="invalid_value", param="kind")
    if wanted.per not in ("", *PERIODS):
        raise RequestError("Unknown period.", code="invalid_value", param="per")
    try:
        nano = parse_amount(wanted.credits)
    except ValueError:
        nano = 0
    if nano == 0:
        raise RequestError(
            "The amount is invalid.",
            code="invalid_value",
            param="credits",
            hint="Enter AI credits: a number greater than 0 with at most three decimals, such as "
            "100.",
        )
    try:
        await asyncio.to_thread(dashboard.raise_budget, nano, wanted.kind, wanted.name, wanted.per)
    except UsageError as error:
        raise RequestError(error.message, code="invalid_value", hint=error.hint) from error
    dashboard.feed.refresh()


def _choice(query: dict[str, str], name: str, choices: tuple[_Choice, ...]) -> _Choice:
    for choice in choices:
        if query.get(name, choices[0]) == choice:
            return choice
    raise RequestError(
        f"{name} must be one of: {', '.join(choices)}.", code="invalid_value", param=name
    )


def _before(query: dict[str, str]) -> int | None:
    text = query.get("before")
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _MAX_ID:
        return int(text)
    raise RequestError("before must be a number.", code="invalid_value", param="before")
