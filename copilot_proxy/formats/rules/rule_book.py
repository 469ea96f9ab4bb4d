"""The rule book: the list of all changes that keep models from refusing a request.

A rule reads the model's profile and accesses the body through `OutgoingBody`, no matter which API
the client uses and which API the model is called through. The translators do not depend on the
models' restrictions.
"""

from typing import Final

from copilot_proxy.formats.rules import (
    answer_media,
    blank_texts,
    cache_control,
    combined_schemas,
    duplicate_ids,
    effort,
    fields,
    images,
    nested_fields,
    numbered_ids,
    output_constraints,
    output_limit,
    property_names,
    references,
    sampling,
    schemas,
    signatures,
    split_calls,
    stop_sequences,
    thinking,
    tool_ids,
    tool_inputs,
    tool_kinds,
    tool_names,
    tool_results,
    turns,
    unions,
)
from copilot_proxy.formats.rules.rule import Rule

_REPORTS: Final = "public bug reports"
_OBSERVED: Final = "Copilot API, observed 2026-11"
_CATALOGUE: Final = "Copilot's list of models"
_CLIENTS: Final = "GitHub's Copilot clients"
_THINKING: Final = "Anthropic API reference: extended thinking"
_SYSTEM: Final = "Anthropic's documentation: mid-conversation system messages"

SETTLED: Final = frozenset(
    {
        *("tools.numbers", "tools.duplicate_ids", "tools.ids", "tools.invalid_arguments"),
        *("tools.object_arguments", "tools.results", "tools.split_calls", "tools.signatures"),
        *("texts.blank", "images.types", "images.detail", "images.maximum"),
        *(
            "turns.media",
            "turns.consecutive",
            "turns.first",
            "turns.system",
            "turns.only",
            "turns.last",
        ),
    }
)
"""The rules that do not need to change a conversation if `OutgoingBody.is_settled` is true."""

