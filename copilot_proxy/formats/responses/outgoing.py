"""Gives the rules access to the body of a Responses request."""

from collections.abc import Iterable, Sequence

from copilot_proxy.formats.rules.outgoing import OfferedTool, OutgoingBody, Piece
from copilot_proxy.formats.types import Json, ResponsesRequest


class ResponsesBody(OutgoingBody):
    """The view of a Responses body; its items and tools are copies, and its input may be a string.

    `translated` means that the client sent a chat request, so notes use the names of its fields.
    """

    api = "responses"
    turns_key = conversation_field = "input"
    limit_fields = ("max_output_tokens",)
    stop_field = "stop"
    call_id_key, input_key, result_id_key = "call_id", "arguments", "call_id"
    results_follow = False

    def __init__(self, body: ResponsesRequest, *, translated: bool = False) -> None:
        super().__init__(body)
        self.effort_field = "reasoning_effort" if translated else "reasoning.effort"

    def _collect(self) -> tuple[list[Json], list[Json]]:
        items = self.turns
        calls = [item for item in items if item.get("type") == "function_call"]
        results = [item for item in items if item.get("type") == "function_call_output"]
        return calls, results

    def is_paired(self) -> bool:
        unanswered: set[str] = set()
        for item in self.turns:
            kind = item.get("type")
            if kind == "function_call":
                if item["call_id"] in unanswered:
                    return False
                unanswered.add(item["call_id"])
            elif kind == "function_call_output":
                if item["call_id"] not in unanswered:
                    return False
                unanswered.remove(item["call_id"])
        return not unanswered

    def pieces(self) -> list[Piece]:
        return [_piece(item, index) for index, item in enumerate(self.turns)]

    def rebuild(self, pieces: Sequence[Piece]) -> None:
        self.turns = [piece.raw for piece in pieces]

    def result(self, id: str, text: str) -> Json:
        return {"type": "function_call_output", "call_id": id, "output": text}

    def orphan(self, raw: Json, label: str) -> Json:
        output = raw["output"]
        if isinstance(output, list):
            return {**self.user(label), "content": [*self.user(label)["content"], *output]}
        return self.user(f"{label}\n{output}")

    def user(self, text: str) -> Json:
        content = [{"type": "input_text", "text": text}]
        return {"type": "message", "role": "user", "content": content}

    def contents(self) -> Iterable[Json]:
        return [item for item in self.turns if "content" in item]

    def drop_empty(self, notes: list[str]) -> None:
        kept = [item for item in self.turns if item.get("content") not in ("", [])]
        if len(kept) < len(self.turns):
            notes += ["dropped an input item: it is empty"] * (len(self.turns) - len(kept))
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
        tools = [tool for tool in self.body.get("tools") or () if tool.get("type") == "function"]
        return [OfferedTool(tool, "parameters") for tool in tools]

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


def _piece(item: Json, index: int) -> Piece:
    kind = item.get("type")
    if kind == "function_call":
        return Piece("assistant", (item["call_id"],), item, index)
    if kind == "function_call_output":
        return Piece("result", (item["call_id"],), item, index)
    return Piece("other", (), item, index)
