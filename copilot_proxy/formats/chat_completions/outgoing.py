"""The view through which rules read and change a Chat Completions body."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from copilot_proxy.formats.chat_completions import cache_control
from copilot_proxy.formats.chat_completions.split_calls import split_calls
from copilot_proxy.formats.chat_completions.tool_choice import apply_allowed_tools, tool_name
from copilot_proxy.formats.chat_completions.unsigned_calls import replace_unsigned_calls
from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.custom_tools import custom_arguments, function_of
from copilot_proxy.formats.paired_calls import CALL, RESULT, TURN, Steps
from copilot_proxy.formats.rules.body_parts import OfferedTool, Segment
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.system_messages import placed
from copilot_proxy.formats.types import Json

_CALL_FIELDS: Final = ("tool_calls", "tool_call_id")
"""The fields of messages that contain calls or the result of a call."""


class ChatBody(OutgoingBody):
    """A view of a Chat Completions body; see `OutgoingBody`."""

    api = "chat_completions"
    turns_key = "messages"
    limit_fields = ("max_completion_tokens", "max_tokens")
    stop_field = "stop"
    fields = ClientFields()
    thinking_field = budget_field = "thinking_budget"
    call_id_key, input_key, result_id_key = "id", "arguments", "tool_call_id"
    results_in_order = True

    def _has_calls(self) -> bool:
        return not self.kinds.fields.isdisjoint(_CALL_FIELDS)

    def _collect(self) -> tuple[list[Json], list[Json]]:
        calls: list[Json] = []
        results: list[Json] = []
        for message in self.turns:
            if message["role"] == "tool":
                results.append(message)
            elif message.get("tool_calls"):
                calls += message["tool_calls"]
        return calls, results

    def function(self, call: Json) -> Json:
        function: Json = call.get("function") or call["custom"]
        return function

    def _steps(self) -> Steps:
        for message in self.turns:
            if message["role"] == "tool":
                yield RESULT, message["tool_call_id"]
                continue
            yield TURN
            for call in message.get("tool_calls") or ():
                yield CALL, call["id"]

    def segments(self) -> list[Segment]:
        return [_segment(message, index) for index, message in enumerate(self.turns)]

    def rebuild(self, segments: Sequence[Segment]) -> None:
        self.turns = [segment.raw for segment in segments]

    def result(self, id: str, text: str) -> Json:
        return {"role": "tool", "tool_call_id": id, "content": text}

    def orphan(self, raw: Json, label: str) -> Json:
        content = raw["content"]
        if isinstance(content, str):
            return self.user(f"{label}\n{content}")
        return {"role": "user", "content": [{"type": "text", "text": label}, *content]}

    def user(self, text: str) -> Json:
        return {"role": "user", "content": text}

    def contents(self) -> Iterable[Json]:
        # A tool result that is a string may be blank, since a command may have printed nothing.
        return [
            message
            for message in self.turns
            if message["role"] != "tool" or isinstance(message["content"], list)
        ]

    def drop_empty(self, notes: list[str]) -> None:
        remaining = []
        for message in self.turns:
            if not message.get("content"):
                if message["role"] == "tool":
                    message["content"] = ""
                elif message["role"] == "assistant" and message.get("tool_calls"):
                    message["content"] = None
                else:
                    notes.append(f"dropped an empty {message['role']} message")
                    continue
            remaining.append(message)
        if len(remaining) < len(self.turns):
            self.turns = remaining

    def merge_consecutive_assistants(self) -> int:
        merged: list[Json] = []
        for message in self.turns:
            if merged and message["role"] == merged[-1]["role"] == "assistant":
                merged[-1] = _merged(merged[-1], message)
            else:
                merged.append(message)
        count = len(self.turns) - len(merged)
        if count:
            self.turns = merged
        return count

    def split_calls(self, max_calls: int) -> Sequence[Segment]:
        calling = [message["tool_calls"] for message in self.turns if message.get("tool_calls")]
        if all(len(calls) <= max_calls for calls in calling):
            return ()
        segments = self.segments()
        long = [segment for segment in segments if len(segment.ids) > max_calls]
        self.turns = split_calls(self.turns, max_calls)
        return long

    def replace_unsigned_calls(self) -> bool:
        before = self.turns
        self.turns = replace_unsigned_calls(before)
        return self.turns is not before

    def move_system_to_front(self) -> bool:
        systems = [turn for turn in self.turns if self.role(turn) == "system"]
        others = [turn for turn in self.turns if self.role(turn) != "system"]
        if self.turns[: len(systems)] == systems:
            return False
        self.turns = [*systems, *others]
        return True

    def place_system(self, text: str) -> tuple[bool, int]:
        roles = [self.role(turn) for turn in self.turns]
        start = next((i for i, role in enumerate(roles) if role != "system"), len(roles))
        later = placed(self.turns[start:], self.role, lambda: self.user(text))
        if later.is_moved or later.added:
            self.turns = [*self.turns[:start], *later.messages]
        return later.is_moved, later.added

    @property
    def has_instructions(self) -> bool:
        return any(self.role(message) == "system" for message in self.turns)

    def instruct(self, text: str) -> None:
        roles = [self.role(message) for message in self.turns]
        at = next((i for i, role in enumerate(roles) if role != "system"), len(roles))
        message = {"role": "system", "content": text}
        self.turns = [*self.turns[:at], message, *self.turns[at:]]

    @property
    def effort(self) -> str | None:
        effort = self.body.get("reasoning_effort")
        return effort if isinstance(effort, str) else None

    def set_effort(self, effort: str | None) -> None:
        if effort is None:
            del self.body["reasoning_effort"]
        else:
            self.body["reasoning_effort"] = effort

    @property
    def thinking(self) -> Json | None:
        if (budget := self.body.get("thinking_budget")) is None:
            return None  # the usual case, checked by several rules
        return {"type": "enabled", "budget_tokens": budget} if type(budget) is int else None

    def set_thinking(self, thinking: Json | None) -> None:
        self.body.pop("thinking_budget", None)
        if thinking is not None:
            self.body["thinking_budget"] = thinking["budget_tokens"]

    @property
    def thinks(self) -> bool:
        return self.thinking is not None or self.effort not in (None, "none")

    def disable_thinking(self, reason: str, notes: list[str]) -> None:
        names = {"reasoning_effort": self.fields.effort, "thinking_budget": "thinking_budget"}
        for name, shown in names.items():
            if self.body.pop(name, None) is not None:
                notes.append(f"dropped {shown}: {reason}")

    @property
    def tools(self) -> list[OfferedTool]:
        tools = [tool["function"] for tool in self.body.get("tools") or () if "function" in tool]
        return [OfferedTool(function, "parameters") for function in tools]

    @property
    def other_tools(self) -> Iterable[Json]:
        return [tool["custom"] for tool in self.body.get("tools") or () if "custom" in tool]

    def replace_custom_tools(self) -> bool:
        for call in [call for call in self.calls if "custom" in call]:
            if custom := call.pop("custom"):
                custom["arguments"] = custom_arguments(custom.pop("input"))
                call.update(type="function", function=custom)
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict):
            self.body["tool_choice"] = _function_choice(choice)
        tools = self.body.get("tools") or []
        if all("custom" not in tool for tool in tools):
            return False
        self.body["tools"] = [_function_tool(tool) for tool in tools]
        return True

    def allow_tools(self) -> bool:
        before = self.body.get("tool_choice")
        tools, choice = apply_allowed_tools(self.body.get("tools") or [], before)
        if choice is before:
            return True
        self.body.update(tools=tools, tool_choice=choice)
        return bool(tools)

    @property
    def forces_tool(self) -> bool:
        choice = self.body.get("tool_choice")
        return choice == "required" or isinstance(choice, dict)

    @property
    def forced_tool(self) -> str | None:
        choice = self.body.get("tool_choice")
        function = choice.get("function") if isinstance(choice, dict) else None
        name = function.get("name") if isinstance(function, dict) else None
        return name if isinstance(name, str) else None

    def set_tool_choice_auto(self) -> None:
        self.body["tool_choice"] = "auto"

    def rename_choice(self, names: dict[str, str]) -> None:
        choice = self.body.get("tool_choice")
        name = tool_name(choice)
        if isinstance(choice, dict) and name in names:
            kind = "custom" if "custom" in choice else "function"
            self.body["tool_choice"] = {**choice, kind: {**choice[kind], "name": names[name]}}

    def mark_stable_prefix(self) -> None:
        cache_control.mark_stable_prefix(self.turns)

    def limit_marks(self, max_marks: int, notes: list[str], *, one_hour: bool) -> None:
        # A one-hour TTL is known to be accepted only on Messages.
        cache_control.limit_marks(self.turns, max_marks, notes)


def _segment(message: Json, index: int) -> Segment:
    if message["role"] == "tool":
        return Segment("result", (message["tool_call_id"],), message, index)
    if message["role"] == "assistant":
        ids = tuple(call["id"] for call in message.get("tool_calls") or ())
        return Segment("assistant", ids, message, index)
    return Segment("other", (), message, index)


def _function_tool(tool: Json) -> Json:
    if "custom" not in tool:
        return tool
    others = {name: value for name, value in tool.items() if name != "custom"}
    return {**others, "type": "function", "function": function_of(tool["custom"])}


def _function_choice(choice: Json) -> Json:
    if not isinstance(choice.get("custom"), dict):
        return choice
    return {"type": "function", "function": {"name": choice["custom"].get("name")}}


def _merged(one: Json, other: Json) -> Json:
    merged = {**one, **{name: value for name, value in other.items() if value is not None}}
    merged["content"] = _merged_content(one.get("content"), other.get("content"))
    if one.get("tool_calls") and other.get("tool_calls"):
        merged["tool_calls"] = [*one["tool_calls"], *other["tool_calls"]]
    for name in ("reasoning_content", "reasoning_text"):
        if one.get(name) and other.get(name):
            merged[name] = f"{one[name]}\n{other[name]}"
    return merged


def _merged_content(one: Any, other: Any) -> Any:
    if not one or not other:
        return one or other
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [*_parts(one), *_parts(other)]


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
