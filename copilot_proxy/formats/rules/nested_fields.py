"""Drops unknown fields of messages, of their parts and calls, and of tools, which models refuse."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.formats.model_profiles import Api, ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json

_Known = Mapping[str, frozenset[str]]
"""The known fields of an object, by its type; objects of other types are not changed."""

_MESSAGE: Final = "message"
"""The type of a message, which most APIs do not write."""
_DEFINITION: Final = "definition"
"""What a tool or a call of Chat Completions has in its field `function`."""
_NESTED: Final = ("content", "output", "tool_calls")
"""The fields with further objects."""


def _known(**fields: str) -> _Known:
    return {kind: frozenset(f"type {names}".split()) for kind, names in fields.items()}


_CONVERSATION: Final[Mapping[Api, _Known]] = {
    "chat_completions": _known(
        message="role content name tool_calls tool_call_id refusal copilot_cache_control "
        "reasoning_text reasoning_opaque cot_id cot_summary thinking signature encrypted_content "
        "phase",
        text="text prompt_cache_breakpoint",
        image_url="image_url prompt_cache_breakpoint",
        function="id function",
        definition="name arguments thought_signature",
    ),
    "responses": _known(
        message="id role content status phase",
        input_text="text prompt_cache_breakpoint",
        input_image="image_url file_id detail prompt_cache_breakpoint",
        input_file="file_data file_id file_url filename detail prompt_cache_breakpoint",
        output_text="text annotations logprobs",
        refusal="refusal",
        reasoning="id summary content encrypted_content status",
        function_call="id call_id name namespace arguments status caller async",
        function_call_output="id call_id output status caller name namespace",
        custom_tool_call="id call_id name namespace input status caller async",
        custom_tool_call_output="id call_id output status caller",
    ),
    "messages": _known(
        message="role content",
        text="text citations cache_control",
        image="source cache_control transformations",
        document="source title context citations cache_control",
        thinking="thinking signature",
        redacted_thinking="data",
        tool_use="id name input caller toolset_name cache_control",
        tool_result="tool_use_id content is_error toolset_name cache_control",
    ),
}
"""The fields in the vendors' own references, and those that Copilot adds."""
_TOOLS: Final[Mapping[Api, _Known]] = {
    "chat_completions": _known(
        function="function copilot_cache_control",
        definition="name description parameters strict",
    ),
    "responses": _known(
        function="name description parameters strict defer_loading output_schema allowed_callers "
        "async",
        custom="name description format defer_loading allowed_callers async",
    ),
    "messages": {},  # checked where the betas are known, which allow more fields
}


def drop_unknown(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Drop the fields that are not part of the API, as programs keep their own in messages."""
    if profile.fields is None:
        return
    known, dropped = _CONVERSATION[outgoing.api], _Dropped()
    turns = outgoing.turns
    if _may_have_unknown(turns, known):
        kept = [_fitted(turn, _kind(turn, _MESSAGE), known, dropped) for turn in turns]
        if dropped.has_any:
            outgoing.turns = kept
            dropped.note("messages", notes)
    known, dropped = _TOOLS[outgoing.api], _Dropped()
    tools = outgoing.body.get("tools")
    if known and isinstance(tools, list):
        kept = [_fitted(tool, _kind(tool, ""), known, dropped) for tool in tools]
        if dropped.has_any:
            outgoing.body["tools"] = kept
            dropped.note("tools", notes)


def _may_have_unknown(turns: list[Json], known: _Known) -> bool:
    """Return whether an object may have an unknown field; false only if none has one.

    Few of the many objects of a conversation differ in their type and fields.
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
        if value is not None:  # a null means nothing
            self._names.add(name)

    def note(self, where: str, notes: list[str]) -> None:
        if self._names:
            names = ", ".join(sorted(self._names))
            notes.append(f"dropped {names} of some {where}: the model refuses unknown fields")


def _kind(value: Json, default: str) -> str:
    return str(value.get("type") or default)


def _fitted(value: Json, kind: str, known: _Known, dropped: _Dropped) -> Json:
    """Return the value without unknown fields; the same object if there are none."""
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
        definition = _fitted(function, _DEFINITION, known, dropped)
        if definition is not function:
            out = {**out, "function": definition}
    return out


def _child(value: object, known: _Known, dropped: _Dropped) -> object:
    return _fitted(value, _kind(value, ""), known, dropped) if isinstance(value, dict) else value
