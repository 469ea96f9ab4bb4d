"""The cost of an answer: ``copilot_usage``, and premium requests for plans billed by request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .refusal import copilot
from .types import CopilotUsage, Json, Model

if TYPE_CHECKING:
    from .call import Call
    from .conversation import Reply

DEFAULT_PRICES = {"input_price": 250, "output_price": 1000, "cache_read_price": 25}
"""AI credits per million tokens, for models whose entry has no price."""


def copilot_usage(model: Model, reply: Reply) -> CopilotUsage:
    """Return token counts with their prices; the total is in billionths of an AI credit."""
    prices = model.get("billing", {}).get("token_prices", {})
    size = prices.get("batch_size", 1_000_000)
    # Flat prices are in billionths of an AI credit, tiered prices in whole credits.
    unit = 1.0 if "input_price" in prices else 1e9
    tier = prices if "input_price" in prices else _tier(prices, reply)
    cached = tier.get("cache_read_price", tier.get("cache_price", 0))
    counts = {
        "input": (
            reply.prompt_tokens - reply.cached_tokens - reply.written_tokens,
            tier["input_price"],
        ),
        "cache_write": (
            reply.written_tokens,
            tier.get("cache_write_price", tier["input_price"]),
        ),
        "cache_read": (reply.cached_tokens, cached),
        "output": (reply.completion_tokens + reply.reasoning_tokens, tier["output_price"]),
    }
    details = [
        {
            "token_type": kind,
            "token_count": count,
            "batch_size": size,
            "cost_per_batch": round(price * unit),
        }
        for kind, (count, price) in counts.items()
        if count
    ]
    total = sum(one["token_count"] * one["cost_per_batch"] // size for one in details)
    return {"token_details": details, "total_nano_aiu": total}


def _tier(prices: Json, reply: Reply) -> Json:
    """Return the prices that apply to a prompt of this length."""
    tier: Json = prices.get("default", DEFAULT_PRICES)
    limit = tier.get("max_prompt_tokens", tier.get("context_max"))
    if limit is not None and reply.prompt_tokens > limit:
        tier = prices.get("long_context", tier)
    return tier


def charge(call: Call, model: Model) -> None:
    """Charge a request to the account's quota; raise a 402 if the quota is used up."""
    account = call.state.account
    billing = model.get("billing", {})
    if account.exhausted and billing.get("is_premium"):
        raise copilot(402, "You have no quota", "quota_exceeded")
    if call.record.initiator == "agent":
        return
    if account.free:
        if account.used + call.state.spent + 1 > account.entitlement:
            raise copilot(402, "You have no quota", "free_quota_exceeded")
        call.state.spent += 1
        return
    cost = billing.get("multiplier", 1 if billing.get("is_premium") else 0)
    left = account.entitlement - account.used - call.state.spent
    if account.entitlement > 0 and cost > max(left, 0) and not account.overage:
        raise copilot(402, "You have no quota", "quota_exceeded")
    call.state.spent = round(call.state.spent + cost, 2)
