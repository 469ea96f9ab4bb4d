"""Prepares the assistant's earlier messages in a chat request for any of Copilot's APIs."""

from typing import Any, Final

from copilot_proxy.formats.types import Json

CITATIONS: Final = "dropped citations from earlier answers: the model gets only the text"
_AUDIO: Final = (
    "dropped audio from earlier answers: only OpenAI has the recording; send its transcript instead"
)
UNUSABLE_REASONING: Final = (
    "dropped the reasoning from earlier answers: it is unsigned, or from a model on another API"
)
_REASONING: Final = (
    "reasoning_content",
    "reasoning_text",
    "reasoning_opaque",
    "reasoning",
    "reasoning_details",
    "thinking",
)
"""The fields for reasoning that clients send; the last three are from other servers."""
_CHANGED: Final = frozenset({"refusal", "annotations", "audio"})
_EXPRESSED: Final = frozenset(
    {
        *("role", "content", "tool_calls", "tool_call_id", *_CHANGED, *_REASONING),
        *("cache_control", "copilot_cache_control", "parsed"),
        *("signature", "encrypted_content", "cot_id", "cot_summary", "phase"),
    }
)
"""The fields of a message that other APIs express in their own way, that have a note of their own,
or that mean nothing to the model."""
_EXPRESSED_OF_RESULTS: Final = _EXPRESSED | {"name"}
"""The same for tool results, where the name is that of the called tool."""


def prepare_answers(messages: list[Json], notes: list[str]) -> list[Json]:
    """Return the messages without citations and audio, which no API accepts.

    A refusal next to text becomes a part of the content, because only one API accepts both.
    """
    if not any(map(_needs_change, messages)):
        return messages
    unique_notes: dict[str, None] = {}
    prepared = [
        _prepared(message, unique_notes) if _needs_change(message) else message
        for message in messages
    ]
    notes += unique_notes
    return prepared


def _needs_change(message: Json) -> bool:
    return message["role"] == "assistant" and not _CHANGED.isdisjoint(message)


def _prepared(message: Json, notes: dict[str, None]) -> Json:
    copy = message.copy()
    if copy.pop("annotations", None):
        notes[CITATIONS] = None
    if copy.pop("audio", None):
        notes[_AUDIO] = None
    if copy.get("refusal") and copy.get("content"):
        refusal = {"type": "refusal", "refusal": copy.pop("refusal")}
        copy["content"] = [*_parts(copy["content"]), refusal]
    return copy


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def has_reasoning(message: Json) -> bool:
    """Return whether the client sent the message's reasoning, in any field."""
    return any(message.get(name) for name in _REASONING)


def note_unknown(messages: list[Json], api: str, notes: list[str]) -> None:
    """Add a note for the fields of messages that `api` has no equivalent for, such as ``name``."""
    names: set[str] = set()
    for message in messages:
        expressed = _EXPRESSED_OF_RESULTS if message["role"] == "tool" else _EXPRESSED
        if not message.keys() <= expressed:
            unknown: Any = message.keys() - expressed
            names |= {name for name in unknown if message[name]}
    if names:
        notes.append(f"dropped {', '.join(sorted(names))} from messages: {api} has no equivalent")
