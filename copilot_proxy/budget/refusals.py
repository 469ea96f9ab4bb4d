"""The error for requests that do not fit into the budget, and its text."""

from typing import Final

from copilot_proxy.budget.estimate import Estimate
from copilot_proxy.budget.formatting import (
    TO_RAISE,
    advised_raise,
    amount,
    limit_amount,
    number,
    scope_text,
)
from copilot_proxy.cost.limits import Limit
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.reservation_request import Refusal
from copilot_proxy.masking import mask
from copilot_proxy.relay.admission import BUDGET_EXCEEDED
from copilot_proxy.relay.records import RequestRecord

_MAX_NAME: Final = 64


class BudgetExceeded(CopilotProxyError):
    """A request does not fit into the budget. The HTTP status keeps clients from retrying; see
    docs/clients.md."""

    status = 402
    type = "billing_error"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(
            message, hint=hint, code=BUDGET_EXCEEDED, headers={"x-should-retry": "false"}
        )


def with_session(text: str, limit: Limit, record: RequestRecord) -> str:
    """Add the session to a notice if the limit is per session."""
    if limit.per != "session":
        return text
    sender = record.attribution
    session = "".join(filter(str.isprintable, mask(sender.session or "")))[:_MAX_NAME]
    return f"{text} This is session {session} of {sender.client or 'an unknown client'}."


def refused(refusal: Refusal, cost: Estimate) -> BudgetExceeded:
    limit, allowed, (spent, reserved), missing = refusal
    resets = {"day": "at midnight", "month": "on the first of the month, at midnight UTC"}
    when = resets.get(limit.per, "with a new session")
    budgets = {"day": "today's budget", "month": "this month's budget"}
    parts = f"{amount(spent)} spent"
    if reserved:
        parts += f", {amount(reserved)} reserved by running requests"
    expected = f" The request may cost {_explained(cost)}." if cost.nano else ""
    return BudgetExceeded(
        f"This request does not fit within {budgets.get(limit.per, 'the budget')} of "
        f"{limit_amount(allowed)}{scope_text(limit)}: {parts}.{expected} The budget resets {when}.",
        f"{TO_RAISE}{advised_raise(limit, missing)}",
    )


def _explained(cost: Estimate) -> str:
    """Return the expected cost with its parts."""
    whole = amount(cost.nano)
    if not cost.output:
        return whole
    tokens = "token" if cost.output == 1 else "tokens"
    known = " (a guess, since this model has not answered yet)" if cost.is_guess else ""
    return (
        f"{whole}: {amount(cost.prompt)} for its prompt, and the rest for an answer of about "
        f"{number(cost.output)} {tokens}{known}"
    )
