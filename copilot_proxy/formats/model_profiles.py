"""What a model accepts, as data: a `ModelProfile` for each model and Copilot API.

The catalogue takes precedence. The rest comes from `FAMILIES`, whose later rows override earlier
ones. No other module in `formats` depends on a model's id, vendor or family.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.documents import PDF
from copilot_proxy.formats.model_families import ANY_TOOL_NAME, FAMILIES

Api = Literal["chat_completions", "responses", "messages"]
ThinkingClass = Literal["none", "optional", "required_form", "adaptive_only"]
"""How a model thinks.

- ``none``: it does not.
- ``optional``: with a budget in tokens, adaptively if `adaptive` is set, or not at all.
- ``required_form``: adaptively or not at all, never with a budget.
- ``adaptive_only``: always adaptively; thinking cannot be disabled.
"""

MIN_BUDGET: Final = 1024
"""The minimum thinking budget that Claude accepts, in tokens."""
_DEFAULT_OUTPUT: Final = 8192
"""The output limit, in tokens, for an API that requires one, if the catalogue has none."""


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """What one model accepts on one API.

    The defaults accept everything; they apply to an unknown model.
    """

    id: str | None = None
    """Copilot's id for the model; None if the catalogue could not be read."""

    # Reasoning
    efforts: tuple[str, ...] | None = None
    """The supported reasoning efforts; empty if there are none, None if unknown."""
    thinking: ThinkingClass | None = None
    """How the model thinks; None if unknown."""
    adaptive: bool | None = None
    """Whether adaptive thinking is supported; None if unknown."""
    min_budget: int = 0
    """The minimum thinking budget, in tokens."""
    max_budget: int | None = None
    """The maximum thinking budget, in tokens; None if the catalogue has none."""
    binds_thinking: bool = False
    """Whether thinking is bound to the conversation before it. Unless ``thinking.block_binding``
    says how to handle changes, that conversation must stay the same. Models that do not bind
    thinking reject the field."""
    thinks_by_default: bool = True
    """Whether the model thinks if the request does not mention thinking."""
    thinks_with_forced_tool: bool = True
    """Whether thinking is accepted together with a forced tool."""
    forced_tools: bool = True
    """Whether the model can be forced to call a tool."""

    # Sampling
    fixed_sampling: tuple[str, ...] = ()
    """The sampling fields for which only the default is accepted; for temperature, that is 1."""
    default_top_p: float = 1
    """The default of ``top_p``."""
    accepts_explicit_defaults: bool = True
    """Whether the `fixed_sampling` fields may be sent with their default values."""
    one_of_temperature_and_top_p: bool = False
    """Whether temperature and top_p must not be sent together."""
    max_temperature: float | None = None
    """The maximum temperature; None for OpenAI's scale, which ends at 2."""
    samples_while_thinking: bool = True
    """Whether temperature, top_k and a low top_p are accepted together with thinking."""

    # Output limits, in tokens
    limit_field: str | None = None
    """The name of the limit, if the API has two names for it; None keeps the client's name."""
    min_output: int | None = None
    """The minimum limit; None if any is accepted."""
    max_output: int | None = None
    """The maximum limit; None if any is accepted."""
    max_unstreamed_output: int | None = None
    """The maximum limit without streaming; None if any is accepted."""
    default_output: int | None = None
    """The limit to set if the client sets none; None to set no limit."""
    default_unstreamed_output: int | None = None
    """The limit to set without streaming if the client sets none; None to set no limit."""
    streams: bool = True
    """Whether streaming is supported."""

    # Tools
    parallel_calls: bool | None = None
    """Whether ``parallel_tool_calls`` is accepted; None if unknown."""
    tool_name: re.Pattern[str] = ANY_TOOL_NAME
    """The pattern that a tool name must match completely."""
    any_property_names: bool = True
    """Whether a tool's parameters may have arbitrary names."""
    tool_id: re.Pattern[str] | None = None
    """The pattern that a call id must match completely; None for any."""
    tool_id_form: str | None = None
    """The format of ids with the ``{name}`` of the tool and a ``{number}``; None if ids have no
    such format."""
    max_tool_id_length: int | None = None
    """The maximum length of a call id in characters; None for any length."""
    max_calls: int | None = None
    """The maximum number of calls in a message; None for any number."""
    custom_tools: bool = True
    """Whether custom tools, whose input is plain text, are accepted."""
    namespaces: bool = True
    """Whether tools may be grouped in namespaces."""
    tool_search: bool = True
    """Whether the model can search for tools, on its own or through the client."""
    additional_tools: bool = True
    """Whether items of the conversation may add tools."""
    schema_properties: bool = True
    """Whether the schema of a tool must have ``properties``, even if they are empty."""
    schema_unions: bool = True
    """Whether a schema may have a list of types, and other fields next to ``anyOf``."""
    schema_combinations: bool = True
    """Whether the schema of a tool may have ``anyOf``, ``oneOf`` or ``allOf`` at its top level."""
    schema_values: bool = True
    """Whether the schema of a tool may have ``enum``, ``const`` or ``not`` at its top level."""
    schema_references: bool = True
    """Whether a reference in a schema may point anywhere, rather than only to ``$defs``."""
    validated_choice: bool = False
    """Whether the tool choice may be ``validated``."""
    eager_input_streaming: bool = True
    """Whether tools may have the field ``eager_input_streaming``."""
    signed_calls: bool = False
    """Whether calls in the current turn must be signed, so that only the model's own calls are
    accepted."""
    object_arguments: bool = False
    """Whether the arguments of earlier calls must be JSON objects, not just any JSON."""

    # The conversation
    accepts_blank_texts: bool = True
    """Whether text that is only whitespace is accepted."""
    consecutive_assistants: bool = True
    """Whether two assistant messages in a row are accepted."""
    may_begin_with_assistant: bool = True
    """Whether a conversation may start with an assistant message."""
    may_end_with_assistant: bool = True
    """Whether a conversation may end with an assistant message, which the model then continues."""
    may_lack_messages: bool = True
    """Whether a request may consist of instructions alone."""
    system_in_conversation: bool = True
    """Whether system messages are accepted later in the conversation, not just at its start."""
    system_anywhere: bool = True
    """Whether later system messages may be at any position, rather than only between a user's
    message and the assistant's."""

    phases: bool = False
    """Whether the assistant's messages have a ``phase``, without which the model may mistake a
    remark before a tool call for its final answer."""

    # Other request fields
    fields: frozenset[str] | None = None
    """The accepted fields; None for any."""
    accepts_blank_stops: bool = True
    """Whether a stop sequence that is only whitespace is accepted."""
    max_stops: int | None = None
    """The maximum number of stop sequences; None for any number."""
    documents: bool | None = None
    """Whether PDFs are accepted; None if unknown."""
    max_images: int | None = None
    """The maximum number of images in a request; None if no limit is known."""
    original_detail: bool = True
    """Whether an image may request the detail ``original``."""
    structured_output: bool = True
    """Whether a JSON schema for the output is accepted."""
    open_output_schemas: bool = True
    """Whether an output schema may allow additional properties."""
    output_constraints: bool = True
    """Whether an output schema may have constraints such as ``maxLength``."""
    max_cache_marks: int | None = None
    """The maximum number of prompt cache marks; None if the model caches without marks."""
    cache_breakpoints: bool = True
    """Whether parts may have a ``prompt_cache_breakpoint``, OpenAI's cache mark."""
    one_hour_cache: bool = False
    """Whether a cache mark may have a TTL of one hour."""

    def accepted_stops(self, stops: Sequence[str]) -> list[str]:
        """Return the stop sequences that the model accepts, in order."""
        return [stop for stop in stops if stop.strip() or self.accepts_blank_stops][
            : self.max_stops
        ]

    derived: dict[Any, Any] = field(init=False, default_factory=dict, repr=False, compare=False)
    """A cache of data that other modules derive from the profile."""


