"""What families of models, and Copilot's APIs, take and refuse: a table with a source for each row.

Only what the catalogue has no word for. "wire.md" is the project's reference of Copilot's API.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from copilot_proxy.catalogue import Model

ANY_TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CLAUDE: Final = re.compile(r"claude-(?P<kind>[a-z]+)-(?P<major>\d+)(?:[.-](?P<minor>\d{1,2}))?\b")


@dataclass(frozen=True, kw_only=True)
class Family:
    """Some models, by what is known of them, and the traits of `ModelProfile` that they share.

    A row holds for models that all of its conditions hold for; an empty condition always holds.
    """

    name: str
    source: str
    vendors: tuple[str, ...] = ()
    ids: re.Pattern[str] | None = None
    """Matches the beginning of the id."""
    kinds: tuple[str, ...] = ()
    """Claude's: ``opus``, ``sonnet`` and so on."""
    since: tuple[int, int] | None = None
    """The first version of Claude that it holds for."""
    unless_family: re.Pattern[str] | None = None
    """Matches the beginning of a `family` that it does not hold for."""
    apis: tuple[str, ...] = ()
    """Copilot's APIs that it holds on."""
    traits: Mapping[str, Any] = field(default_factory=dict)

    def has(self, model: Model | None, api: str) -> bool:
        """Whether the row holds for `model` on `api`."""
        if self.apis and api not in self.apis:
            return False
        if model is None:
            return not (self.vendors or self.ids or self.kinds or self.since)
        if self.vendors and model.vendor not in self.vendors:
            return False
        if self.ids and not self.ids.match(model.id):
            return False
        if self.unless_family and self.unless_family.match(model.family + " "):
            return False
        return self._is_claude(model)

    def _is_claude(self, model: Model) -> bool:
        if not self.kinds and self.since is None:
            return True
        kind, version = claude_version(model)
        return (not self.kinds or kind in self.kinds) and version >= (self.since or (0, 0))


def claude_version(model: Model) -> tuple[str, tuple[int, int]]:
    """Kind and version in a Claude's id, such as ("opus", (4, 7)); ("", (0, 0)) for others.

    An old id runs the two numbers together: ``claude-opus-41``.
    """
    found = _CLAUDE.match(model.id)
    if found is None:
        return "", (0, 0)
    major, minor = found["major"], found["minor"] or "0"
    if len(major) == 2 and found["minor"] is None and major[0] in "345":
        major, minor = major[0], major[1]
    return found["kind"], (int(major), int(minor))


_CLAUDES: Final[Mapping[str, Any]] = {
    "least_budget": 1024,
    "thinks_when_forced": False,
    "most_temperature": 1,
    "samples_while_thinking": False,
    "tool_id": re.compile(r"[a-zA-Z0-9_-]+"),
    "object_inputs": True,
    "blank_texts": False,
    "blank_stops": False,
    "begins_with_assistant": False,
    "ends_with_assistant": False,
    "cache_marks": 4,
}
"""What every Claude has in common, and so its own API (wire.md 8.2, 16.2)."""

_OPENAI: Final = ("OpenAI", "Azure OpenAI")
_STRICT_CHAT: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking_budget",
    }
)
_RESPONSES: Final = frozenset(
    {
        "model",
        "input",
        "instructions",
        "stream",
        "store",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "reasoning",
        "text",
        "include",
        "truncation",
        "prompt_cache_key",
        "context_management",
        "user",
    }
)
MESSAGES_FIELDS: Final = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "stop_sequences",
        "temperature",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "metadata",
        "context_management",
    }
)

