"""Sets how much a model thinks, with pi-ai's options and with fields of Claude's API."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.efforts import effort_of, nearest_effort
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.pi_ai.models import PiApi, can_think
from copilot_proxy.formats.rules.thinking import BINDING
from copilot_proxy.formats.types import ChatRequest, Json

_LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
"""pi-ai's thinking levels."""
_BUDGET_LEVELS: Final = _LEVELS[:-2]
"""The levels for which pi-ai accepts a budget in tokens."""
_INTERLEAVED: Final = "interleaved-thinking-2025-05-14"
"""The beta for thinking between tool calls; models with adaptive thinking do not need it."""
_BINDING_BETA: Final = "thinking-binding-controls-2026-08-01"
"""The beta for the field `BINDING` of thinking."""


def set_reasoning(
    fields: ChatRequest,
    profile: ModelProfile,
    api: PiApi,
    choice: Any,
    options: Json,
    payload: Json,
    notes: list[str],
) -> Mapping[str, str]:
    """Set how much the model thinks; return a map from pi-ai's levels to Copilot's efforts."""
    budget, effort = fields.get("thinking_budget"), fields.get("reasoning_effort")
    if type(budget) is int:
        effort = effort or effort_of(budget)
        if api != "anthropic-messages":
            notes.append(
                f"changed thinking_budget to reasoning_effort {effort}: pi-ai does not support "
                "budgets for this model"
            )
    if effort is None:
        return {}
    if not can_think(profile, api):
        if effort != "none":
            notes.append("dropped reasoning_effort: pi-ai does not support it for this model")
        return {}
    if effort == "none":
        return _without_reasoning(profile, api, payload, notes)
    if is_forced(choice) and not profile.thinks_with_forced_tool and api == "anthropic-messages":
        notes.append("dropped reasoning_effort: Claude does not think when a tool is forced")
        return {}
    level = effort
    if level not in _LEVELS:
        notes.append(
            f"changed reasoning_effort from {effort} to medium: pi-ai does not support {effort}"
        )
        effort = level = "medium"
    if api == "anthropic-messages" and type(budget) is int and not profile.adaptive:
        level = level if level in _BUDGET_LEVELS else "high"
        options["thinkingBudgets"] = {level: budget}
    options["reasoning"] = level
    nearest = nearest_effort(effort, profile.efforts or ())
    if nearest is None:
        return {}
    if nearest != effort:
        notes.append(
            f"changed reasoning_effort from {effort} to {nearest}: the nearest value that the "
            "model supports"
        )
    return {level: nearest}


def is_forced(choice: Any) -> bool:
    """Return whether the tool choice forces the model to call a tool."""
    return choice == "required" or isinstance(choice, dict)


def set_adaptive_thinking(profile: ModelProfile, payload: Json, *, reasoning: bool) -> None:
    """Set the fields that Copilot's own clients send but pi-ai leaves out.

    Models that always think are asked for a summary. Models that bind thinking to the conversation
    are asked to drop it if the conversation has changed, rather than refuse the request.
    """
    if not (profile.thinking == "adaptive_only" or (reasoning and profile.binds_thinking)):
        return
    payload["thinking"] = {"type": "adaptive", "display": "summarized"}
    if profile.binds_thinking:
        payload["thinking"][BINDING] = {"prefix_mismatch_behavior": "drop_block"}


def beta(profile: ModelProfile, payload: Json, *, reasoning: bool) -> str | None:
    """Return the beta of Claude's API that the request needs, or None."""
    if BINDING in payload.get("thinking", ()):
        return _BINDING_BETA
    return _INTERLEAVED if reasoning and not profile.adaptive else None


def _without_reasoning(
    profile: ModelProfile, api: PiApi, payload: Json, notes: list[str]
) -> Mapping[str, str]:
    if api == "openai-completions" and "none" in (profile.efforts or ()):
        return {"off": "none"}
    if api == "openai-responses" and "none" in (profile.efforts or ()):
        payload["reasoning"] = {"effort": "none"}  # pi-ai itself never sends this to Copilot
    elif api != "anthropic-messages":
        notes.append("dropped reasoning_effort: pi-ai cannot turn off reasoning for this model")
    return {}
