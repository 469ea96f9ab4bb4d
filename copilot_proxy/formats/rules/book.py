"""The rule book: all changes without which a model would refuse a request.

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
    tool_kinds,
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
    pi_ai: bool = False
    """Whether the rule also applies to requests to pi-ai, which sets some fields itself."""


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
    Rule("tools.additional", _OBSERVED, tool_kinds.lift_additional),
    Rule("tools.search", _OBSERVED, tool_kinds.replace_search),
    Rule("tools.namespaces", _OBSERVED, tool_kinds.flatten_namespaces),
    Rule("tools.custom", _OBSERVED, tool_kinds.replace_custom, pi_ai=True),
    Rule("tools.allowed", _OBSERVED, tool_kinds.allow_tools, pi_ai=True),
    Rule("tools.names", _OBSERVED, tool_names.fit_names, pi_ai=True),
    Rule("tools.schemas", _OBSERVED, schemas.fit_tool_schemas, pi_ai=True),
    Rule("tools.unions", "public bug reports", unions.fit_unions, pi_ai=True),
    Rule("tools.validated", _CLIENTS, fields.drop_validated, pi_ai=True),
    Rule("tools.eager_input", "source code of pi-ai 1.6", fields.drop_eager_input),
    Rule("tools.numbers", "GitHub's Copilot client", numbered_ids.fit_numbers, pi_ai=True),
    Rule("tools.ids", _OBSERVED, tool_ids.fit_ids, pi_ai=True),
    Rule("tools.invalid_arguments", _OBSERVED, tool_inputs.fit_invalid_json, pi_ai=True),
    Rule("tools.object_arguments", _OBSERVED, tool_inputs.fit_objects, pi_ai=True),
    Rule("texts.blank", "Anthropic API reference: Messages", blanks.drop_blanks, pi_ai=True),
    Rule("turns.consecutive", _OBSERVED, turns.merge_consecutive_assistants, pi_ai=True),
    Rule(
        "tools.results",
        "Anthropic and OpenAI API references: tool use",
        results.pair_results,
        pi_ai=True,
    ),
    Rule("turns.first", _OBSERVED, turns.add_first_user_turn, pi_ai=True),
    Rule("turns.last", _OBSERVED, turns.add_last_user_turn, pi_ai=True),
    Rule("stops.blank", "Anthropic API reference: Messages", stops.drop_blank),
    Rule("stops.maximum", "OpenAI API reference: Chat Completions", stops.drop_surplus),
    # Limits come before thinking budgets, which must stay below them.
    Rule("limits.invalid", "public bug reports", limits.drop_invalid_limit, pi_ai=True),
    Rule("limits.name", "OpenAI API reference: Chat Completions", limits.rename_limit),
    Rule("limits.default", "GitHub's Copilot client", limits.set_default),
    Rule("limits.minimum", "OpenAI API reference: Responses", limits.raise_to_minimum, pi_ai=True),
    Rule("limits.maximum", _CATALOGUE, limits.lower_to_maximum, pi_ai=True),
    Rule("limits.stream", _CATALOGUE, limits.stream_long_responses),
    Rule("output.schema", _OBSERVED, schemas.fit_output),
    Rule("output.closed", "Anthropic API reference: structured outputs", schemas.close_output),
    Rule("thinking.effort", _CATALOGUE, thinking.choose_form),
    Rule("tools.forced", _THINKING, thinking.unforce_tool, pi_ai=True),
    Rule("thinking.forced_tool", _THINKING, thinking.disable_for_forced_tool),
    Rule("thinking.mid_turn", _THINKING, thinking.disable_mid_turn),
    Rule("thinking.none", _CATALOGUE, thinking.drop_unsupported),
    Rule("thinking.form", _THINKING, thinking.fit_form),
    Rule("thinking.budget", _THINKING, thinking.fit_budget),
    Rule("thinking.always", _CLIENTS, thinking.require),
    Rule("thinking.display", _CLIENTS, thinking.ask_display),
    Rule("thinking.binding", _CLIENTS, thinking.bind),
    Rule("thinking.fields", _THINKING, thinking.drop_unknown),
    Rule("effort", _CATALOGUE, effort.fit_effort),
    Rule("sampling.fixed", _OBSERVED, sampling.drop_fixed, pi_ai=True),
    Rule("sampling.thinking", _THINKING, sampling.drop_while_thinking),
    Rule("sampling.one", "Anthropic API reference: Messages", sampling.drop_top_p),
    Rule(
        "sampling.range",
        "Anthropic API reference: Messages",
        sampling.lower_temperature,
        pi_ai=True,
    ),
    Rule("cache.mark", "Anthropic API reference: prompt caching", cache_marks.mark_stable),
    Rule("cache.reduce", _OBSERVED, cache_marks.reduce_marks),
)
"""All rules, in the order in which they are applied."""


@dataclass(frozen=True)
class FittedBody:
    """A request body that the model accepts."""

    body: UpstreamBody
    tool_names: Mapping[str, str] = field(default_factory=dict)
    """The client's names of renamed tools, by the names sent to the model."""


def fit(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str], *, pi_ai: bool = False
) -> FittedBody:
    """Apply all rules, or with `pi_ai` those that apply to pi-ai.

    Raises `RequestError` if the conversation is empty afterwards.
    """
    for rule in RULES:
        if rule.pi_ai or not pi_ai:
            rule.apply(outgoing, profile, notes)
    turns.check(outgoing)
    return FittedBody(outgoing.body, outgoing.tool_names)
