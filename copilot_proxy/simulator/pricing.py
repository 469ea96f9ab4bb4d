"""The cost of an answer: ``copilot_usage``, and what is charged to the account's quota."""

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
    """Return the prices that apply to the length of the prompt."""
    tier: Json = prices.get("default", DEFAULT_PRICES)
    limit = tier.get("max_prompt_tokens", tier.get("context_max"))
    if limit is not None and reply.prompt_tokens > limit:
        tier = prices.get("long_context", tier)
    return tier


def check_quota(call: Call, model: Model) -> None:
    """Raise a 402 if the account's quota is used up.

    Premium requests and chat messages are charged here, because their number does not depend on the
    answer. A request made by the user costs the model's multiplier or, if the plan counts chat
    messages, one message. An agent's requests are free.
    """
    account = call.state.account
    billing = model.get("billing", {})
    left = account.entitlement - account.used - call.state.spent
    if account.exhausted and billing.get("is_premium"):
        raise copilot(402, "You have no quota", "quota_exceeded")
    if account.credits:
        is_limited = account.entitlement > 0 and (account.free or billing.get("is_premium"))
        if is_limited and left <= 0 and not account.overage:
            code = "free_quota_exceeded" if account.free else "quota_exceeded"
            raise copilot(402, "You have no quota", code)
        return
    if call.record.initiator == "agent":
        return
    if account.free:
        if left < 1:
            raise copilot(402, "You have no quota", "free_quota_exceeded")
        call.state.spent += 1
        return
    cost = billing.get("multiplier", 1 if billing.get("is_premium") else 0)
    if account.entitlement > 0 and cost > max(left, 0) and not account.overage:
        raise copilot(402, "You have no quota", "quota_exceeded")
    call.state.spent = round(call.state.spent + cost, 2)


def charge(call: Call, model: Model, reply: Reply) -> None:
    """Charge an answer to the account if its plan is billed in AI credits."""
    if call.state.account.credits:
        total = copilot_usage(model, reply)["total_nano_aiu"]
        call.state.spent = round(call.state.spent + total / 1e9, 9)
