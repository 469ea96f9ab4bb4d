"""The models endpoints, and the lookup of the model that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalogue import CHAT, RESPONSES, Model, endpoints_of, vendor
from .refusal import Refusal, copilot, invalid

if TYPE_CHECKING:
    from .call import Call
    from .state import State


def visible(state: State, *, versioned: bool = True) -> list[Model]:
    """Return the models that the account may see.

    Clients that send no API version see older models only.
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
    found = visible(call.state, versioned="x-github-api-version" in call.headers)
    await call.json({"data": found, "object": "list"}, headers)


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


def find(state: State, body: dict[str, Any], endpoint: str) -> Model:
    """Return the entry of the model that a request names; raise a 400 if `endpoint` lacks it."""
    model_id = body.get("model")
    model = None
    if model_id is None and endpoint == CHAT:
        # GitHub chooses a model if the request names none.
        model = next((one for one in state.catalogue if one.get("is_chat_default")), None)
    elif isinstance(model_id, str):
        model = next((one for one in visible(state) if one.get("id") == model_id), None)
    if model is None or model.get("policy", {}).get("state") == "disabled":
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
