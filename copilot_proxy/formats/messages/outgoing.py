"""A Messages body on its way to the model, as the rules see it."""

from collections.abc import Iterable, Sequence

from copilot_proxy.formats.messages import cache_marks
from copilot_proxy.formats.messages.request import thinks
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.structured_output import instruct_schema
from copilot_proxy.formats.rules.blanks import without_blanks
from copilot_proxy.formats.rules.outgoing import OfferedTool, OutgoingBody, Piece


class MessagesBody(OutgoingBody):
    """The view of a body whose messages, blocks and tools are copies.

    `translated` tells that it was made of a chat request, whose client cannot mark anything for
    the cache. `moved` is how many of the client's first messages are in the system prompt now.
    `marks_end` asks for a mark at the end of the prompt.
    """

    api = "messages"
    turns_key = conversation_field = "messages"
    limit_fields = ("max_tokens",)
    stop_field = "stop_sequences"
    effort_field = "output_config.effort"
    thinking_field = "thinking"
    budget_field = "thinking.budget_tokens"
    has_thinking_forms = True
    call_id_key, input_key, result_id_key = "id", "input", "tool_use_id"
    results_share_a_message = True

    def __init__(
        self, body: Json, *, translated: bool = False, moved: int = 0, marks_end: bool = False
    ) -> None:
        super().__init__(body)
        self._translated = translated
        self._moved = moved
        self._marks_end = marks_end

    def _collect(self) -> tuple[list[Json], list[Json]]:
        calls: list[Json] = []
        results: list[Json] = []
        for message in self.turns:
            if isinstance(message["content"], list):
                for block in message["content"]:
                    if block["type"] == "tool_use":
                        calls.append(block)
                    elif block["type"] == "tool_result":
                        results.append(block)
        return calls, results

    def is_paired(self) -> bool:
        wanted: list[str] = []
        for message in self.turns:
            content = message["content"]
            blocks = content if isinstance(content, list) else ()
            answered = 0
            for place, block in enumerate(blocks):
                if block["type"] == "tool_result":
                    if place != answered or block["tool_use_id"] not in wanted:
                        return False
                    wanted.remove(block["tool_use_id"])
                    answered += 1
            if wanted:
                return False
            wanted = [block["id"] for block in blocks if block["type"] == "tool_use"]
        return not wanted

    def pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        for at, message in enumerate(self.turns):
            place, blocks = at + self._moved, message["content"]
            if message["role"] == "assistant":
                made = blocks if isinstance(blocks, list) else ()
                ids = tuple(block["id"] for block in made if block["type"] == "tool_use")
                pieces.append(Piece("assistant", ids, message, place))
            elif isinstance(blocks, str) or all(b["type"] != "tool_result" for b in blocks):
                pieces.append(Piece("other", (), message, place))
            else:
                pieces += _split(message, place)
        return pieces

    def rebuild(self, pieces: Sequence[Piece]) -> None:
        turns: list[Json] = []
        answer: list[Json] | None = None  # the blocks of the message that answers calls
        for piece in pieces:
            if piece.kind == "result":
                if answer is None:
                    answer = []
                    turns.append({"role": "user", "content": answer})
                answer.append(piece.raw)
            elif answer is not None and piece.raw["role"] == "user":
                answer += _blocks(piece.raw["content"])
            else:
                answer = None
                turns.append(piece.raw)
        self.turns = turns

    def result(self, id: str, text: str) -> Json:
        return {"type": "tool_result", "tool_use_id": id, "content": text}

    def orphan(self, raw: Json, label: str) -> Json:
        blocks = _blocks(raw.get("content") or [])
        return {"role": "user", "content": [{"type": "text", "text": label}, *blocks]}

    def user(self, text: str) -> Json:
        if self._translated:
            return {"role": "user", "content": [{"type": "text", "text": text}]}
        return {"role": "user", "content": text}

    def contents(self) -> Iterable[Json]:
        return [*self.turns, *self.results]

    def drop_empty(self, notes: list[str]) -> None:
        if "system" in self.body:
            self.body["system"] = without_blanks(self.body["system"])
            if not self.body["system"]:
                del self.body["system"]
        for result in self.results:
            if not result.get("content"):
                result.pop("content", None)  # a command may print nothing but a blank line
        kept = [message for message in self.turns if message["content"]]
        if len(kept) == len(self.turns):
            return
        for at, message in enumerate(self.turns):
            if not message["content"] and not self._translated:
                notes.append(f"dropped messages[{at + self._moved}]: it is empty")
        self.turns = kept

    @property
    def has_instructions(self) -> bool:
        # A client of this very API that sends nothing else is told so.
        return self._translated and bool(self.body.get("system"))

    @property
    def effort(self) -> str | None:
        effort = (self.body.get("output_config") or {}).get("effort")
        return effort if isinstance(effort, str) else None

    def set_effort(self, effort: str | None) -> None:
        config = {**(self.body.get("output_config") or {}), "effort": effort}
        config = {name: value for name, value in config.items() if value is not None}
        self.body["output_config"] = config
        if not config:
            del self.body["output_config"]

    @property
    def thinking(self) -> Json | None:
        thinking = self.body.get("thinking")
        return thinking if isinstance(thinking, dict) else None

    def set_thinking(self, thinking: Json | None) -> None:
        self.body.pop("thinking", None)
        if thinking is not None:
            self.body["thinking"] = thinking

    @property
    def thinks(self) -> bool:
        return thinks(self.body)

    def disable_thinking(self, reason: str, notes: list[str]) -> None:
        self.set_thinking(None)
        notes.append(f"dropped thinking: {reason}")

    @property
    def began_without_thinking(self) -> bool:
        messages = self.turns
        if len(messages) < 2 or not isinstance(messages[-1]["content"], list):
            return False
        if not any(block["type"] == "tool_result" for block in messages[-1]["content"]):
            return False
        before = messages[-2]
        if before["role"] != "assistant" or not isinstance(before["content"], list):
            return False
        first = before["content"][0]["type"] if before["content"] else ""
        return first not in ("thinking", "redacted_thinking")

    @property
    def tools(self) -> list[OfferedTool]:
        return [OfferedTool(tool, "input_schema") for tool in self.body.get("tools") or ()]

    @property
    def forces_tool(self) -> bool:
        choice = self.body.get("tool_choice")
        return isinstance(choice, dict) and choice.get("type") in ("any", "tool")

    def set_tool_choice_auto(self) -> None:
        kept = {k: v for k, v in self.body["tool_choice"].items() if k not in ("type", "name")}
        self.body["tool_choice"] = {"type": "auto", **kept}

    def rename_choice(self, names: dict[str, str]) -> None:
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("name") in names:
            self.body["tool_choice"] = {**choice, "name": names[choice["name"]]}

    def mark_stable(self) -> None:
        if self._marks_end:
            cache_marks.mark_end(self.turns[-1])
        elif self._translated and not cache_marks.has_marks(self.body):
            cache_marks.mark_stable(self.body)

    def reduce_marks(self, most: int, notes: list[str]) -> None:
        cache_marks.reduce_marks(self.body, most, notes)

    def instruct_schema(self, notes: list[str]) -> None:
        instruct_schema(self.body, notes)


def _split(message: Json, place: int) -> list[Piece]:
    """Results one by one, and what stands between them."""
    pieces: list[Piece] = []
    rest: list[Json] = []
    for block in message["content"]:
        if block["type"] != "tool_result":
            if not rest:
                pieces.append(Piece("other", (), {**message, "content": rest}, place))
            rest.append(block)
            continue
        rest = []
        pieces.append(Piece("result", (str(block["tool_use_id"]),), block, place))
    return pieces


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
