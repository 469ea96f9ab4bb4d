"""Validation of Claude's parameters for thinking, effort and sampling."""

from __future__ import annotations

import secrets

from . import catalogue, claude
from .refusal import Refusal, anthropic, copilot
from .sampling import sampling_error
from .schema_rules import is_schema
from .types import MessagesRequest, Model, Thinking

BINDING_BETA = "thinking-binding-controls-2026-08-01"
DISPLAY_BETA = "thinking-display-updates-2026-08-18"
KEYS = {
    "enabled": {"type", "budget_tokens", "display", "block_binding"},
    "adaptive": {"type", "display", "block_binding"},
    "disabled": {"type"},
}
"""Type of thinking -> the only fields that it may have."""
BEHAVIOURS = ("drop_block", "error")
CONFIG_KEYS = {"effort", "format"}


def invalid_request(message: str) -> Refusal:
    """Return a 400 in Claude's own format, with a request id like a backend's."""
    request_id = "req_vrtx_" + secrets.token_hex(12)
    return anthropic(400, "invalid_request_error", message, request_id)


def check(body: MessagesRequest, model: Model, betas: set[str]) -> None:
    """Raise a 400 for thinking, effort or temperature that the model does not accept."""
    temperature = body.get("temperature")
    if text := sampling_error(model, body):
        raise invalid_request(text)
    if temperature not in (None, 1) and thinks(body, model):
        raise invalid_request("`temperature` may only be set to 1 when thinking is enabled.")
    _thinking(body, model)
    _fields(body.get("thinking") or {}, model, betas)
    _forced_tools(body, model)
    _effort(body, model)


def thinks(body: MessagesRequest, model: Model) -> bool:
    """Return whether the model thinks before it answers the request."""
    kind = (body.get("thinking") or {}).get("type")
    return claude.always_thinks(model) or kind in ("enabled", "adaptive")


def hides_thinking(body: MessagesRequest, model: Model) -> bool:
    """Return whether thinking blocks have no text, which is the default for newer models."""
    display = (body.get("thinking") or {}).get("display")
    return display == "omitted" or (display is None and claude.is_modern(model))


def _thinking(body: MessagesRequest, model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind not in KEYS:
        raise invalid_request("thinking: Input tag does not match any of the expected tags")
    if kind not in claude.thinking_types(model):
        if kind == "adaptive":
            raise invalid_request("adaptive thinking is not supported on this model")
        raise invalid_request(f'"thinking.type.{kind}" is not supported for this model.')
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise invalid_request("thinking.enabled.budget_tokens: Input should be at least 1024")
        if budget >= body.get("max_tokens", budget + 1):
            raise invalid_request("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _fields(thinking: Thinking, model: Model, betas: set[str]) -> None:
    """Check the fields of `thinking` besides its type. Some of them need a beta."""
    kind = thinking.get("type")
    for name in thinking:
        if name not in KEYS[str(kind)]:
            raise invalid_request(f"thinking.{kind}.{name}: Extra inputs are not permitted")
    display = thinking.get("display")
    displays = ("summarized", "omitted", *(["updates"] if DISPLAY_BETA in betas else []))
    if display is not None and display not in displays:
        allowed = " or ".join(f"'{one}'" for one in displays)
        raise invalid_request(f"thinking.{kind}.display: Input should be {allowed}")
    binding = thinking.get("block_binding")
    if binding is None:
        if BINDING_BETA in betas:
            raise invalid_request(f"thinking.block_binding: Field required with {BINDING_BETA}")
        return
    if BINDING_BETA not in betas or catalogue.claude_version(model)[1] <= claude.LAST_UNBOUND:
        raise invalid_request(f"thinking.{kind}.block_binding: Extra inputs are not permitted")
    path = f"thinking.{kind}.block_binding"
    if not isinstance(binding, dict):
        raise invalid_request(f"{path}: Input should be a valid dictionary")
    for name in binding:
        if name != "prefix_mismatch_behavior":
            raise invalid_request(f"{path}.{name}: Extra inputs are not permitted")
    if binding.get("prefix_mismatch_behavior") not in (None, *BEHAVIOURS):
        raise invalid_request(
            f"{path}.prefix_mismatch_behavior: Input should be 'drop_block' or 'error'"
        )


def _forced_tools(body: MessagesRequest, model: Model) -> None:
    if (body.get("tool_choice") or {}).get("type") not in ("any", "tool"):
        return
    if thinks(body, model):
        raise invalid_request("Thinking may not be enabled when tool_choice forces tool use.")


def _effort(body: MessagesRequest, model: Model) -> None:
    config = body.get("output_config")
    if config is None:
        return
    offered = catalogue.supports(model, "reasoning_effort")
    if offered is None:
        raise invalid_request("output_config: Extra inputs are not permitted")
    for name in config:
        if name not in CONFIG_KEYS:
            raise invalid_request(f"output_config.{name}: Extra inputs are not permitted")
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
