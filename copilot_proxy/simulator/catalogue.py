"""The models: their list as GitHub shows it to an account, and what a request may ask of them."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from .refusal import Refusal, copilot, invalid

if TYPE_CHECKING:
    from .call import Call
    from .state import State

Model = dict[str, Any]

CHAT = "/chat/completions"
RESPONSES = "/responses"
MESSAGES = "/v1/messages"
EMBEDDINGS = "/embeddings"


def load() -> list[Model]:
    """The catalogue that comes with the simulator."""
    data = resources.files(__package__).joinpath("models.json").read_bytes()
    return msgspec.json.decode(data, type=list[Model])


def visible(state: State, *, versioned: bool = True) -> list[Model]:
    """What the account may see; clients that name no API version see the older models only."""
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


def wanted(state: State, body: dict[str, Any], endpoint: str) -> Model:
    """The entry of the model that a request names, if it may be used on `endpoint`."""
    model_id = body.get("model")
    model = None
    if model_id is None and endpoint == CHAT:
        # Without a model GitHub chooses one.
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
    if endpoint not in served_by(model):
        text = f'model "{model["id"]}" is not accessible via the {endpoint} endpoint'
        if endpoint == RESPONSES and vendor(model) != "azure":
            text = f'model "{model["id"]}" does not support Responses API.'
        raise copilot(400, text, "unsupported_api_for_model")
    return model


def served_by(model: Model) -> list[str]:
    """The endpoints on which a model answers; chat completions when the entry names none."""
    named = model.get("supported_endpoints")
    if named:
        return list(named)
    kind = model.get("capabilities", {}).get("type", "chat")
    return {"chat": [CHAT], "embeddings": [EMBEDDINGS]}.get(kind, [])


def supports(model: Model, feature: str) -> Any:
    """One of the model's ``supports`` values; None when the entry is silent."""
    return model.get("capabilities", {}).get("supports", {}).get(feature)


def limit(model: Model, name: str) -> int | None:
    """One of the model's ``limits``; None when the entry is silent."""
    value = model.get("capabilities", {}).get("limits", {}).get(name)
    return value if isinstance(value, int) else None


def vendor(model: Model) -> str:
    """Whose way of answering the model has: ``claude``, ``gemini`` or ``azure``."""
    return {"Anthropic": "claude", "Google": "gemini"}.get(model.get("vendor", ""), "azure")


def claude_version(model: Model) -> tuple[str, float]:
    """Family and version of a Claude model, such as ("opus", 4.7); ("", 0) for all others."""
    found = re.match(r"claude-(opus|sonnet|haiku)-(\d+(?:\.\d+)?)", model["id"])
    return (found[1], float(found[2])) if found else ("", 0.0)


def is_gpt5(model: Model) -> bool:
    """Whether OpenAI's rules for its reasoning models hold."""
    return bool(re.match(r"gpt-5|o\d", model["id"])) or model["id"] == "goldeneye"


def is_gemini3(model: Model) -> bool:
    """Whether the model insists on its own signatures."""
    return str(model["id"]).startswith("gemini-3")


def backend_name(model: Model) -> str:
    """What answers call the model: often a dated name instead of the id that was asked for."""
    family, version = claude_version(model)
    if family:
        dashed = f"{version:g}".replace(".", "-")
        return f"claude-{family}-{dashed}-20250929"
    dated = {"gpt-5.1": "2025-11-13", "gpt-5.2": "2025-12-11", "gpt-5-mini": "2025-08-07"}
    if model["id"] in dated:
        return f"{model['id']}-{dated[model['id']]}"
    return str(model.get("version", model["id"]))
