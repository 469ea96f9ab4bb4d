"""How a request ended, in one word."""

from copilot_proxy.relay.admission import BUDGET_EXCEEDED
from copilot_proxy.relay.records import RequestRecord


def outcome(record: RequestRecord) -> str:
    """Return how the request ended: ``ok``, ``client_left``, ``refused_budget``,
    ``refused_upstream``, ``refused_here`` or ``broken``."""
    if record.client_gone:
        return "client_left"
    if record.error is None:
        return "ok"
    if record.error == BUDGET_EXCEEDED:
        return "refused_budget"
    if record.upstream_status is not None and record.upstream_status >= 400:
        return "refused_upstream"
    return "refused_here" if record.local or not record.attempts else "broken"
