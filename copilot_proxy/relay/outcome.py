"""How a request ended, in one word for programs, and in plain words for users."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.relay.admission import BUDGET_EXCEEDED
from copilot_proxy.relay.records import RequestRecord

OUTCOME_TEXTS: Final[Mapping[str, str]] = {
    "client_left": "client left",
    "refused_budget": "over budget",
    "refused_upstream": "refused by Copilot",
    "refused_here": "not sent",
    "broken": "failed",
}
"""The outcomes in plain words, except for ``ok``."""


def outcome(record: RequestRecord) -> str:
    """Return how the request ended: ``ok``, ``client_left``, ``refused_budget``,
    ``refused_upstream``, ``refused_here`` or ``broken``."""
    if record.client_gone:
        return "client_left"
    if record.error is None:
        return "ok"
    if record.error == BUDGET_EXCEEDED:
        return "refused_budget"
    if record.upstream_status is not None:
        return "refused_upstream"
    return "refused_here" if record.local or not record.attempts else "broken"