def profile_of(model: Model | None, api: Api) -> ModelProfile:
    """Return the profile of `model` on `api`, or the API's own profile if `model` is None."""
    if model is None:
        return _api_profile(api)
    profile: ModelProfile | None = model.derived.get(api)
    if profile is None:
        family = ModelProfile(**_family_traits(model, api))
        profile = replace(family, id=model.id, **_catalogue_traits(model, api, family))
        model.derived[api] = profile
    return profile


@cache
def _api_profile(api: Api) -> ModelProfile:
    profile = ModelProfile(**_family_traits(None, api))
    if api == "messages":
        return replace(
            profile, default_output=_DEFAULT_OUTPUT, default_unstreamed_output=_DEFAULT_OUTPUT
        )
    return profile


def _family_traits(model: Model | None, api: Api) -> dict[str, Any]:
    traits: dict[str, Any] = {}
    for family in FAMILIES:
        if family.applies_to(model, api):
            traits.update(family.traits)
    return traits


def _catalogue_traits(model: Model, api: Api, family: ModelProfile) -> dict[str, Any]:
    """Return the traits in the catalogue, which take precedence over those of the family."""
    efforts = model.reasoning_efforts
    traits: dict[str, Any] = {
        "efforts": efforts,
        "streams": api == "messages" or model.supports.get("streaming") is True,
        "parallel_calls": model.supports.get("parallel_tool_calls") is True,
        "documents": _lists_pdfs(model)
        or (family.documents is True and model.supports.get("vision") is True),
        **_thinking_traits(model, family),
        **_limit_traits(model, api, family),
    }
    if api == "responses" and efforts:
        # Reasoning models of all vendors refuse these fields on this API.
        traits["fixed_sampling"] = ("temperature", "top_p")
        traits["accepts_explicit_defaults"] = False
    if api == "responses" and isinstance(model.supports.get("tool_search"), bool):
        traits["tool_search"] = model.supports["tool_search"]
    if api == "chat_completions":
        traits["limit_field"] = family.limit_field or "max_tokens"
    if api == "messages":
        listed = model.supports.get("structured_outputs") is True
        traits["structured_output"] = family.structured_output and listed
    return traits


