"""A table of the features that model families accept; each row names its source.

The table only contains facts that are not in the catalogue; the rows about APIs come first.
"Observed" means seen in Copilot's responses to requests, including those in public bug reports.
"""

import re
from typing import Final

from copilot_proxy.formats.accepted_fields import (
    RESPONSES_FIELDS,
    STRICT_CHAT_FIELDS,
)
from copilot_proxy.formats.api_traits import API_TRAITS, CLAUDE_TRAITS
from copilot_proxy.formats.model_family import Family

ANY_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_OPENAI: Final = ("OpenAI", "Azure OpenAI")
_OLD_OPENAI: Final = re.compile(r"gpt-(3\.5|4)[^\d]")
"""The families before GPT-5. The catalogue does not mark these; unknown families count as new."""

FAMILIES: Final = (
    *API_TRAITS,
    Family(
        name="Anthropic, Google and Moonshot on Chat Completions",
        source="Copilot API, observed 2026-11: longer ids are accepted",
        vendors=("Anthropic", "Google", "Moonshot AI"),
        apis=("chat_completions",),
        traits={"max_tool_id_length": None},
    ),
    Family(
        name="Images for Anthropic, Google and Moonshot on Chat Completions",
        source="public bug reports: models of other vendors refuse the detail 'original'",
        vendors=("Anthropic", "Google", "Moonshot AI"),
        apis=("chat_completions",),
        traits={"original_detail": False},
    ),
    Family(
        name="OpenAI",
        source="OpenAI's error 'schema must have type object and not have oneOf/anyOf/allOf/"
        "enum/const/not at the top level'",
        vendors=_OPENAI,
        traits={"schema_combinations": False, "schema_values": False},
    ),
    Family(
        name="GPT-5, the o-series and newer",
        source="OpenAI API reference: only the default temperature and top_p are supported",
        vendors=_OPENAI,
        unless_family=_OLD_OPENAI,
        traits={"fixed_sampling": ("temperature", "top_p")},
    ),
    Family(
        name="GPT-5, the o-series and newer, on Chat Completions",
        source="OpenAI's error 'max_tokens is not supported with this model'",
        vendors=_OPENAI,
        unless_family=_OLD_OPENAI,
        apis=("chat_completions",),
        traits={"limit_field": "max_completion_tokens"},
    ),
    Family(
        name="GPT-5 and newer, on Responses",
        source="OpenAI API reference: file inputs; Copilot API, observed 2026-11: input_file",
        vendors=_OPENAI,
        unless_family=_OLD_OPENAI,
        apis=("responses",),
        traits={"documents": True},
    ),
    Family(
        name="GPT 5.6 and later, on Responses",
        source="OpenAI API reference: prompt caching; Copilot API, observed 2026-11",
        ids=re.compile(r"gpt-(5\.([6-9]|\d\d)|([6-9]|[1-3]\d)(?!\d))"),
        apis=("responses",),
        traits={"fields": RESPONSES_FIELDS | {"prompt_cache_options"}, "cache_breakpoints": True},
    ),
    Family(
        name="GPT 5.3 and later, on Responses",
        source="OpenAI API reference: the phase of messages; Copilot API, observed 2026-11",
        ids=re.compile(r"gpt-(5\.([3-9]|\d\d)|([6-9]|[1-3]\d)(?!\d))"),
        apis=("responses",),
        traits={"phases": True},
    ),
    Family(
        name="GPT before 5.3, on Responses",
        source="source code of pi-ai 1.6: grammar tools",
        ids=re.compile(r"gpt-([34]|5(\.[0-2])?(?![.\d]))|o\d"),
        apis=("responses",),
        traits={"custom_tools": False},
    ),
    Family(
        name="GPT before 5.4, on Responses",
        source="requests of GitHub's Copilot CLI 1.0.102",
        ids=re.compile(r"gpt-([34]|5(\.[0-3])?(?![.\d]))|o\d"),
        apis=("responses",),
        traits={"namespaces": False, "tool_search": False},
    ),
    Family(
        name="GPT before 6.1, on Responses",
        source="source code of pi-ai 1.6: additional tools",
        ids=re.compile(r"gpt-([345]|6(?![.\d]))|o\d"),
        apis=("responses",),
        traits={"additional_tools": False},
    ),
    Family(
        name="Models other than GPT, on Responses",
        source="source code of pi-ai 1.6; requests of GitHub's Copilot CLI 1.0.102",
        ids=re.compile(r"(?!gpt-)"),
        apis=("responses",),
        traits={
            "custom_tools": False,
            "namespaces": False,
            "tool_search": False,
            "additional_tools": False,
        },
    ),
    Family(
        # Copilot's model list also has a maximum, usually 1, which GitHub's own client ignores.
        name="Images for Anthropic on Messages",
        source="source code of GitHub's Copilot client (@vscode/chat-lib 0.66)",
        apis=("messages",),
        traits={"max_images": 20},
    ),
    Family(
        name="Images for Google",
        source="source code of GitHub's Copilot client (@vscode/chat-lib 0.66)",
        vendors=("Google",),
        traits={"max_images": 10},
    ),
    Family(
        name="Gemini",
        source="Copilot API, observed 2026-11; Gemini API reference: args is a Struct, contents",
        vendors=("Google",),
        traits={
            "consecutive_assistants": False,
            "may_lack_messages": False,
            "object_arguments": True,
            "schema_unions": False,
        },
    ),
    Family(
        name="Gemini 3 and later",
        source="GitHub's Copilot clients, observed 2026-11",
        vendors=("Google",),
        ids=re.compile(r"gemini-([3-9]|\d\d)"),
        traits={"validated_choice": True},
    ),
    Family(
        name="Gemini 3 and later, on Chat Completions",
        source="Gemini API reference: thought signatures; Copilot's error 'missing a "
        "thought_signature'",
        vendors=("Google",),
        ids=re.compile(r"gemini-([3-9]|\d\d)"),
        apis=("chat_completions",),
        traits={"signed_calls": True},
    ),
    Family(
        name="Gemini on Chat Completions",
        source="Copilot API, observed 2026-11: 'Extra inputs are not permitted'",
        vendors=("Google",),
        apis=("chat_completions",),
        traits={"fields": STRICT_CHAT_FIELDS, "accepts_blank_texts": False},
    ),
    Family(
        name="Claude",
        source="Anthropic API reference: Messages; Copilot API, observed 2026-11",
        vendors=("Anthropic",),
        traits=CLAUDE_TRAITS,
    ),
    Family(
        name="Claude on Chat Completions",
        source="Copilot API, observed 2026-11: 'Extra inputs are not permitted'",
        vendors=("Anthropic",),
        apis=("chat_completions",),
        traits={
            "consecutive_assistants": False,
            "fields": STRICT_CHAT_FIELDS,
            "thinks_by_default": False,
        },
    ),
    Family(
        name="Claude 4.5 and later",
        source="Anthropic API reference: temperature or top_p, not both",
        since=(4, 5),
        traits={"one_of_temperature_and_top_p": True, "one_hour_cache": True},
    ),
    Family(
        name="Claude 4.7 and later",
        source="Anthropic API reference: adaptive thinking; Copilot API, observed 2026-11",
        since=(4, 7),
        traits={
            "fixed_sampling": ("temperature", "top_p", "top_k"),
            "thinking": "required_form",
            "adaptive": True,
        },
    ),
    Family(
        name="Claude Fable and Mythos, which always think",
        source="Anthropic API reference: adaptive thinking",
        kinds=("fable", "mythos"),
        traits={
            "fixed_sampling": ("temperature", "top_p", "top_k"),
            "thinking": "adaptive_only",
            "adaptive": True,
            "forced_tools": False,
            "one_hour_cache": True,
        },
    ),
    Family(
        name="Claude Fable and Mythos, with system messages in conversations",
        source="Anthropic's documentation: mid-conversation system messages; source code of pi-ai",
        kinds=("fable", "mythos"),
        traits={"system_in_conversation": True},
    ),
    Family(
        name="Claude Opus 4.8 and later, with system messages in conversations",
        source="Anthropic's documentation: mid-conversation system messages; source code of pi-ai",
        kinds=("opus",),
        since=(4, 8),
        traits={"system_in_conversation": True},
    ),
    Family(
        name="Claude 5.5 and later, with system messages in conversations",
        source="source code of pi-ai 1.6",
        since=(5, 5),
        traits={"system_in_conversation": True},
    ),
    Family(
        name="Claude Haiku 4.5",
        source="source code of pi-ai 1.6",
        ids=re.compile(r"claude-haiku-4[.-]5"),
        traits={"eager_input_streaming": False},
    ),
    Family(
        # Copilot's model list says that the model supports schemas, which is only true of Chat
        # Completions.
        name="Claude Haiku 4.5 on Messages",
        source="GitHub's Copilot client; source code of pi-ai: no output_config",
        ids=re.compile(r"claude-haiku-4[.-]5"),
        apis=("messages",),
        traits={"structured_output": False},
    ),
    Family(
        name="Claude 5.5 and later",
        source="GitHub's Copilot CLI, observed 2026-11; Anthropic API reference: thinking",
        since=(5, 5),
        traits={"binds_thinking": True},
    ),
    Family(
        name="Claude Opus 5.5 and later, which always think",
        source="Anthropic API reference: adaptive thinking",
        kinds=("opus",),
        since=(5, 5),
        traits={"thinking": "adaptive_only", "forced_tools": False},
    ),
    Family(
        name="Claude Fable and Mythos 5.1 and later, whose thinking is bound to the conversation",
        source="requests of GitHub's Copilot CLI 1.0.102",
        kinds=("fable", "mythos"),
        since=(5, 1),
        traits={"binds_thinking": True},
    ),
    Family(
        name="Kimi",
        source="GitHub's Copilot client: only temperature 1 and top_p 0.95, the defaults; public "
        "bug reports: references to anything but $defs",
        ids=re.compile(r"kimi-"),
        traits={
            "schema_references": False,
            "fixed_sampling": ("temperature", "top_p"),
            "default_top_p": 0.95,
            "tool_id_form": "{name}:{number}",
            "max_tool_id_length": None,
            "original_detail": False,
        },
    ),
    Family(
        name="Kimi K2",
        source="GitHub's Copilot client",
        ids=re.compile(r"kimi-k2"),
        traits={"tool_id_form": "functions.{name}:{number}"},
    ),
)
