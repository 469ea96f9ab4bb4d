"""Thinking in the form that a model takes, or not at all where it cannot think."""

from typing import Any

from copilot_proxy.formats.efforts import BUDGETS, effort_of
from copilot_proxy.formats.profiles import MIN_BUDGET, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def unforce_tool(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Forces no tool on a model that always thinks: it refuses that."""
    if not profile.forced_tools and outgoing.forces_tool:
        outgoing.set_tool_choice_auto()
        notes.append("changed tool_choice: the model cannot be made to call a tool")


def disable_for_forced_tool(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Switches thinking off where a tool has to be called: Claude refuses both together."""
    if not profile.thinks_with_forced_tool and outgoing.forces_tool and outgoing.thinks:
        outgoing.disable_thinking("Claude does not think when tool_choice forces a tool", notes)


def disable_in_mid_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Switches thinking off in a turn that began without it: Claude cannot begin to think there."""
    if _kind(outgoing) == "enabled" and outgoing.began_without_thinking:
        _drop(outgoing, "the turn under way began without it", notes)


def drop_unsupported(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Drops thinking for a model that does not have it."""
    if profile.thinking == "none" and _kind(outgoing) in ("enabled", "adaptive"):
        _drop(outgoing, "the model does not have it", notes)


def fit_form(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """A budget, or the model's own choice, whichever it takes."""
    kind = _kind(outgoing)
    if not outgoing.has_thinking_forms or kind == "":
        return
    if kind == "adaptive" and profile.adaptive is False:
        _give_budget(outgoing, profile, notes)
    elif kind == "enabled" and profile.thinking in ("required_form", "adaptive_only"):
        _let_decide(outgoing, profile, notes)
    elif kind == "disabled" and profile.thinking == "adaptive_only":
        outgoing.set_thinking({"type": "adaptive"})
        notes.append("changed thinking: the model cannot do without")


def _give_budget(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    limit = outgoing.limit
    if limit is not None and limit <= MIN_BUDGET:
        return  # `fit_budget` says that there is no room for any
    budget = BUDGETS.get(outgoing.effort or "high", BUDGETS["high"])
    if limit is not None:
        # The client did not choose the number, so at least half is left for the answer.
        budget = max(min(budget, limit // 2), MIN_BUDGET)
    outgoing.set_thinking({"type": "enabled", "budget_tokens": budget})
    notes.append("changed thinking: the model takes a budget, not adaptive")


def _let_decide(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    limit = outgoing.limit
    if limit is not None and limit <= MIN_BUDGET:
        return
    budget: Any = (outgoing.thinking or {}).get("budget_tokens")
    outgoing.set_thinking({"type": "adaptive"})
    if profile.efforts and isinstance(budget, int) and outgoing.effort is None:
        outgoing.set_effort(effort_of(budget))
    notes.append("changed thinking: the model takes adaptive, not a budget")


def fit_budget(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Keeps a budget within what the model takes, and below the limit of the answer."""
    thinking, limit = outgoing.thinking, outgoing.limit
    kind = _kind(outgoing)
    budgeted = kind == "enabled" or (kind == "adaptive" and profile.adaptive is False)
    if thinking is None or not budgeted:
        return
    inside = outgoing.has_thinking_forms and limit is not None
    if inside and limit is not None and limit <= MIN_BUDGET:
        _drop(outgoing, f"{outgoing.limit_field} of {limit} leaves no room for it", notes)
        return
    asked = thinking.get("budget_tokens")
    asked = asked if isinstance(asked, int) else BUDGETS["medium"]
    most = profile.max_budget or asked
    if inside and limit is not None:
        most = min(most, limit - 1)
    budget = min(max(asked, profile.min_budget), most)
    if budget != thinking.get("budget_tokens"):
        outgoing.set_thinking({**thinking, "budget_tokens": budget})
        notes.append(f"changed {outgoing.budget_field}: {asked} to {budget}")


def _kind(outgoing: OutgoingBody) -> str:
    thinking = outgoing.thinking
    return str(thinking.get("type")) if thinking else ""


def _drop(outgoing: OutgoingBody, reason: str, notes: list[str]) -> None:
    outgoing.set_thinking(None)
    notes.append(f"dropped {outgoing.thinking_field}: {reason}")
