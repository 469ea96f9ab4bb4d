"""Adapts thinking to the form that the model accepts, or drops it if the model does not think."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.formats.efforts import BUDGETS, effort_of, nearest_effort
from copilot_proxy.formats.model_profiles import MIN_BUDGET, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

CALL_TOOL: Final = "Call the tool {} now, and no other tool."
CALL_ANY_TOOL: Final = "Call one of the tools now. Do not answer without a tool call."
BINDING: Final = "block_binding"
"""The field of thinking that determines what happens to thinking from a different conversation."""
ADAPTIVE: Final = ("required_form", "adaptive_only")
"""The values of `ThinkingClass` for models that refuse a budget."""
_FIELDS: Final[Mapping[str, Collection[str]]] = {
    "enabled": ("type", "budget_tokens", "display", BINDING),
    "adaptive": ("type", "display", BINDING),
    "disabled": ("type",),
}
"""The fields of each form of thinking."""


def replace_forced_tool(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace a forced tool choice that the model refuses with ``auto`` and an instruction.

    Models that always think cannot be forced to call a tool.
    """
    if not outgoing.forces_tool:
        return
    name = outgoing.forced_tool
    outgoing.set_tool_choice_auto()
    outgoing.expects_call = True
    text = CALL_TOOL.format(name) if name else CALL_ANY_TOOL
    where = "at the end"
    if not (profile.system_in_conversation and outgoing.instruct_last(text)):
        outgoing.instruct(text)
        where = "in the system prompt"
    notes.append(
        f"changed tool_choice to auto and added an instruction {where}: the model cannot be forced "
        "to call a tool"
    )


def disable_for_forced_tool(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]
) -> None:
    """Disable thinking if a tool is forced, because Claude refuses the combination."""
    if outgoing.forces_tool and outgoing.thinks:
        outgoing.disable_thinking("Claude does not think when tool_choice forces a tool", notes)


