"""What a model takes and refuses, as data: one `ModelProfile` for a model on one API of Copilot's.

The catalogue decides where it says anything. What it has no word for comes from `FAMILIES`: rows
of traits with their source, read in order, so that a later row wins. No other file of `formats`
looks at a model's id, vendor or family.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.families import ANY_TOOL_NAME, FAMILIES

Api = Literal["chat_completions", "responses", "messages"]
ThinkingClass = Literal["none", "optional", "required_form", "adaptive_only"]
"""``none``: it does not think. ``optional``: with a budget in tokens, or at its own choice, or not
at all. ``required_form``: at its own choice or not at all, never with a budget. ``adaptive_only``:
at its own choice always; it cannot be switched off."""

LEAST_BUDGET: Final = 1024
"""Tokens of thinking; Claude refuses less."""
_DEFAULT_OUTPUT: Final = 8192
"""Tokens of an answer on an API that demands a limit, where the catalogue tells none."""


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """What one model takes on one API. The defaults refuse nothing: they hold for a model of which
    nothing is known."""

    id: str | None = None
    """Its id at Copilot; None if the catalogue could not be read."""

    # Reasoning
    efforts: tuple[str, ...] | None = None
    """The levels of reasoning that it offers; empty if it has none, None if nobody knows."""
    thinking: ThinkingClass | None = None
    """Which forms of thinking it takes; None if nobody knows."""
    adaptive: bool | None = None
    """Whether it can choose by itself how long it thinks; None if nobody knows."""
    least_budget: int = 0
    """Tokens of thinking that it may be given at least."""
    most_budget: int | None = None
    """Tokens of thinking that it may be given at most; None if the catalogue does not say."""
    thinks_when_forced: bool = True
    """Whether it takes thinking together with a tool that has to be called."""
    forced_tools: bool = True
    """Whether it can be made to call a tool."""

    # Sampling
    fixed_sampling: tuple[str, ...] = ()
    """The fields of sampling of which it takes only the default, 1."""
    says_default_sampling: bool = True
    """Whether the default itself may be said of these fields."""
    one_of_temperature_and_top_p: bool = False
    """Whether it refuses the two together."""
    most_temperature: float | None = None
    """The highest temperature that it takes; None for OpenAI's scale, which ends at 2."""
    samples_while_thinking: bool = True
    """Whether temperature, top_k and a low top_p are taken while it thinks."""

    # Limits, in tokens of the answer
    limit_field: str | None = None
    """What the limit is called, where an API has two names for it; None: as the client says."""
    least_output: int | None = None
    """The least limit that is taken; None: any."""
    most_output: int | None = None
    """The highest limit that is taken; None: any."""
    whole_output: int | None = None
    """The highest limit that is taken without a stream; None: any."""
    default_output: int | None = None
    """The limit that is set for a client that sets none; None: none is set."""
    default_whole_output: int | None = None
    """The same for a client that wants no stream."""
    streams: bool = True
    """Whether it answers in streams."""

    # Tools
    parallel_calls: bool | None = None
    """Whether the switch for several calls at once is taken; None if nobody knows."""
    tool_name: re.Pattern[str] = ANY_TOOL_NAME
    """What the whole name of a tool has to match."""
    tool_id: re.Pattern[str] | None = None
    """What the whole id of a call has to match; None: anything."""
    longest_tool_id: int | None = None
    """Characters of a call's id; None: any number."""
    schema_properties: bool = True
    """Whether the schema of a tool needs ``properties``, though it has none."""
    object_inputs: bool = False
    """Whether the arguments of earlier calls have to be objects, not only JSON."""

    # The conversation
    blank_texts: bool = True
    """Whether it takes texts of nothing but blanks."""
    neighbours: bool = True
    """Whether it takes two messages of the assistant's in a row."""
    begins_with_assistant: bool = True
    """Whether a conversation may begin with the assistant's words."""
    ends_with_assistant: bool = True
    """Whether a conversation may end with the assistant's words, to be gone on with."""

    # The rest of the request
    fields: frozenset[str] | None = None
    """The fields that are taken; None: any."""
    blank_stops: bool = True
    """Whether it takes a stop sequence of nothing but blanks."""
    most_stops: int | None = None
    """How many stop sequences it takes; None: any number."""
    structured_output: bool = True
    """Whether it can be asked for an answer by a schema."""
    cache_marks: int | None = None
    """How many marks for the prompt cache it takes; None: it caches by itself."""

    known_to_pi_ai: bool = False
    """Whether pi-ai knows that it chooses by itself how long it thinks."""


def profile_of(model: Model | None, api: Api) -> ModelProfile:
    """The profile of `model` as it is asked on `api`; without a model, what the API itself demands.

    Cheap enough for every request: some ten comparisons.
    """
    traits: dict[str, Any] = {}
    for family in FAMILIES:
        if family.has(model, api):
            traits.update(family.traits)
    profile = ModelProfile(**traits)
    if model is None:
        if api == "messages":
            return replace(
                profile, default_output=_DEFAULT_OUTPUT, default_whole_output=_DEFAULT_OUTPUT
            )
        return profile
    return replace(profile, id=model.id, **_told(model, api, profile))


def _told(model: Model, api: Api, family: ModelProfile) -> dict[str, Any]:
    """The traits that the catalogue tells, which win over those of the family."""
    efforts = model.reasoning_efforts
    told: dict[str, Any] = {
        "efforts": efforts,
        "streams": api == "messages" or model.supports.get("streaming") is True,
        "parallel_calls": model.supports.get("parallel_tool_calls") is True,
        **_thinking(model, family),
        **_limits(model, api, family),
    }
    if api == "responses" and efforts:
        # Reasoning models refuse them there, whoever made them (wire.md 7.2).
        told["fixed_sampling"] = ("temperature", "top_p")
        told["says_default_sampling"] = False
    if api == "chat_completions":
        told["limit_field"] = family.limit_field or "max_tokens"
    if api == "messages":
        told["structured_output"] = model.supports.get("structured_outputs") is True
    return told


def _thinking(model: Model, family: ModelProfile) -> Mapping[str, Any]:
    said = model.supports.get("adaptive_thinking")
    adaptive = said if isinstance(said, bool) else family.adaptive is True
    most = _tokens(model, "max_thinking_budget")
    kind: ThinkingClass = "none"
    if adaptive:
        kind = family.thinking or "optional"
    elif most is not None:
        kind = "optional"
    return {
        "adaptive": adaptive,
        "thinking": kind,
        "most_budget": most,
        "least_budget": max(family.least_budget, _tokens(model, "min_thinking_budget") or 0),
    }


def _limits(model: Model, api: Api, family: ModelProfile) -> Mapping[str, Any]:
    """The limits of Claude's answers: for others the catalogue's are not enforced by a refusal."""
    whole = model.limit("max_non_streaming_output_tokens")
    if family.cache_marks is None and api != "messages":
        return {"whole_output": whole}
    most = model.limit("max_output_tokens")
    default = most or (_DEFAULT_OUTPUT if api == "messages" else None)
    short = min(default, whole or default) if default and api == "messages" else default
    return {
        "whole_output": whole,
        "most_output": most,
        "default_output": default,
        "default_whole_output": short,
    }


def _tokens(model: Model, name: str) -> int | None:
    value = model.supports.get(name)
    return value if type(value) is int and value > 0 else None
