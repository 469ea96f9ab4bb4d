"""Creates ledger rows for tests, without a server."""

from typing import Any

from copilot_proxy.attribution import Attribution
from copilot_proxy.cost.quota import Quota
from copilot_proxy.ledger.rows import row_of
from copilot_proxy.ledger.schema import Row
from copilot_proxy.relay.records import RequestRecord


def record(
    request_id: str,
    *,
    credits: float | None = 0.1125,
    model: str = "claude-opus-5",
    client: str | None = "claude-code",
    session: str | None = None,
    tokens: tuple[int, int, int] = (10, 0, 2),
    quota: Quota | None = None,
    **more: Any,
) -> RequestRecord:
    """Return a record; `tokens` has the numbers of fresh, cached and output tokens."""
    fresh, cached, output = tokens
    return RequestRecord(
        request_id,
        "messages",
        model=model,
        attempts=1,
        attribution=Attribution(client, session=session),
        quota=quota,
        copilot_usage=None if credits is None else {"total_nano_aiu": round(credits * 1e9)},
        usage={
            "prompt_tokens": fresh + cached,
            "completion_tokens": output,
            "prompt_tokens_details": {"cached_tokens": cached},
        },
        **more,
    )


def row(made: RequestRecord, ended: float) -> Row:
    """Return the row of a request that ended at `ended`, in seconds since 1970."""
    return row_of(made, round(ended * 1e6))
