"""Removes unknown fields, which some models refuse, from messages, parts, calls and tools.

Applies to Claude and Gemini on Chat Completions, where programs keep their own fields in the
messages that they store. On the vendors' own APIs, new fields are passed on.
"""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

_Known = Mapping[str, frozenset[str]]
"""The known fields of an object, by its type; objects of other types are not changed."""

_MESSAGE: Final = "message"
"""The type of a message, which most APIs do not state."""
_DEFINITION: Final = "definition"
"""The type of the field `function` of a Chat Completions tool or call."""
_NESTED: Final = ("content", "tool_calls")
"""The fields that contain nested objects."""


def _known(**fields: str) -> _Known:
    return {kind: frozenset(f"type {names}".split()) for kind, names in fields.items()}


_CONVERSATION: Final = _known(
    message="role content name tool_calls tool_call_id refusal copilot_cache_control "
    "reasoning_text reasoning_opaque cot_id cot_summary thinking signature encrypted_content "
    "phase",
    text="text prompt_cache_breakpoint",
    image_url="image_url prompt_cache_breakpoint",
    function="id function",
    definition="name arguments thought_signature",
)
"""The fields in OpenAI's own reference, and those that Copilot adds."""
_TOOLS: Final = _known(
    function="function copilot_cache_control",
    definition="name description parameters strict",
)


def drop_unknown(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop fields that are not part of the API, such as those that programs keep in messages."""
    if profile.fields is None or outgoing.api != "chat_completions":
        return
    known, dropped = _CONVERSATION, _Dropped()
    turns = [] if outgoing.is_settled else outgoing.turns
    if _may_have_unknown(turns, known):
        kept = [_known_fields(turn, _kind(turn, _MESSAGE), known, dropped) for turn in turns]
        if dropped.has_any:
            outgoing.turns = kept
            dropped.note("messages", notes)
    known, dropped = _TOOLS, _Dropped()
    tools = outgoing.body.get("tools")
    if isinstance(tools, list):
        kept = [_known_fields(tool, _kind(tool, ""), known, dropped) for tool in tools]
        if dropped.has_any:
            outgoing.body["tools"] = kept
            dropped.note("tools", notes)


def _may_have_unknown(turns: list[Json], known: _Known) -> bool:
    """Return whether any object may have an unknown field. False means that none does.

    The many objects of a conversation have only a few different types and sets of fields, so it is
    enough to check those.
    """
    level, default = turns, _MESSAGE
    while level:
        definitions = [one["function"] for one in level if "function" in one]
        shapes = {(_DEFINITION, *one) for one in definitions if isinstance(one, dict)}
        shapes |= {(str(one.get("type") or default), *one) for one in level}
        names = set().union(*level)
        if any(not known.get(kind, names).issuperset(fields) for kind, *fields in shapes):
            return True
        lists = [one[name] for name in _NESTED if name in names for one in level if name in one]
        children = [one for value in lists if isinstance(value, list) for one in value]
        level, default = [one for one in children if isinstance(one, dict)], ""
    return False


class _Dropped:
    """The fields that have been dropped."""

    def __init__(self) -> None:
        self.has_any = False
        self._names: set[str] = set()

    def add(self, name: str, value: object) -> None:
        self.has_any = True
        if value is not None:  # nulls are meaningless
            self._names.add(name)

    def note(self, where: str, notes: list[str]) -> None:
        if self._names:
            names = ", ".join(sorted(self._names))
            notes.append(f"dropped {names} from some {where}: the model refuses unknown fields")


def _kind(value: Json, default: str) -> str:
    return str(value.get("type") or default)


def _known_fields(value: Json, kind: str, known: _Known, dropped: _Dropped) -> Json:
    """Return the value without unknown fields. If there are none, the same object is returned."""
    fields = known.get(kind)
    if fields is None:
        return value
    out = value
    if not value.keys() <= fields:
        for name in value.keys() - fields:
            dropped.add(name, value[name])
        out = {name: one for name, one in value.items() if name in fields}
    for name in _NESTED:
        children = out.get(name)
        if isinstance(children, list):
            kept = [_child(child, known, dropped) for child in children]
            if any(new is not old for new, old in zip(kept, children, strict=True)):
                out = {**out, name: kept}
    function = out.get("function")
    if isinstance(function, dict):
        definition = _known_fields(function, _DEFINITION, known, dropped)
        if definition is not function:
            out = {**out, "function": definition}
    return out


def _child(value: object, known: _Known, dropped: _Dropped) -> object:
    return (
        _known_fields(value, _kind(value, ""), known, dropped) if isinstance(value, dict) else value
    )
