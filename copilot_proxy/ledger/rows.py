"""Converts the record of a request to a row of the ledger."""

from functools import lru_cache
from typing import Final

import msgspec

from copilot_proxy.cost.quota import Quota
from copilot_proxy.cost.tokens import Tokens
from copilot_proxy.ledger.periods import day_and_month
from copilot_proxy.ledger.schema import CALLER, Row
from copilot_proxy.masking import mask
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.relay.outcome import outcome
from copilot_proxy.relay.records import RequestRecord

_MAX_TEXT: Final = 200
_NO_QUOTA: Final = (None,) * len(Quota._fields)
_NO_TOKENS: Final = (None,) * len(Tokens._fields)


def row_of(record: RequestRecord, ended_us: int) -> Row:
    """Return the row for a request that ended at `ended_us`, in microseconds since 1970."""
    cost = cost_of(record)
    # A model that the account does not have, such as a misspelled one, cannot have cost anything.
    model = None if record.listed is None and cost.source == "free" else record.model
    sender, quota = record.attribution, record.quota
    details = record.copilot_usage
    first = record.first_token
    return (
        record.request_id,
        None,
        *day_and_month(ended_us // 60_000_000),
        ended_us - round(record.duration * 1e6),
        ended_us,
        None if first is None else round(first * 1000),
        CALLER if record.own_sign_in else None,
        record.key,
        _text(sender.client),
        _text(sender.version),
        _text(sender.user_agent),
        _text(sender.session),
        _text(sender.project),
        record.api,
        record.route,
        int(record.stream),
        record.initiator,
        record.attempts,
        _plain(record.upstream_id),
        _text(record.model_asked),
        _text(model),
        _text(record.model_answered),
        _text(record.effort),
        cost.tier,
        *(cost.tokens or _NO_TOKENS),
        record.images,
        cost.nano,
        cost.source,
        cost.price_date,
        None if details is None else msgspec.json.encode(details).decode(),
        record.status,
        outcome(record),
        _text(record.error),
        _text(record.finish_reason),
        msgspec.json.encode([mask(note) for note in record.notes]).decode()
        if record.notes
        else None,
        *(_NO_QUOTA if quota is None else _quota(quota)),
        record.reserved,
        *(None, None, None),  # why the request missed the cache; see `prompts`
    )


@lru_cache(maxsize=4)  # most answers repeat the previous values
def _quota(quota: Quota) -> tuple[str, float, float, float, str | None]:
    return (
        quota.unit,
        float(quota.entitlement),
        float(quota.percent_left),
        float(quota.overage),
        quota.resets_at.isoformat() if quota.resets_at else None,
    )


@lru_cache(maxsize=256)  # most requests share most strings
def _text(value: str | None) -> str | None:
    """Return text from a client or Copilot, shortened and without secrets."""
    if value is None:
        return None
    return mask(_plain(value) or "")


def _plain(value: str | None) -> str | None:
    """Return `value` shortened and without unprintable characters, or None if nothing is left.
    Secrets are not masked."""
    text = (value or "")[:_MAX_TEXT]
    return (text if text.isprintable() else "".join(filter(str.isprintable, text))) or None
