"""The rule book: everything that is changed in a request because its model would refuse it.

`fit` is called once for each request, on its way to the model, whatever API the client speaks and
whatever API the model is asked on. A rule reads the model's profile, and sees the body through
`OutgoingBody`; no translator knows what a model refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules import (
    blanks,
    cache_marks,
    effort,
    fields,
    limits,
    results,
    sampling,
    schemas,
    stops,
    thinking,
    tool_ids,
    tool_inputs,
    tool_names,
    turns,
)
from copilot_proxy.formats.rules.outgoing import Json, OutgoingBody

Apply = Callable[[OutgoingBody, ModelProfile, list[str]], None]


class Rule(NamedTuple):
    """One thing that some models refuse, and what is done about it."""

    name: str
    source: str
    """Where it is known from: a section of wire.md, or a report of faults.md."""
    apply: Apply
    """Changes the body so that the profile's model takes it, and notes what a client may care
    about; does nothing for models that take it as it is."""
    conversation: bool = False
    """Whether it is about messages and tools, which pi-ai is told like any other API."""


RULES: Final = (
    Rule("fields.refused", "wire.md 6.4, 7.2, 8.2", fields.drop_refused),
    Rule("fields.prediction", "wire.md 6.4", fields.drop_empty_prediction),
    Rule("fields.parallel_calls", "wire.md 6.4", fields.drop_parallel_calls),
    Rule("fields.stream", "wire.md 6.4", fields.disable_unsupported_stream),
    # The conversation. Names, ids and inputs first: what follows looks at whole messages.
    Rule("tools.names", "wire.md 6.4", tool_names.fit_names, conversation=True),
    Rule("tools.schemas", "wire.md 6.4", schemas.fit_tools, conversation=True),
    Rule("tools.ids", "wire.md 16.2; F05-F10", tool_ids.fit_ids, conversation=True),
    Rule("tools.invalid_arguments", "F17-F19", tool_inputs.fit_invalid_json, conversation=True),
    Rule("tools.object_arguments", "F15, W16", tool_inputs.fit_objects, conversation=True),
    Rule("texts.blank", "wire.md 8.2; F11", blanks.drop_blanks, conversation=True),
    Rule("turns.consecutive", "wire.md 8.2", turns.merge_consecutive_assistants, conversation=True),
    Rule("tools.results", "wire.md 6.4, 8.2; W07, W08", results.pair_results, conversation=True),
    Rule("turns.first", "W11", turns.add_first_user_turn, conversation=True),
    Rule("turns.last", "wire.md 8.2", turns.add_last_user_turn, conversation=True),
    Rule("stops.blank", "Anthropic's refusal of such", stops.drop_blank),
    Rule("stops.maximum", "OpenAI's reference of chat completions", stops.drop_surplus),
    # Limits before thinking, which has to stay below them.
    Rule("limits.invalid", "F22, F23", limits.drop_invalid_limit),
    Rule("limits.name", "wire.md 6.4", limits.rename_limit),
    Rule("limits.default", "wire.md 6.4", limits.set_default),
    Rule("limits.minimum", "wire.md 7.2", limits.raise_to_minimum),
    Rule("limits.maximum", "the catalogue", limits.lower_to_maximum),
    Rule("limits.stream", "wire.md 6.4", limits.stream_long_responses),
    Rule("answer.schema", "wire.md 6.4, 8.2", schemas.fit_answer),
    Rule("tools.forced", "wire.md 16.2", thinking.unforce_tool),
    Rule("thinking.forced_tool", "wire.md 6.4", thinking.disable_for_forced_tool),
    Rule("thinking.mid_turn", "Anthropic's page on extended thinking", thinking.disable_in_mid_turn),
    Rule("thinking.none", "the catalogue", thinking.drop_unsupported),
    Rule("thinking.form", "wire.md 8.2, 16.2", thinking.fit_form),
    Rule("thinking.budget", "wire.md 8.2", thinking.fit_budget),
    Rule("effort", "wire.md 6.4, 8.2", effort.fit_effort),
    Rule("sampling.fixed", "wire.md 6.4, 7.2, 16.2", sampling.drop_fixed),
    Rule("sampling.thinking", "wire.md 8.2", sampling.drop_while_thinking),
    Rule("sampling.one", "wire.md 6.4", sampling.drop_top_p),
    Rule("sampling.range", "Anthropic's reference of Messages", sampling.lower_temperature),
    Rule("cache.mark", "wire.md 6.5", cache_marks.mark_stable),
    Rule("cache.reduce", "wire.md 6.5, 8.2", cache_marks.reduce_marks),
)
"""In the order in which they are applied."""


@dataclass(frozen=True)
class Fitted:
    """A request that the model takes."""

    body: Json
    tool_names: Mapping[str, str] = field(default_factory=dict)
    """The client's names of tools by those that the model knows, where they differ."""


def fit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> Fitted:
    """Applies every rule of the book; raises `RequestError` when nothing is left to answer."""
    for rule in RULES:
        rule.apply(outgoing, profile, notes)
    turns.check(outgoing)
    return Fitted(outgoing.body, outgoing.tool_names)


def fit_conversation(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> Fitted:
    """Applies the rules about messages and tools alone, for pi-ai: it writes the fields itself."""
    for rule in RULES:
        if rule.conversation:
            rule.apply(outgoing, profile, notes)
    turns.check(outgoing)
    return Fitted(outgoing.body, outgoing.tool_names)
