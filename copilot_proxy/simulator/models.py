"""The models endpoints, and the lookup of the model that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalogue import CHAT, RESPONSES, endpoints_of, vendor
from .refusal import Refusal, copilot, invalid
from .types import Json, Model

if TYPE_CHECKING:
    from .call import Call
    from .state import State

SPLIT_CACHE_PRICES = "2026-08-01"
"""The first API version with separate prices for reading and writing a cache."""


def visible(state: State, *, versioned: bool = True) -> list[Model]:
    """Return the models that the account may see.

    Clients that send no API version only see older models.
    """
    segment = state.account.segment
    found = []
    for model in state.catalogue:
        restricted = model.get("billing", {}).get("restricted_to")
        if restricted and segment not in restricted:
            continue
        if not versioned and model.get("supported_endpoints"):
            continue
        found.append(model)
    return found


async def models(call: Call, headers: dict[str, str]) -> None:
    """``GET /models``."""
    faults = call.state.faults
    if fault := faults.take("models_500", call.path):
        raise Refusal(int(fault.value or 500), "Internal Server Error\n")
    if fault := faults.take("models_429", call.path):
        raise copilot(429, "rate limit exceeded", "rate_limited")
    if faults.take("models_html", call.path):
        raise Refusal(200, "<html><body>Sign in</body></html>", content_type="text/html")
    if faults.take("models_garbage", call.path):
        await call.json(
            {"data": [None, 3, {"name": "no id"}, {"id": 7}], "object": "list"}, headers
        )
        return
    version = call.headers.get("x-github-api-version")
    found = visible(call.state, versioned=version is not None)
    if not call.state.account.credits:
        found = [_without_prices(model) for model in found]
    if version is None or version < SPLIT_CACHE_PRICES:
        found = [_with_one_cache_price(model) for model in found]
    await call.json({"data": found, "object": "list"}, headers)


def _without_prices(model: Model) -> Model:
    """Return the entry as seen by an account that is billed per request."""
    billing = dict(model.get("billing", {}))
    if billing.pop("token_prices", None) is None:
        return model
    return {**model, "billing": billing}


def _with_one_cache_price(model: Model) -> Model:
    """Return the entry as in older API versions, where each tier has a single cache price."""
    billing = model.get("billing", {})
    prices = dict(billing.get("token_prices", {}))
    for name in ("default", "long_context"):
        if "cache_read_price" in prices.get(name, {}):
            tier = dict(prices[name])
            tier["cache_price"] = tier.pop("cache_read_price")
            tier.pop("cache_write_price", None)
            tier.pop("cache_write_1h", None)
            prices[name] = tier
    return {**model, "billing": {**billing, "token_prices": prices}} if prices else model


async def policy(call: Call, headers: dict[str, str]) -> None:
    """``POST /models/{id}/policy``: accept the terms of a model."""
    model = call.state.model("/".join(call.parts[2:-1]))
    if model is None:
        raise copilot(404, "model not found", "not_found")
    body = call.record.body
    if not isinstance(body, dict) or body.get("state") not in ("enabled", "disabled"):
        raise invalid()
    if call.state.account.organisations:
        raise copilot(403, "the policy is managed by your organization", "forbidden")
    model.setdefault("policy", {})["state"] = body["state"]
    await call.json(model["policy"], headers)


def find(state: State, body: Json, endpoint: str) -> Model:
    """Return the entry of the model that a request names.

    Raises a 400 if there is no such model, or `endpoint` does not serve it.
    """
    model_id = body.get("model")
    model = None
    if model_id is None and endpoint == CHAT:
        # GitHub chooses a model if the request does not name one.
        served = [one for one in visible(state) if endpoint in endpoints_of(one)]
        model = next((one for one in served if one.get("is_chat_default")), None)
        model = model or next(iter(served), None)
    elif isinstance(model_id, str):
        model = next((one for one in visible(state) if one.get("id") == model_id), None)
    if model is None or model.get("policy", {}).get("state", "enabled") != "enabled":
        raise copilot(
            400,
            "The requested model is not supported.",
            "model_not_supported",
            param="model",
            type="invalid_request_error",
        )
    if endpoint not in endpoints_of(model):
        text = f'model "{model["id"]}" is not accessible via the {endpoint} endpoint'
        if endpoint == RESPONSES and vendor(model) != "azure":
            text = f'model "{model["id"]}" does not support Responses API.'
        raise copilot(400, text, "unsupported_api_for_model")
    return model
