"""The view through which rules read and change a Responses body."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from copilot_proxy.formats.client_fields import RESPONSES_FIELDS, ClientFields
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.paired_calls import CALL, RESULT, Steps
from copilot_proxy.formats.responses.tool_changes import (
    apply_allowed_tools,
    flatten_namespaces,
    lift_additional_tools,
    replace_custom_tools,
)
from copilot_proxy.formats.responses.tool_lists import function_tools
from copilot_proxy.formats.responses.tool_search import replace_tool_search
from copilot_proxy.formats.responses.tools import ToolNames
from copilot_proxy.formats.rules.body_parts import OfferedTool, Segment
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json, ResponsesRequest

_OUTPUTS: Final = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "tool_search_call": "tool_search_output",
}
"""Item type of a call -> item type of its result."""
_KINDS: Final[Mapping[object, Literal["assistant", "result"]]] = {
    **dict.fromkeys(_OUTPUTS, "assistant"),
    **dict.fromkeys(_OUTPUTS.values(), "result"),
}
"""Item type -> kind of segment."""
_WITHOUT_TOOLS: Final = (None, "message", "reasoning")
"""Item types that are neither calls nor results, and do not contain tools."""


class ResponsesBody(OutgoingBody):
    """A view of a Responses body. The body's items and tools must be copies.

    `names` are the flat names of the client's tools. `fields` are the client's field names, for a
    translated request.
    """

    api = "responses"
    turns_key = "input"
    limit_fields = ("max_output_tokens",)
    stop_field = "stop"
    fields = RESPONSES_FIELDS
    call_id_key, input_key, result_id_key = "call_id", "arguments", "call_id"
    results_follow = False

    def __init__(
        self,
        body: ResponsesRequest,
        names: ToolNames,
        fields: ClientFields | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        super().__init__(body, fields, kinds)
        self._names = names
        self._kinds: dict[str, str] = {}
        """Call id -> item type of the call."""

    def _collect(self) -> tuple[list[Json], list[Json]]:
        called = [item for item in self.turns if isinstance(item.get("call_id"), str)]
        calls = [item for item in called if item.get("type") in _OUTPUTS]
        return calls, [item for item in called if _KINDS.get(item.get("type")) == "result"]

    def _has_calls(self) -> bool:
        # `calls` is not used here, because the first rules replace items, and because items other
        # than calls can contain tools.
        return any(item.get("type") not in _WITHOUT_TOOLS for item in self.turns)

    def _steps(self) -> Steps:
        for item in self.turns:
            kind = _kind(item)
            if kind is not None:
                yield CALL if kind == "assistant" else RESULT, item["call_id"]

    def segments(self) -> list[Segment]:
        segments = [_segment(item, index) for index, item in enumerate(self.turns)]
        self._kinds = {p.ids[0]: p.raw["type"] for p in segments if p.kind == "assistant"}
        return segments

    def rebuild(self, segments: Sequence[Segment]) -> None:
        self.turns = [segment.raw for segment in segments]

    def result(self, id: str, text: str) -> Json:
        kind = self._kinds.get(id, "")
        if kind == "tool_search_call":
            search: Json = {"execution": "client", "status": "completed", "tools": []}
            return {"type": "tool_search_output", "call_id": id, **search}
        return {"type": _OUTPUTS.get(kind, "function_call_output"), "call_id": id, "output": text}

    def orphan(self, raw: Json, label: str) -> Json:
        output = raw.get("output", "")
        if isinstance(output, list):
            return {**self.user(label), "content": [*self.user(label)["content"], *output]}
        return self.user(f"{label}\n{output}")

    def user(self, text: str) -> Json:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": "user", "content": content}

    def contents(self) -> Iterable[Json]:
        return [item for item in self.turns if "content" in item]

    def part_lists(self) -> list[tuple[Json, str]]:
        outputs = [item for item in self.turns if isinstance(item.get("output"), list)]
        return [*super().part_lists(), *((item, "output") for item in outputs)]

    def drop_empty(self, notes: list[str]) -> None:
        kept = [item for item in self.turns if item.get("content") not in ("", [])]
        if len(kept) < len(self.turns):
            notes += ["dropped an empty input item"] * (len(self.turns) - len(kept))
            self.turns = kept

    def role(self, turn: Json) -> str:
        if (turn.get("type") or "message") == "message":
            return super().role(turn)
        return "tool" if str(turn["type"]).endswith("_output") else "assistant"

    @property
    def has_instructions(self) -> bool:
        return bool(self.body.get("instructions"))

    def instruct(self, text: str) -> None:
        instructions = self.body.get("instructions")
        self.body["instructions"] = f"{instructions}\n\n{text}" if instructions else text

    @property
    def effort(self) -> str | None:
        effort = (self.body.get("reasoning") or {}).get("effort")
        return effort if isinstance(effort, str) else None

    def set_effort(self, effort: str | None) -> None:
        reasoning = {**(self.body.get("reasoning") or {}), "effort": effort}
        reasoning = {name: value for name, value in reasoning.items() if value is not None}
        self.body["reasoning"] = reasoning
        if not reasoning:
            del self.body["reasoning"]

    @property
    def tools(self) -> list[OfferedTool]:
        return [OfferedTool(tool, "parameters") for tool in function_tools(self.body, "function")]

    @property
    def other_tools(self) -> Iterable[Json]:
        return function_tools(self.body, "custom")

    def lift_additional_tools(self) -> bool:
        return lift_additional_tools(self.body)

    def _decode_calls(self) -> None:
        """Decode the items if calls to some tools may need to be changed."""
        if self.is_settled and not self._names.is_plain:
            self.decode_turns()

    def replace_tool_search(self) -> tuple[bool, int]:
        self._decode_calls()
        replaced = replace_tool_search(self.body, self._names)
        self._calls = None
        return replaced

    def flatten_namespaces(self) -> bool:
        self._decode_calls()
        return flatten_namespaces(self.body, self._names)

    def replace_custom_tools(self) -> bool:
        self._decode_calls()
        return replace_custom_tools(self.body)

    def allow_tools(self) -> bool:
        return apply_allowed_tools(self.body)

    @property
    def forces_tool(self) -> bool:
        choice = self.body.get("tool_choice")
        return choice == "required" or isinstance(choice, dict)

    @property
    def forced_tool(self) -> str | None:
        choice = self.body.get("tool_choice")
        name = choice.get("name") if isinstance(choice, dict) else None
        return name if isinstance(name, str) else None

    def set_tool_choice_auto(self) -> None:
        self.body["tool_choice"] = "auto"

    def rename_choice(self, names: dict[str, str]) -> None:
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("name") in names:
            self.body["tool_choice"] = {**choice, "name": names[choice["name"]]}


def _kind(item: Json) -> Literal["assistant", "result"] | None:
    """Return "assistant" for a call, "result" for a result, and None for any other item."""
    kind = _KINDS.get(item.get("type"))
    # Searches that Copilot runs have no call id, and their calls need no result.
    return kind if kind is not None and isinstance(item.get("call_id"), str) else None


def _segment(item: Json, index: int) -> Segment:
    if (kind := _kind(item)) is not None:
        return Segment(kind, (item["call_id"],), item, index)
    return Segment("other", (), item, index)
