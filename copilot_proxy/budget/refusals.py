"""The error for requests that do not fit the budget, and its text."""

from typing import TYPE_CHECKING, Final

from copilot_proxy.budget.formatting import advised_raise, amount, scope_text
from copilot_proxy.cost.limits import Limit
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask
from copilot_proxy.relay.admission import BUDGET_EXCEEDED
from copilot_proxy.relay.records import RequestRecord

if TYPE_CHECKING:
    from copilot_proxy.ledger.reserver import Refusal

_MAX_NAME: Final = 64


class BudgetExceeded(CopilotProxyError):
    """A request does not fit the budget. The HTTP status makes every client stop; see `clients`."""

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


def refused(refusal: "Refusal", cost: int) -> BudgetExceeded:
    limit, allowed, (spent, reserved), missing = refusal
    resets = {"day": "at midnight", "month": "on the first of the month, at midnight UTC"}
    when = resets.get(limit.per, "with a new session")
    budgets = {"day": "today's budget", "month": "this month's budget"}
    parts = [f"{amount(spent)} spent"]
    if reserved:
        parts.append(f"{amount(reserved)} reserved by running requests")
    if cost:
        parts.append(f"{amount(cost)} expected for this request")
    return BudgetExceeded(
        f"This request does not fit {budgets.get(limit.per, 'the budget')} of {amount(allowed)}"
        f"{scope_text(limit)}: {', '.join(parts)}. The budget resets {when}.",
        f"To raise it, run: {advised_raise(limit, missing)}",
    )
