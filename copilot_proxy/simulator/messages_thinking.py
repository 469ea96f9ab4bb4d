"""Validation of Claude's thinking and effort, and of the sampling values that go with them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from . import catalogue
from .refusal import Refusal, anthropic, copilot
from .sampling import sampling_error
from .schema_rules import is_schema

if TYPE_CHECKING:
    from .catalogue import Model

Json = dict[str, Any]


def invalid_request(message: str) -> Refusal:
    """Return a 400 in Claude's own shape, with the request id of a backend."""
    request_id = "req_vrtx_" + secrets.token_hex(12)
    return anthropic(400, "invalid_request_error", message, request_id)


def check(body: Json, model: Model) -> None:
    """Raise a 400 for thinking, effort or temperature that the model does not accept."""
    temperature = body.get("temperature")
    if text := sampling_error(model, body):
        raise invalid_request(text)
    if temperature not in (None, 1) and thinks(body):
        raise invalid_request("`temperature` may only be set to 1 when thinking is enabled.")
    _thinking(body, model)
    _effort(body, model)


def thinks(body: Json) -> bool:
    """Whether the request enables thinking."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _thinking(body: Json, model: Model) -> None:
    thinking = body.get("thinking") or {}
    kind = thinking.get("type", "disabled")
    _, version = catalogue.claude_version(model)
    if kind not in ("enabled", "adaptive", "disabled"):
        raise invalid_request("thinking: Input tag does not match any of the expected tags")
    if kind == "enabled":
        if version >= 4.7:
            raise invalid_request('"thinking.type.enabled" is not supported for this model.')
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise invalid_request("thinking.enabled.budget_tokens: Input should be at least 1024")
        if budget >= body.get("max_tokens", budget + 1):
            raise invalid_request("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if kind == "adaptive" and not catalogue.supports(model, "adaptive_thinking"):
        raise invalid_request("adaptive thinking is not supported on this model")
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if kind != "disabled" and forced:
        raise invalid_request("Thinking may not be enabled when tool_choice forces tool use.")


def _effort(body: Json, model: Model) -> None:
    config = body.get("output_config")
    if config is None:
        return
    offered = catalogue.supports(model, "reasoning_effort")
    if offered is None:
        raise invalid_request("output_config: Extra inputs are not permitted")
    format_ = config.get("format") or {}
    if not isinstance(format_, dict) or not is_schema(format_.get("schema") or {}):
        raise invalid_request("output_config.format: Input should be a valid dictionary")
    effort = config.get("effort")
    if effort is not None and effort not in offered:
        raise copilot(
            400,
            f'output_config.effort "{effort}" is not supported by model {model["id"]}; '
            f"supported values: [{' '.join(offered)}]",
            "invalid_reasoning_effort",
        )
