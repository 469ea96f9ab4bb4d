"""When Claude thinks, how hard, and which values it then refuses."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from . import catalogue
from .refusal import Refusal, anthropic, copilot
from .sampling import complaint
from .schema_rules import is_schema

if TYPE_CHECKING:
    from .catalogue import Model

Json = dict[str, Any]


def refused(message: str) -> Refusal:
    """A 400 in Claude's own envelope, with the request id of a backend."""
    request_id = "req_vrtx_" + secrets.token_hex(12)
    return anthropic(400, "invalid_request_error", message, request_id)


def check(body: Json, model: Model) -> None:
    """Refuse thinking, effort and temperatures that this model does not take."""
    temperature = body.get("temperature")
    if text := complaint(model, body):
        raise refused(text)
    if temperature not in (None, 1) and thinks(body):
        raise refused("`temperature` may only be set to 1 when thinking is enabled.")
    _thinking(body, model)
    _effort(body, model)


def thinks(body: Json) -> bool:
    """Whether the request switches thinking on."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _thinking(body: Json, model: Model) -> None:
    thinking = body.get("thinking") or {}
    kind = thinking.get("type", "disabled")
    _, version = catalogue.claude_version(model)
    if kind not in ("enabled", "adaptive", "disabled"):
        raise refused("thinking: Input tag does not match any of the expected tags")
    if kind == "enabled":
        if version >= 4.7:
            raise refused('"thinking.type.enabled" is not supported for this model.')
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise refused("thinking.enabled.budget_tokens: Input should be at least 1024")
        if budget >= body.get("max_tokens", budget + 1):
            raise refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if kind == "adaptive" and not catalogue.supports(model, "adaptive_thinking"):
        raise refused("adaptive thinking is not supported on this model")
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if kind != "disabled" and forced:
        raise refused("Thinking may not be enabled when tool_choice forces tool use.")


def _effort(body: Json, model: Model) -> None:
    config = body.get("output_config")
    if config is None:
        return
    offered = catalogue.supports(model, "reasoning_effort")
    if offered is None:
        raise refused("output_config: Extra inputs are not permitted")
    format_ = config.get("format") or {}
    if not isinstance(format_, dict) or not is_schema(format_.get("schema") or {}):
        raise refused("output_config.format: Input should be a valid dictionary")
    effort = config.get("effort")
    if effort is not None and effort not in offered:
        raise copilot(
            400,
            f'output_config.effort "{effort}" is not supported by model {model["id"]}; '
            f"supported values: [{' '.join(offered)}]",
            "invalid_reasoning_effort",
        )
