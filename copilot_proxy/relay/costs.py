"""Determines the cost of a request from its record."""

from typing import Final

from copilot_proxy.catalogue import Model
from copilot_proxy.cost.assessment import FREE, Cost, assess, estimated
from copilot_proxy.cost.estimated_tokens import AnswerSizes, answer_tokens
from copilot_proxy.cost.nano_aiu import decimal, reported_total
from copilot_proxy.cost.price_list import PriceList, listed_prices, reported_parts, reported_prices
from copilot_proxy.cost.tokens import Tokens, from_usage
from copilot_proxy.formats.token_estimate import request_tokens
from copilot_proxy.formats.types import CopilotUsage
from copilot_proxy.relay.records import RequestRecord

COUNT_TOKENS: Final = "count_tokens"
INPUT_TOKENS: Final = "input_tokens"
"""The API names of requests that only count tokens. Such requests are free."""
_OUT_OF_QUOTA: Final = "insufficient_quota"
_EVENTS_WITHOUT_OUTPUT: Final = 3
"""A refused Responses stream may consist of its start, its state and the error."""
_PRICES: Final = "price_list"
_LEARNED: Final = "learned_prices"
_REPORTED: Final = "reported_parts"


def learn_answer_size(record: RequestRecord, sizes: AnswerSizes) -> None:
    """Let `sizes` learn from a complete answer with token counts.

    For any other answer that may have to be estimated, use what `sizes` has learned.
    """
    model = record.model or ""
    if not is_complete(record):
        record.tokens_per_event = sizes.per_event(model)
        record.expected_output = sizes.per_answer(model)
    elif (tokens := from_usage(record.usage)) is not None and tokens.output:
        sizes.learn(model, record.events, tokens.output)
    elif record.events:
        record.tokens_per_event = sizes.per_event(model)


def sized(record: RequestRecord, answer: object) -> object:
    """Return a whole answer, after estimating its tokens for `record` if it has no counts."""
    if isinstance(answer, dict):
        usage = answer.get("usage")
        if not isinstance(usage, dict) or not any(usage.values()):
            record.answer_tokens = answer_tokens(answer)
    return answer


def cost_of(record: RequestRecord) -> Cost:
    """Return the cost of a completed request."""
    if record.copilot_usage is not None or (record.usage is not None and is_complete(record)):
        cost = _assessed(record)
        if cost.tokens is not None or cost.nano is not None:
            return cost  # otherwise Copilot's counts are all zero
    if record.api in (COUNT_TOKENS, INPUT_TOKENS) or not _was_processed(record):
        return FREE
    if not record.events and (record.client_gone or record.error is not None):
        # Copilot failed, its answer never arrived, or the client did not wait for it. It is unknown
        # whether the request was charged.
        if record.reserved and record.upstream_status is None:
            return Cost(record.reserved, "estimated")  # otherwise, a budget would not count it
        if not record.client_gone:
            return Cost(None, "unknown")
    tokens = from_usage(record.usage)
    if tokens is None or not tokens.prompt:
        tokens = Tokens(input=request_tokens(record.unmetered or {}))
    tokens = tokens._replace(output=max(tokens.output, _estimated_output(record)))
    prices = prices_of(record.listed) if record.listed is not None else None
    cost = estimated(record.model, prices, tokens)
    if cost.nano is None and record.listed is not None:
        return estimated(record.model, learned_prices(record.listed), tokens)
    return cost


def _estimated_output(record: RequestRecord) -> int:
    """Return the estimated output tokens of an answer without final counts."""
    if record.answer_tokens:
        return record.answer_tokens
    if record.events or record.stream or not record.client_gone:
        return round(record.events * record.tokens_per_event)
    # The model may have written its entire answer before Copilot noticed that nobody waits for it.
    limit = record.client_api.output_limit({**record.unmetered}) if record.unmetered else None
    expected = round(record.expected_output)
    return expected if limit is None else min(expected, limit)


def _assessed(record: RequestRecord) -> Cost:
    """Return the cost for complete token counts. Cached, since several reports need it."""
    usage, details = record.usage, record.copilot_usage
    known = record.assessed
    if known is not None and known[0] is usage and known[1] is details:
        return known[2]
    prices = prices_of(record.listed) if record.listed is not None else None
    if prices is None and record.listed is not None:
        _learn_prices(record.listed, details)
    cost = assess(record.model, prices, usage, details)
    record.assessed = (usage, details, cost)
    return cost


def _learn_prices(model: Model, details: CopilotUsage | None) -> None:
    """Remember the prices that an answer reports; most answers repeat the previous prices."""
    parts = reported_parts(details)
    if parts != model.derived.get(_REPORTED):
        model.derived[_REPORTED] = parts
        if found := reported_prices(details):
            model.derived[_LEARNED] = found


def prices_of(model: Model) -> PriceList | None:
    """Return the model's prices in Copilot's list, or None if none are listed."""
    if _PRICES not in model.derived:
        model.derived[_PRICES] = listed_prices(model.raw)
    prices: PriceList | None = model.derived[_PRICES]
    return prices


def learned_prices(model: Model) -> PriceList | None:
    """Return the prices that the model's last answer reported, or None.

    These are used for estimates if there is no other price for the model.
    """
    prices: PriceList | None = model.derived.get(_LEARNED)
    return prices


def is_complete(record: RequestRecord) -> bool:
    """Return whether the token counts of the answer are final."""
    return record.finished or not (record.client_gone or record.error)


def _was_processed(record: RequestRecord) -> bool:
    """Return whether Copilot may have processed the request. Refused requests are free."""
    refused = record.upstream_status is not None and 400 <= record.upstream_status < 500
    if record.error == _OUT_OF_QUOTA and record.events <= _EVENTS_WITHOUT_OUTPUT:
        refused = True  # GitHub does not charge for this, even if it comes as an event (wire.md 11)
    return record.attempts > 0 and record.sent and not record.local and not refused


def cost_headers(record: RequestRecord) -> dict[str, str]:
    """Return the headers with the remaining quota, and the cost if it is already known."""
    headers = {}
    if record.quota is not None and (left := record.quota.left) is not None:
        headers["x-copilot-proxy-quota-left"] = f"{left:.2f}"
    nano = reported_total(record.copilot_usage)
    if nano is None and (record.copilot_usage is not None or record.usage is not None):
        cost = cost_of(record)
        nano = None if cost.source == "estimated" else cost.nano
    if nano is not None:
        headers["x-copilot-proxy-cost"] = decimal(nano)
    return headers