def _lists_pdfs(model: Model) -> bool:
    vision = model.limits.get("vision")
    types = vision.get("supported_media_types") if isinstance(vision, Mapping) else None
    return isinstance(types, list) and PDF in types


def _thinking_traits(model: Model, family: ModelProfile) -> Mapping[str, Any]:
    listed = model.supports.get("adaptive_thinking")
    adaptive = listed if isinstance(listed, bool) else family.adaptive is True
    max_budget = _tokens(model, "max_thinking_budget")
    thinking: ThinkingClass = "none"
    if adaptive:
        thinking = family.thinking or "optional"
    elif max_budget is not None:
        thinking = "optional"
    return {
        "adaptive": adaptive,
        "thinking": thinking,
        "max_budget": max_budget,
        "min_budget": max(family.min_budget, _tokens(model, "min_thinking_budget") or 0),
    }


def _limit_traits(model: Model, api: Api, family: ModelProfile) -> Mapping[str, Any]:
    """Return the output limits. Only Claude gets a default limit: without one, it would stop
    early."""
    unstreamed = model.limit("max_non_streaming_output_tokens")
    max_output = model.limit("max_output_tokens")
    if family.max_cache_marks is None and api != "messages":
        return {"max_unstreamed_output": unstreamed, "max_output": max_output}
    default = max_output or (_DEFAULT_OUTPUT if api == "messages" else None)
    short = min(default, unstreamed or default) if default and api == "messages" else default
    return {
        "max_unstreamed_output": unstreamed,
        "max_output": max_output,
        "default_output": default,
        "default_unstreamed_output": short,
    }


def _tokens(model: Model, name: str) -> int | None:
    value = model.supports.get(name)
    return value if type(value) is int and value > 0 else None