RULES: Final = (
    Rule("fields.refused", _OBSERVED, fields.drop_refused),
    Rule("fields.nested", _OBSERVED, nested_fields.drop_unknown, lambda p: p.fields is not None),
    Rule("fields.prediction", _OBSERVED, fields.drop_empty_prediction),
    Rule(
        "fields.parallel_calls",
        _CATALOGUE,
        fields.drop_parallel_calls,
        lambda p: p.parallel_calls is False,
    ),
    Rule("fields.stream", _CATALOGUE, fields.disable_unsupported_stream, lambda p: not p.streams),
    # The conversation. Names, ids and arguments come first: the later rules move entire messages.
    Rule(
        "tools.additional", _OBSERVED, tool_kinds.lift_additional, lambda p: not p.additional_tools
    ),
    Rule("tools.search", _OBSERVED, tool_kinds.replace_search, lambda p: not p.tool_search),
    Rule("tools.namespaces", _OBSERVED, tool_kinds.flatten_namespaces, lambda p: not p.namespaces),
    Rule(
        "tools.custom",
        _OBSERVED,
        tool_kinds.replace_custom,
        lambda p: not p.custom_tools,
        pi_ai=True,
    ),
    Rule("tools.allowed", _OBSERVED, tool_kinds.allow_tools, pi_ai=True),
    Rule("tools.names", _OBSERVED, tool_names.rename_invalid_tools, pi_ai=True),
    Rule("tools.schemas", _OBSERVED, schemas.correct_tool_schemas, pi_ai=True),
    Rule(
        "tools.combined",
        _REPORTS,
        combined_schemas.merge_combinations,
        lambda p: not p.schema_combinations,
        pi_ai=True,
    ),
    Rule(
        "tools.values",
        _REPORTS,
        combined_schemas.simplify_values,
        lambda p: not p.schema_values,
        pi_ai=True,
    ),
    Rule("tools.unions", _REPORTS, unions.merge_unions, lambda p: not p.schema_unions, pi_ai=True),
    Rule(
        "tools.references",
        _REPORTS,
        references.inline_references,
        lambda p: not p.schema_references,
        pi_ai=True,
    ),
    # After the rules that merge schemas, and before arguments are changed.
    Rule(
        "tools.properties",
        "Anthropic's error 'Property keys should match pattern'; public bug reports",
        property_names.rename_properties,
        lambda p: not p.any_property_names,
        pi_ai=True,
    ),
    Rule(
        "tools.validated",
        _CLIENTS,
        fields.drop_validated,
        lambda p: not p.validated_choice,
        pi_ai=True,
    ),
    Rule(
        "tools.eager_input",
        "source code of pi-ai 1.6",
        fields.drop_eager_input,
        lambda p: not p.eager_input_streaming,
    ),
    Rule(
        "tools.numbers",
        "GitHub's Copilot client",
        numbered_ids.number_ids,
        lambda p: p.tool_id_form,
        pi_ai=True,
    ),
    Rule("tools.duplicate_ids", _REPORTS, duplicate_ids.rename_duplicate_ids, pi_ai=True),
    Rule("tools.ids", _OBSERVED, tool_ids.rename_invalid_ids, pi_ai=True),
    Rule("tools.invalid_arguments", _OBSERVED, tool_inputs.repair_invalid_json, pi_ai=True),
    Rule(
        "tools.object_arguments",
        _OBSERVED,
        tool_inputs.wrap_non_objects,
        lambda p: p.object_arguments,
        pi_ai=True,
    ),
    Rule("turns.media", _REPORTS, answer_media.move_to_user, pi_ai=True),
    Rule(
        "texts.blank",
        "Anthropic API reference: Messages",
        blank_texts.drop_blanks,
        lambda p: not p.accepts_blank_texts,
        pi_ai=True,
    ),
    Rule(
        "images.types",
        _REPORTS,
        images.correct_types,
        pi_ai=True,
    ),
    Rule(
        "images.detail",
        _REPORTS,
        images.ask_high_detail,
        lambda p: not p.original_detail,
    ),
    Rule(
        "images.maximum",
        _CLIENTS,
        images.replace_oldest,
        lambda p: p.max_images is not None,
        pi_ai=True,
    ),
    Rule(
        "turns.consecutive",
        _OBSERVED,
        turns.merge_consecutive_assistants,
        lambda p: not p.consecutive_assistants,
        pi_ai=True,
    ),
    Rule(
        "tools.results",
        "Anthropic and OpenAI API references: tool use",
        tool_results.pair_results,
        pi_ai=True,
    ),
    Rule("tools.split_calls", _REPORTS, split_calls.split, lambda p: p.max_calls, pi_ai=True),
    Rule("tools.signatures", _OBSERVED, signatures.replace_unsigned, lambda p: p.signed_calls),
    Rule(
        "turns.first",
        _OBSERVED,
        turns.add_first_user_turn,
        lambda p: not p.may_begin_with_assistant,
        pi_ai=True,
    ),
    # Results come first, because a system message may separate them from their calls.
    Rule(
        "turns.system_first",
        _SYSTEM,
        turns.move_system_to_front,
        lambda p: not p.system_in_conversation,
        pi_ai=True,
    ),
    Rule("turns.system", _SYSTEM, turns.place_system, lambda p: not p.system_anywhere, pi_ai=True),
    Rule(
        "turns.only",
        "Gemini API reference: contents",
        turns.add_only_turn,
        lambda p: not p.may_lack_messages,
        pi_ai=True,
    ),
    Rule(
        "turns.last",
        _OBSERVED,
        turns.add_last_user_turn,
        lambda p: not p.may_end_with_assistant,
        pi_ai=True,
    ),
    Rule(
        "stops.blank",
        "Anthropic API reference: Messages",
        stop_sequences.drop_blank,
        lambda p: not p.accepts_blank_stops,
    ),
    # Limits come before thinking budgets, which must stay below them.
    Rule("output_limit.invalid", _REPORTS, output_limit.drop_invalid_limit, pi_ai=True),
    Rule(
        "output_limit.name",
        "OpenAI API reference: Chat Completions",
        output_limit.rename_limit,
        lambda p: p.limit_field,
    ),
    Rule(
        "output_limit.default",
        "GitHub's Copilot client",
        output_limit.set_default,
        lambda p: p.default_output,
    ),
    Rule(
        "output_limit.minimum",
        "OpenAI API reference: Responses",
        output_limit.raise_to_minimum,
        lambda p: p.min_output,
        pi_ai=True,
    ),
    Rule(
        "output_limit.maximum",
        _CATALOGUE,
        output_limit.lower_to_maximum,
        lambda p: p.max_output,
        pi_ai=True,
    ),
    Rule(
        "output_limit.stream",
        _CATALOGUE,
        output_limit.stream_long_responses,
        lambda p: p.max_unstreamed_output,
    ),
    Rule("output.schema", _OBSERVED, schemas.drop_output_schema, lambda p: not p.structured_output),
    Rule(
        "output.closed",
        "Anthropic API reference: structured outputs",
        schemas.close_output,
        lambda p: not p.open_output_schemas,
    ),
    Rule(
        "output.constraints",
        "Anthropic API reference: structured outputs",
        output_constraints.move_constraints,
        lambda p: not p.output_constraints,
    ),
    Rule("thinking.effort", _CATALOGUE, thinking.choose_form),
    Rule(
        "tools.forced",
        _THINKING,
        thinking.replace_forced_tool,
        lambda p: not p.forced_tools,
        pi_ai=True,
    ),
    Rule(
        "thinking.forced_tool",
        _THINKING,
        thinking.disable_for_forced_tool,
        lambda p: not p.thinks_with_forced_tool,
    ),
    Rule("thinking.none", _CATALOGUE, thinking.drop_unsupported, lambda p: p.thinking == "none"),
    Rule("thinking.form", _THINKING, thinking.use_supported_form),
    # After `thinking.form`, which can turn adaptive thinking into a budget.
    Rule(
        "thinking.mid_turn",
        _THINKING,
        thinking.disable_mid_turn,
        lambda p: p.thinking not in thinking.ADAPTIVE,
    ),
    Rule("thinking.budget", _THINKING, thinking.limit_budget),
    Rule("thinking.always", _CLIENTS, thinking.require, lambda p: p.thinking == "adaptive_only"),
    Rule("thinking.display", _CLIENTS, thinking.ask_display),
    Rule("thinking.binding", _CLIENTS, thinking.bind_to_conversation, lambda p: p.binds_thinking),
    Rule("thinking.fields", _THINKING, thinking.drop_unknown),
    Rule("effort", _CATALOGUE, effort.use_nearest_effort, lambda p: p.efforts is not None),
    Rule("sampling.fixed", _OBSERVED, sampling.drop_fixed, lambda p: p.fixed_sampling, pi_ai=True),
    Rule(
        "sampling.thinking",
        _THINKING,
        sampling.drop_while_thinking,
        lambda p: not p.samples_while_thinking,
    ),
    Rule(
        "sampling.one",
        "Anthropic API reference: Messages",
        sampling.drop_top_p,
        lambda p: p.one_of_temperature_and_top_p,
    ),
    Rule(
        "sampling.range",
        "Anthropic API reference: Messages",
        sampling.lower_temperature,
        lambda p: p.max_temperature is not None,
        pi_ai=True,
    ),
    Rule(
        "cache.mark",
        "Anthropic API reference: prompt caching",
        cache_control.mark_stable_prefix,
        lambda p: p.max_cache_marks is not None,
    ),
    Rule(
        "cache.breakpoints",
        "OpenAI API reference: prompt caching",
        cache_control.drop_breakpoints,
        lambda p: not p.cache_breakpoints,
    ),
    Rule(
        "cache.reduce",
        _OBSERVED,
        cache_control.limit_marks,
        lambda p: p.max_cache_marks is not None,
    ),
)
"""All rules, in the order in which they are applied."""