def disable_mid_turn(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Disable thinking if the current turn started without it.

    In the middle of a turn, only adaptive thinking can be enabled.
    """
    if _kind(outgoing) == "enabled" and outgoing.started_without_thinking:
        _drop(outgoing, "the current turn began without it", notes)


def drop_unsupported(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop thinking if the model does not support it."""
    if _kind(outgoing) in ("enabled", "adaptive"):
        _drop(outgoing, "the model does not support it", notes)


def choose_form(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Choose the form of thinking for a client whose API only supports efforts."""
    effort = outgoing.requested_effort
    if outgoing.thinking is not None:
        return
    if effort is None:
        if profile.adaptive and outgoing.shows_reasoning:
            outgoing.set_thinking({"type": "adaptive"})
    elif effort == "none":
        outgoing.set_thinking({"type": "disabled"})
    elif profile.adaptive:
        outgoing.set_thinking({"type": "adaptive"})
        outgoing.set_effort(effort)
    else:
        if effort not in BUDGETS:
            # The request to Copilot will have no effort, so Copilot cannot refuse an unknown one.
            notes.append(
                f"changed {outgoing.fields.effort} from {effort} to medium: the value is unknown"
            )
        budget = _with_room(BUDGETS.get(effort, BUDGETS["medium"]), outgoing.limit)
        outgoing.set_thinking({"type": "enabled", "budget_tokens": budget})


def use_supported_form(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Convert between a budget and adaptive thinking, as the model requires."""
    kind = _kind(outgoing)
    if not outgoing.has_thinking_forms or kind == "":
        return
    if kind == "adaptive" and profile.adaptive is False:
        _use_budget(outgoing, profile, notes)
    elif kind == "enabled" and profile.thinking in ADAPTIVE:
        _use_adaptive(outgoing, profile, notes)
    elif kind == "disabled" and profile.thinking == "adaptive_only":
        outgoing.set_thinking({"type": "adaptive"})
        name = outgoing.thinking_field
        notes.append(f"changed {name} to adaptive thinking: the model always thinks")


def _use_budget(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    limit = outgoing.limit
    if limit is not None and limit <= MIN_BUDGET:
        return  # `limit_budget` adds the note that there is no room for a budget
    budget = _with_room(BUDGETS.get(outgoing.effort or "high", BUDGETS["high"]), limit)
    outgoing.set_thinking({"type": "enabled", "budget_tokens": budget, **_display(outgoing)})
    notes.append(
        f"changed {outgoing.thinking_field} to a budget of {budget} tokens: the model does not "
        "support adaptive thinking"
    )


def _use_adaptive(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    limit = outgoing.limit
    if limit is not None and limit <= MIN_BUDGET and profile.thinking != "adaptive_only":
        return
    thinking = outgoing.thinking or {}
    budget: Any = thinking.get("budget_tokens")
    kept = {name: value for name, value in thinking.items() if name != "budget_tokens"}
    outgoing.set_thinking({**kept, "type": "adaptive"})
    how = ""
    if profile.efforts and isinstance(budget, int) and outgoing.effort is None:
        effort = nearest_effort(effort_of(budget), profile.efforts) or effort_of(budget)
        outgoing.set_effort(effort)
        how = f" with effort {effort}"
    name = outgoing.thinking_field
    notes.append(f"changed {name} to adaptive thinking{how}: the model does not accept a budget")


def limit_budget(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Keep a budget within the model's bounds, and below the output limit."""
    thinking = outgoing.thinking
    # The limit includes the thinking budget only on APIs that have forms of thinking.
    limit = outgoing.limit if outgoing.has_thinking_forms else None
    kind = _kind(outgoing)
    has_budget = kind == "enabled" or (kind == "adaptive" and profile.adaptive is False)
    if thinking is None or not has_budget:
        return
    if limit is not None and limit <= MIN_BUDGET:
        _drop(outgoing, f"{outgoing.shown_limit} of {limit} leaves no room for thinking", notes)
        return
    given = thinking.get("budget_tokens")
    requested = given if isinstance(given, int) else BUDGETS["medium"]
    maximum = profile.max_budget or requested
    if limit is not None:
        maximum = min(maximum, limit - 1)
    budget = min(max(requested, profile.min_budget), maximum)
    if budget == given:
        return
    outgoing.set_thinking({**thinking, "budget_tokens": budget})
    name = outgoing.budget_field
    if given is None:
        notes.append(f"added {name} of {budget}: the model requires a budget")
    elif not outgoing.has_own_budget:
        reason = "the model's maximum"
        if budget > requested:
            reason = "the minimum"
        elif limit is not None and budget == limit - 1:
            reason = f"it must be less than {outgoing.shown_limit}"
        notes.append(f"changed {name} from {given} to {budget}: {reason}")


def require(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Like GitHub's clients, request adaptive thinking if the model always thinks."""
    if outgoing.has_thinking_forms and outgoing.thinking is None and not outgoing.forces_tool:
        outgoing.set_thinking({"type": "adaptive"})


def ask_display(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Request a summary of adaptive thinking if the client shows thinking and has not chosen a
    display.

    Without a display, newer models leave out the text of their thinking.
    """
    thinking = outgoing.thinking
    if thinking and _kind(outgoing) == "adaptive" and outgoing.shows_reasoning:
        outgoing.set_thinking({"display": "summarized", **thinking})


def bind_to_conversation(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Let the model drop earlier thinking that belongs to a different conversation.

    Otherwise, the model refuses a conversation that was changed after the thinking, for example
    because a client shortened it.
    """
    thinking = outgoing.thinking
    if thinking and outgoing.thinks:
        binding = {"prefix_mismatch_behavior": "drop_block"}
        outgoing.set_thinking({BINDING: binding, **thinking})


def drop_unknown(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop fields of thinking that do not belong to its form, or that the model refuses."""
    thinking = outgoing.thinking
    if thinking is None or not outgoing.has_thinking_forms:
        return
    known = _FIELDS.get(_kind(outgoing), thinking.keys())
    unknown = [name for name in thinking if name not in known]
    if BINDING in known and BINDING in thinking and not profile.binds_thinking:
        unknown.append(BINDING)
    if unknown:
        outgoing.set_thinking({k: v for k, v in thinking.items() if k not in unknown})
        notes += [f"dropped thinking.{name}: the model does not accept it" for name in unknown]


def _with_room(budget: int, limit: int | None) -> int:
    """Lower a budget that the client did not choose, so that at least half the limit is left for
    the output.

    A budget cannot be lower than the minimum, even if that is more than half the limit.
    """
    return budget if limit is None else max(min(budget, limit // 2), MIN_BUDGET)


def _display(outgoing: OutgoingBody) -> Json:
    thinking = outgoing.thinking or {}
    return {"display": thinking["display"]} if "display" in thinking else {}


def _kind(outgoing: OutgoingBody) -> str:
    thinking = outgoing.thinking
    return str(thinking.get("type")) if thinking else ""


def _drop(outgoing: OutgoingBody, reason: str, notes: list[str]) -> None:
    outgoing.set_thinking(None)
    notes.append(f"dropped {outgoing.thinking_field}: {reason}")
