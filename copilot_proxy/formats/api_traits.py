"""What Copilot's APIs accept for every model, in the same format as `model_families`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.accepted_fields import MESSAGES_FIELDS, RESPONSES_FIELDS
from copilot_proxy.formats.model_family import Family

CLAUDE_TRAITS: Final[Mapping[str, Any]] = {
    "min_budget": 1024,
    "thinks_with_forced_tool": False,
    "max_temperature": 1,
    "samples_while_thinking": False,
    "tool_id": re.compile(r"[a-zA-Z0-9_-]+"),
    "any_property_names": False,
    "object_arguments": True,
    "schema_combinations": False,
    "accepts_blank_texts": False,
    "accepts_blank_stops": False,
    "may_begin_with_assistant": False,
    "may_end_with_assistant": False,
    "max_cache_marks": 4,
}
"""The traits of every Claude model, and therefore of the Messages API."""

API_TRAITS: Final = (
    Family(
        name="Chat Completions",
        # OpenAI's maximum length of ids is also used for vendors whose maximum is unknown.
        source="OpenAI API reference: up to four stop sequences; its error 'string too long. "
        "Expected a string with maximum length 40'; Copilot's error 'array too long. Expected an "
        "array with maximum length 128'; custom tools are not known to be accepted by Copilot",
        apis=("chat_completions",),
        traits={
            "max_stops": 4,
            "custom_tools": False,
            "max_tool_id_length": 40,
            "max_calls": 128,
            "cache_breakpoints": False,
        },
    ),
    Family(
        name="Responses",
        source="OpenAI API reference: Responses; Copilot API, observed 2026-11",
        apis=("responses",),
        traits={
            "max_stops": 0,
            "max_tool_id_length": 64,
            "min_output": 16,
            "fields": RESPONSES_FIELDS,
            "cache_breakpoints": False,
        },
    ),
    Family(
        name="Messages",
        source="Anthropic API reference: Messages; Copilot API, observed 2026-11",
        apis=("messages",),
        traits={
            **CLAUDE_TRAITS,
            "fields": MESSAGES_FIELDS,
            "schema_properties": False,
            "open_output_schemas": False,
            "output_constraints": False,
        },
    ),
    Family(
        name="System messages in conversations on Messages",
        source="Anthropic's documentation: mid-conversation system messages",
        apis=("messages",),
        traits={"system_in_conversation": False, "system_anywhere": False},
    ),
    Family(
        # On Chat Completions, only the catalogue shows whether a model accepts PDFs.
        name="Documents on Messages",
        source="GitHub's Copilot client: document blocks with PDFs; public bug reports",
        apis=("messages",),
        traits={"documents": True},
    ),
)
