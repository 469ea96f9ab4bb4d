"""The rule book: every change to a request that its model would otherwise refuse.

`fit` is called once per request, whatever API the client speaks and whatever API the model is
called on. A rule reads the model's profile and accesses the body through `OutgoingBody`; the
translators do not know what a model refuses.
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
    numbered_ids,
    results,
    sampling,
    schemas,
    stops,
    thinking,
    tool_ids,
    tool_inputs,
    tool_names,
    turns,
    unions,
)
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import UpstreamBody

Apply = Callable[[OutgoingBody, ModelProfile, list[str]], None]


class Rule(NamedTuple):
    """Something that some models refuse, and the function that fixes it."""

    name: str
    source: str
    """Where the restriction is documented or was observed."""
    apply: Apply
    """Changes the body so that the model accepts it, and adds a note for each change that may
    matter to the client. Does nothing if the model accepts the body as it is."""
    conversation: bool = False
    """Whether the rule concerns messages and tools, and thus also applies to pi-ai."""


_OBSERVED: Final = "Copilot API, observed 2026-11"
_CATALOGUE: Final = "Copilot's list of models"
_CLIENTS: Final = "GitHub's Copilot clients"
_THINKING: Final = "Anthropic API reference: extended thinking"

RULES: Final = (
    Rule("fields.refused", _OBSERVED, fields.drop_refused),
    Rule("fields.prediction", _OBSERVED, fields.drop_empty_prediction),
    Rule("fields.parallel_calls", _CATALOGUE, fields.drop_parallel_calls),
    Rule("fields.stream", _CATALOGUE, fields.disable_unsupported_stream),
    # The conversation. Names, ids and arguments come first: the later rules move whole messages.
    Rule("tools.names", _OBSERVED, tool_names.fit_names, conversation=True),
    Rule("tools.schemas", _OBSERVED, schemas.fit_tools, conversation=True),
    Rule("tools.unions", "public bug reports", unions.fit_unions, conversation=True),
    Rule("tools.validated", _CLIENTS, fields.drop_validated, conversation=True),
    Rule("tools.eager_input", "source code of pi-ai 1.6", fields.drop_eager_input),
    Rule("tools.numbers", "GitHub's Copilot client", numbered_ids.fit_numbers, conversation=True),
    Rule("tools.ids", _OBSERVED, tool_ids.fit_ids, conversation=True),
    Rule("tools.invalid_arguments", _OBSERVED, tool_inputs.fit_invalid_json, conversation=True),
    Rule("tools.object_arguments", _OBSERVED, tool_inputs.fit_objects, conversation=True),
    Rule("texts.blank", "Anthropic API reference: Messages", blanks.drop_blanks, conversation=True),
    Rule("turns.consecutive", _OBSERVED, turns.merge_consecutive_assistants, conversation=True),
    Rule(
        "tools.results",
        "Anthropic and OpenAI API references: tool use",
        results.pair_results,
        conversation=True,
    ),
    Rule("turns.first", _OBSERVED, turns.add_first_user_turn, conversation=True),
    Rule("turns.last", _OBSERVED, turns.add_last_user_turn, conversation=True),
    Rule("stops.blank", "Anthropic API reference: Messages", stops.drop_blank),
    Rule("stops.maximum", "OpenAI API reference: Chat Completions", stops.drop_surplus),
    # Limits come before thinking budgets, which must stay below them.
    Rule("limits.invalid", "public bug reports", limits.drop_invalid_limit),
    Rule("limits.name", "OpenAI API reference: Chat Completions", limits.rename_limit),
    Rule("limits.default", "GitHub's Copilot client", limits.set_default),
    Rule("limits.minimum", "OpenAI API reference: Responses", limits.raise_to_minimum),
    Rule("limits.maximum", _CATALOGUE, limits.lower_to_maximum),
    Rule("limits.stream", _CATALOGUE, limits.stream_long_responses),
    Rule("output.schema", _OBSERVED, schemas.fit_output),
    Rule("tools.forced", _THINKING, thinking.unforce_tool),
    Rule("thinking.forced_tool", _THINKING, thinking.disable_for_forced_tool),
    Rule("thinking.mid_turn", _THINKING, thinking.disable_in_mid_turn),
    Rule("thinking.none", _CATALOGUE, thinking.drop_unsupported),
    Rule("thinking.form", _THINKING, thinking.fit_form),
    Rule("thinking.budget", _THINKING, thinking.fit_budget),
    Rule("thinking.always", _CLIENTS, thinking.require),
    Rule("thinking.display", _CLIENTS, thinking.ask_display),
    Rule("thinking.binding", _CLIENTS, thinking.bind),
    Rule("thinking.fields", _THINKING, thinking.drop_unknown),
    Rule("effort", _CATALOGUE, effort.fit_effort),
    Rule("sampling.fixed", _OBSERVED, sampling.drop_fixed),
    Rule("sampling.thinking", _THINKING, sampling.drop_while_thinking),
    Rule("sampling.one", "Anthropic API reference: Messages", sampling.drop_top_p),
    Rule("sampling.range", "Anthropic API reference: Messages", sampling.lower_temperature),
    Rule("cache.mark", "Anthropic API reference: prompt caching", cache_marks.mark_stable),
    Rule("cache.reduce", _OBSERVED, cache_marks.reduce_marks),
)
"""All rules, in the order in which they are applied."""


@dataclass(frozen=True)
class Fitted:
    """A request body that the model accepts."""

    body: UpstreamBody
    tool_names: Mapping[str, str] = field(default_factory=dict)
    """The client's names of renamed tools, by the names that the model gets."""


def fit(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> Fitted:
    """Apply all rules; raises `RequestError` if the conversation is empty afterwards."""
    for rule in RULES:
        rule.apply(outgoing, profile, notes)
    turns.check(outgoing)
    return Fitted(outgoing.body, outgoing.tool_names)


def fit_conversation(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> Fitted:
    """Apply only the rules for messages and tools, since pi-ai sets the other fields itself.

    Raises `RequestError` if the conversation is empty afterwards.
    """
    for rule in RULES:
        if rule.conversation:
            rule.apply(outgoing, profile, notes)
    turns.check(outgoing)
    return Fitted(outgoing.body, outgoing.tool_names)