FAMILIES: Final = (
    Family(
        name="chat completions",
        source="OpenAI's reference of chat completions: up to four stop sequences",
        apis=("chat_completions",),
        traits={"most_stops": 4},
    ),
    Family(
        name="Responses",
        source="wire.md 7.2, 7.5.4, and OpenAI's reference of Responses",
        apis=("responses",),
        traits={
            "longest_tool_id": 64,
            "least_output": 16,
            "fields": _RESPONSES,
        },
    ),
    Family(
        name="Messages",
        source="wire.md 8.2",
        apis=("messages",),
        traits={**_CLAUDES, "fields": MESSAGES_FIELDS, "schema_properties": False},
    ),
    Family(
        name="OpenAI on chat completions",
        source="OpenAI's refusal 'string too long. Expected a string with maximum length 40'",
        vendors=_OPENAI,
        apis=("chat_completions",),
        traits={"longest_tool_id": 40},
    ),
    Family(
        # Told from the older families by name, since the catalogue has no word for it; a family
        # yet unknown counts as new.
        name="GPT-5, the o-series and newer",
        source="wire.md 6.4: max_tokens is refused, and of sampling all but the default",
        vendors=_OPENAI,
        unless_family=re.compile(r"gpt-(3\.5|4)[^\d]"),
        traits={"fixed_sampling": ("temperature", "top_p")},
    ),
    Family(
        name="GPT-5, the o-series and newer, on chat completions",
        source="wire.md 6.4",
        vendors=_OPENAI,
        unless_family=re.compile(r"gpt-(3\.5|4)[^\d]"),
        apis=("chat_completions",),
        traits={"limit_field": "max_completion_tokens"},
    ),
    Family(
        name="Gemini",
        source="wire.md 6.4: neighbours of one role are refused; arguments are a structure",
        vendors=("Google",),
        traits={"neighbours": False, "object_inputs": True, "fields": _STRICT_CHAT},
    ),
    Family(
        name="Claude",
        source="wire.md 6.4, 8.2, 16.2",
        vendors=("Anthropic",),
        traits=_CLAUDES,
    ),
    Family(
        name="Claude on chat completions",
        source="wire.md 6.4: 'Extra inputs are not permitted'",
        vendors=("Anthropic",),
        apis=("chat_completions",),
        traits={"neighbours": False, "fields": _STRICT_CHAT},
    ),
    Family(
        name="Claude from 4.5 on",
        source="wire.md 6.4: not both temperature and top_p",
        since=(4, 5),
        traits={"one_of_temperature_and_top_p": True},
    ),
    Family(
        name="Claude from 4.7 on",
        source="wire.md 16.2: no sampling but the default, no budgets",
        since=(4, 7),
        traits={
            "fixed_sampling": ("temperature", "top_p", "top_k"),
            "thinking": "required_form",
            "adaptive": True,
        },
    ),
    Family(
        name="Claude that always thinks: fable and mythos",
        source="wire.md 16.2",
        kinds=("fable", "mythos"),
        traits={
            "fixed_sampling": ("temperature", "top_p", "top_k"),
            "thinking": "adaptive_only",
            "adaptive": True,
        },
    ),
    Family(
        name="Claude that always thinks: opus from 5.5 on",
        source="wire.md 16.2",
        kinds=("opus",),
        since=(5, 5),
        traits={"thinking": "adaptive_only", "forced_tools": False},
    ),
    Family(
        name="Claude that cannot be made to call a tool: fable and mythos from 5.1 on",
        source="wire.md 16.2: a forced tool is refused where thinking cannot be off",
        kinds=("fable", "mythos"),
        since=(5, 1),
        traits={"forced_tools": False},
    ),
    Family(
        name="Kimi",
        source="wire.md 16.4: temperature 1 and top_p 0.95 alone, its defaults; at 0 it loops",
        ids=re.compile(r"kimi-"),
        traits={"fixed_sampling": ("temperature", "top_p")},
    ),
    Family(
        name="Claude of whose adaptive thinking pi-ai knows",
        source="pi-ai 0.73, by reading",
        ids=re.compile(r".*(opus-4[-.][67]|sonnet-4[-.]6)"),
        traits={"known_to_pi_ai": True},
    ),
)
