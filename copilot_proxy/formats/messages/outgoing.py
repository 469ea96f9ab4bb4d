"""The view through which rules read and change a Messages body."""

from collections.abc import Iterable, Sequence

from copilot_proxy.formats.client_fields import MESSAGES_FIELDS, ClientFields
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.messages import cache_control
from copilot_proxy.formats.messages.merging import merged
from copilot_proxy.formats.messages.request import is_thinking_enabled
from copilot_proxy.formats.messages.structured_output import add_instruction, instruct_schema
from copilot_proxy.formats.messages.system import drop_blank_system
from copilot_proxy.formats.messages.unsupported_input import drop_empty_content
from copilot_proxy.formats.paired_calls import CALL, RESULT, TURN, Steps
from copilot_proxy.formats.plain_turns import values_of
from copilot_proxy.formats.rules.body_parts import OfferedTool, Segment
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.system_messages import placed
from copilot_proxy.formats.types import Json, MessagesRequest


class MessagesBody(OutgoingBody):
    """A view of a Messages body. Its messages, blocks and tools must be copies.

    If the body was translated from a chat request, `fields` are the client's field names, and
    `thinking_from` is the field that determined the thinking settings. `moved` is the number of
    leading messages that were moved to the system prompt. `end_mark` is the cache mark for the end
    of the prompt. `shows_reasoning` is True if the client shows the model's reasoning.
    """

    api = "messages"
    turns_key = "messages"
    limit_fields = ("max_tokens",)
    stop_field = "stop_sequences"
    fields = MESSAGES_FIELDS
    thinking_field = "thinking"
    budget_field = "thinking.budget_tokens"
    has_thinking_forms = True
    call_id_key, input_key, result_id_key = "id", "input", "tool_use_id"
    results_share_a_message = True

    def __init__(
        self,
        body: MessagesRequest,
        *,
        fields: ClientFields | None = None,
        kinds: Kinds | None = None,
        thinking_from: str = "thinking",
        moved: int = 0,
        end_mark: Json | None = None,
        shows_reasoning: bool = False,
    ) -> None:
        super().__init__(body, fields, kinds)
        self._translated = fields is not None
        if thinking_from != "thinking":
            self.thinking_field = self.budget_field = thinking_from
        self.has_own_budget = thinking_from == self.fields.effort
        self._moved = moved
        self._end_mark = end_mark
        self._last_instruction: Json | None = None
        self.shows_reasoning = shows_reasoning

    def _collect(self) -> tuple[list[Json], list[Json]]:
        contents = [one["content"] for one in self.turns if isinstance(one["content"], list)]
        blocks = [block for content in contents for block in content]
        calls = [block for block in blocks if block["type"] == "tool_use"]
        return calls, [block for block in blocks if block["type"] == "tool_result"]

    def _steps(self) -> Steps:
        for message in self.turns:
            content, is_user = message["content"], message["role"] != "assistant"
            if not is_user:
                yield TURN
            for block in content if isinstance(content, list) else ():
                if block["type"] == "tool_use":
                    yield CALL, block["id"]
                elif block["type"] == "tool_result":
                    yield RESULT, block["tool_use_id"] if is_user else ""
                elif is_user:
                    yield TURN
            if is_user:
                yield TURN

    def segments(self) -> list[Segment]:
        segments: list[Segment] = []
        for index, message in enumerate(self.turns, self._moved):
            content = message["content"]
            if message["role"] == "assistant":
                blocks = content if isinstance(content, list) else ()
                ids = tuple(block["id"] for block in blocks if block["type"] == "tool_use")
                segments.append(Segment("assistant", ids, message, index))
            elif isinstance(content, str) or all(b["type"] != "tool_result" for b in content):
                segments.append(Segment("other", (), message, index))
            else:
                segments += _split(message, index)
        return segments

    def rebuild(self, segments: Sequence[Segment]) -> None:
        turns: list[Json] = []
        results: list[Json] | None = None  # the blocks of the message with the results
        for segment in segments:
            if segment.kind == "result":
                if results is None:
                    results = []
                    turns.append({"role": "user", "content": results})
                results.append(segment.raw)
            elif results is not None and segment.raw["role"] == "user":
                results += _blocks(segment.raw["content"])
            else:
                results = None
                turns.append(segment.raw)
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
        drop_blank_system(self.body)
        for result in self.results:
            drop_empty_content(result)
        kept = [message for message in self.turns if _has_effect(message)]
        if len(kept) == len(self.turns):
            return
        for index, message in enumerate(self.turns, self._moved):
            if not _has_effect(message) and not self._translated:
                notes.append(f"dropped messages[{index}]: it is empty")
        self.turns = kept if any(message["content"] for message in kept) else []

    def move_system_to_front(self) -> bool:
        if not self._translated or not self._has_system_messages():
            return False  # clients of Messages put them there on purpose
        systems = [one for one in self.turns if one["role"] == "system"]
        self.body["system"] = [
            *self.body.get("system", ()),
            *(block for message in systems for block in message["content"]),
        ]
        self.turns = merged([one for one in self.turns if one["role"] != "system"])
        return True

    def place_system(self, text: str) -> tuple[bool, int]:
        if not self._has_system_messages():
            return False, 0
        messages, is_moved, added = placed(self.turns, self.role, lambda: self.user(text))
        if is_moved or added:
            self.turns = merged(messages) if self._translated else messages
        return is_moved, added

    def _has_system_messages(self) -> bool:
        return "system" in values_of(self.body["messages"], "role")

    @property
    def has_instructions(self) -> bool:
        # Clients of Messages that only send a system prompt receive an error instead.
        return self._translated and bool(self.body.get("system"))

    def instruct(self, text: str) -> None:
        add_instruction(self.body, text)

    def instruct_last(self, text: str) -> bool:
        if "assistant" not in values_of(self.body["messages"], "role"):
            return False
        self._last_instruction = {"role": "system", "content": [{"type": "text", "text": text}]}
        self.turns = [*self.turns, self._last_instruction]
        return True

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
        return is_thinking_enabled(self.body)

    def disable_thinking(self, reason: str, notes: list[str]) -> None:
        self.set_thinking(None)
        notes.append(f"dropped {self.thinking_field}: {reason}")

    @property
    def started_without_thinking(self) -> bool:
        messages = self.last_turns(2)
        if len(messages) < 2 or not isinstance(messages[-1]["content"], list):
            return False
        if not any(block["type"] == "tool_result" for block in messages[-1]["content"]):
            return False
        previous = messages[-2]
        if previous["role"] != "assistant" or not isinstance(previous["content"], list):
            return False
        first = previous["content"][0]["type"] if previous["content"] else ""
        return first not in ("thinking", "redacted_thinking")

    @property
    def tools(self) -> list[OfferedTool]:
        return [OfferedTool(tool, "input_schema") for tool in self.body.get("tools") or ()]

    @property
    def forces_tool(self) -> bool:
        choice = self.body.get("tool_choice")
        return isinstance(choice, dict) and choice.get("type") in ("any", "tool")

    @property
    def forced_tool(self) -> str | None:
        name = (self.body.get("tool_choice") or {}).get("name")
        return name if isinstance(name, str) else None

    def set_tool_choice_auto(self) -> None:
        kept = {k: v for k, v in self.body["tool_choice"].items() if k not in ("type", "name")}
        self.body["tool_choice"] = {"type": "auto", **kept}

    def rename_choice(self, names: dict[str, str]) -> None:
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("name") in names:
            self.body["tool_choice"] = {**choice, "name": names[choice["name"]]}

    def mark_stable_prefix(self) -> None:
        if self._end_mark is not None:
            # The next request will not repeat the last instruction.
            turns = (one for one in reversed(self.turns) if one is not self._last_instruction)
            if (last := next((one for one in turns if one["content"]), None)) is not None:
                cache_control.mark_end(last, self._end_mark)
        elif self._translated and not cache_control.has_marks(self.body):
            cache_control.mark_stable_prefix(self.body)

    def limit_marks(self, max_marks: int, notes: list[str], *, one_hour: bool) -> None:
        cache_control.limit_marks(self.body, max_marks, notes, one_hour=one_hour)

    @property
    def output_schema(self) -> Json | None:
        output_format = (self.body.get("output_config") or {}).get("format")
        schema = output_format.get("schema") if isinstance(output_format, dict) else None
        return schema if isinstance(schema, dict) else None

    def set_output_schema(self, schema: Json) -> None:
        config = self.body["output_config"]
        self.body["output_config"] = {**config, "format": {**config["format"], "schema": schema}}

    def instruct_schema(self) -> bool:
        return instruct_schema(self.body)


def _has_effect(message: Json) -> bool:
    """Return whether a message has content or configures the rest of the conversation."""
    configures = message["role"] == "system" and message.get("output_config") is not None
    return bool(message["content"]) or configures


def _split(message: Json, index: int) -> list[Segment]:
    """Return one segment for each tool result, and one for each sequence of other blocks."""
    segments: list[Segment] = []
    others: list[Json] = []
    for block in message["content"]:
        if block["type"] != "tool_result":
            if not others:
                segments.append(Segment("other", (), {**message, "content": others}, index))
            others.append(block)
            continue
        others = []
        segments.append(Segment("result", (str(block["tool_use_id"]),), block, index))
    return segments


def _blocks(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
