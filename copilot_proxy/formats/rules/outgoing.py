"""The view through which rules read and change a request body: one interface for three APIs.

Each API implements `OutgoingBody` in ``formats/API/outgoing.py``, so that a rule is written only
once. The view owns the body: its messages, blocks, calls and tools are copies that may be changed
in place. Parts of a message are shared with the client's request: they are replaced, not changed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.kinds import Kinds, kinds_of
from copilot_proxy.formats.model_profiles import Api
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.rules.body_parts import OfferedTool, Segment
from copilot_proxy.formats.types import Json, UpstreamBody


class OutgoingBody(ABC):
    """The view of one request; `body` is what is sent to Copilot.

    For features that an API lacks, the properties are empty and the methods do nothing.
    """

    api: ClassVar[Api]
    turns_key: ClassVar[str]
    """The field of the body that holds the messages or items."""
    limit_fields: ClassVar[tuple[str, ...]]
    """The names of the output limit; the first one present counts."""
    stop_field: ClassVar[str]
    call_id_key: ClassVar[str]
    input_key: ClassVar[str]
    """The key of a call's arguments: ``arguments`` for JSON text, ``input`` for an object."""
    result_id_key: ClassVar[str]
    results_follow: ClassVar[bool] = True
    """Whether results must directly follow their calls; otherwise they may come anywhere later."""
    results_share_a_message: ClassVar[bool] = False
    """Whether the results of one message's calls must be in one message as well."""
    fields: ClientFields
    """The client's names of fields, for notes."""
    requested_effort: str | None = None
    """The effort that the client asked for, if only this API has forms of thinking."""
    shows_reasoning: bool = False
    """Whether the client shows the model's reasoning."""

    def __init__(
        self,
        body: UpstreamBody,
        fields: ClientFields | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """`kinds` is at least what occurs in the conversation, if it has been found out."""
        self.body = body
        self.fields = fields or self.fields
        is_own = self.fields.is_chat and self.api == "chat_completions"
        self.is_translated = fields is not None and not is_own
        """Whether the client has sent the request in the format of another API."""
        self.tool_names: dict[str, str] = {}
        """The client's names of renamed tools, by the names sent to Copilot."""
        self.property_names: dict[str, dict[str, str]] = {}
        """The client's names of renamed parameters, by the client's name of the tool and the name
        sent to Copilot."""
        self.expects_call = False
        """Whether the client forces a call, but the model is only instructed to make one."""
        self._calls: list[Json] | None = None
        self._results: list[Json] = []
        self._kinds_found = kinds

    # The conversation

    @property
    def turns(self) -> list[Json]:
        """The messages or items; empty if the input is a plain string."""
        self.decode_turns()
        turns = self.body[self.turns_key]
        return turns if isinstance(turns, list) else []

    @turns.setter
    def turns(self, turns: list[Json]) -> None:
        self.body[self.turns_key] = turns
        self._calls = None
        self._kinds_found = None

    def decode_turns(self) -> None:
        """Decode a settled conversation, so that it can be changed."""
        turns = self.body[self.turns_key]
        if isinstance(turns, PlainTurns):
            self.body[self.turns_key] = turns.decoded()

    def last_turns(self, count: int) -> list[Json]:
        """Return the last messages or items, at most `count`, which must not be changed."""
        turns = self.body[self.turns_key]
        is_plain = isinstance(turns, PlainTurns)
        return msgspec.to_builtins(turns[-count:]) if is_plain else self.turns[-count:]

    @property
    def is_settled(self) -> bool:
        """Whether the conversation is known to be accepted, and has not been decoded: no rule has
        to change its calls, results or texts."""
        return isinstance(self.body[self.turns_key], PlainTurns)

    @property
    def kinds(self) -> Kinds:
        """What occurs in the conversation, found out once for all rules."""
        if self._kinds_found is None:
            self._kinds_found = kinds_of(self.turns)
        return self._kinds_found

    @property
    def uses_tools(self) -> bool:
        """Whether the request offers tools, or the conversation has calls or results."""
        if self.is_settled:
            return True  # as good as certain, and the rules about tools find nothing otherwise
        return "tools" in self.body or "tool_choice" in self.body or self._has_calls()

    def _has_calls(self) -> bool:
        return bool(self.calls or self.results)

    @property
    def calls(self) -> list[Json]:
        """The tool calls in the conversation, collected once for all rules; empty if it is
        settled."""
        if self.is_settled:
            return []
        if self._calls is None:
            self._calls, self._results = self._collect()
        return self._calls

    @property
    def results(self) -> list[Json]:
        """The tool results in the conversation."""
        return self._results if self.calls or self._results else []

    @abstractmethod
    def _collect(self) -> tuple[list[Json], list[Json]]: ...

    def function(self, call: Json) -> Json:
        """Return the part of a call that holds its ``name`` and arguments."""
        return call

    @abstractmethod
    def is_paired(self) -> bool:
        """Return whether calls and results are in the order that the API requires; false if in
        doubt."""

    @abstractmethod
    def segments(self) -> list[Segment]:
        """Return the conversation in segments, in order."""

    @abstractmethod
    def rebuild(self, segments: Sequence[Segment]) -> None:
        """Replace the conversation with `segments`."""

    @abstractmethod
    def result(self, id: str, text: str) -> Json:
        """Return a tool result with `text` for the call `id`, as the `raw` of a segment."""

    @abstractmethod
    def orphan(self, raw: Json, label: str) -> Json:
        """Return a result as a user message that begins with `label`, as the `raw` of a segment."""

    @abstractmethod
    def user(self, text: str) -> Json:
        """Return a user message."""

    @abstractmethod
    def contents(self) -> Iterable[Json]:
        """Return the objects whose ``content`` may be a text or a list of parts."""

    def part_lists(self) -> list[tuple[Json, str]]:
        """Return the objects with a list of parts, and the field that it is in."""
        return [(one, "content") for one in self.contents() if isinstance(one.get("content"), list)]

    @abstractmethod
    def drop_empty(self, notes: list[str]) -> None:
        """Drop turns without content."""

    def merge_consecutive_assistants(self) -> int:
        """Merge consecutive assistant messages; return how many were removed."""
        return 0

    def split_calls(self, max_calls: int) -> Sequence[Segment]:
        """Split assistant messages with more than `max_calls` calls; return the original ones."""
        return ()

    def replace_unsigned_calls(self) -> bool:
        """Turn the current turn's unsigned calls into text; return whether there were any."""
        return False

    @property
    @abstractmethod
    def has_instructions(self) -> bool:
        """Whether there is a system prompt."""

    @abstractmethod
    def instruct(self, text: str) -> None:
        """Add an instruction at the end of the system prompt."""

    def role(self, turn: Json) -> str:
        """Return ``system`` (also for ``developer``), ``user``, ``assistant`` or ``tool``."""
        role = turn.get("role")
        return "system" if role == "developer" else str(role)

    def place(self, index: int) -> str:
        """Return the end of a note that says where a message is; empty if it may have moved."""
        return "" if self.is_translated else f": {self.turns_key}[{index}]"

    # Fields

    @property
    def limit(self) -> int | None:
        """The output limit in tokens; None if there is none."""
        name = self.limit_field
        value = self.body.get(name) if name else None
        return value if type(value) is int else None

    @property
    def limit_field(self) -> str | None:
        """The name of the limit in this body; None if it has none."""
        return next((name for name in self.limit_fields if name in self.body), None)

    @property
    def shown_limit(self) -> str | None:
        """The name of the limit in notes."""
        return self.fields.limit or self.limit_field

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        stops = self.body.get(self.stop_field)
        return [stops] if isinstance(stops, str) else list(stops or ())

    @property
    @abstractmethod
    def effort(self) -> str | None:
        """The reasoning effort; None if there is none."""

    @abstractmethod
    def set_effort(self, effort: str | None) -> None:
        """Set the effort; None removes it."""

    # Thinking, which only Claude has in addition to the effort.

    thinking_field: str = ""
    """The name of thinking in notes."""
    budget_field: str = ""
    """The name of its budget in notes."""
    has_own_budget: bool = False
    """Whether the budget was made from an effort, so that notes need not explain it."""
    has_thinking_forms: ClassVar[bool] = False
    """Whether the API has the forms ``enabled``, ``adaptive`` and ``disabled``."""

    @property
    def thinking(self) -> Json | None:
        """The thinking configuration, in the format of Messages."""
        return None

    def set_thinking(self, thinking: Json | None) -> None:  # noqa: B027
        """Set the thinking configuration, in the format of Messages; None removes it."""

    @property
    def thinks(self) -> bool:
        """Whether the request enables thinking."""
        return False

    def disable_thinking(self, reason: str, notes: list[str]) -> None:  # noqa: B027
        """Remove the fields that enable thinking, with a note for each."""

    @property
    def began_without_thinking(self) -> bool:
        """Whether the current turn, which ends with tool results, began without thinking."""
        return False

    # Tools

    @property
    @abstractmethod
    def tools(self) -> list[OfferedTool]:
        """The tools that the model may call."""

    @property
    def other_tools(self) -> Iterable[Json]:
        """The definitions of tools that have a ``name`` but no schema."""
        return ()

    def lift_additional_tools(self) -> bool:
        """Move tools from items of the conversation to the tools; return whether there were any."""
        return False

    def replace_tool_search(self) -> tuple[bool, int]:
        """Turn the client's own search into a function, and offer the tools that it has found.

        Returns whether the model was to search by itself, and how many tools are left out.
        """
        return False, 0

    def flatten_namespaces(self) -> bool:
        """Take tools out of their namespaces, whose names become prefixes; return whether there
        were any."""
        return False

    def replace_custom_tools(self) -> bool:
        """Turn custom tools and their calls into functions; return whether there were any."""
        return False

    def allow_tools(self) -> bool:
        """Keep only the tools that the tool choice allows, and return whether some are left.

        Returns True if the tool choice is not one of several tools.
        """
        return True

    @property
    @abstractmethod
    def forces_tool(self) -> bool:
        """Whether the model is forced to call a tool."""

    @property
    @abstractmethod
    def forced_tool(self) -> str | None:
        """The name of the only tool that the model is forced to call; None if there is none."""

    @abstractmethod
    def set_tool_choice_auto(self) -> None:
        """Let the model choose whether it calls a tool."""

    @abstractmethod
    def rename_choice(self, names: dict[str, str]) -> None:
        """Rename the tools in the tool choice; `names` maps old names to new ones."""

    # The prompt cache

    def mark_stable_prefix(self) -> None:  # noqa: B027
        """Mark what the next request is likely to repeat, unless the client has set marks."""

    def limit_marks(self, max_marks: int, notes: list[str], *, one_hour: bool) -> None:  # noqa: B027
        """Remove the attributes of marks that Copilot refuses, and the marks beyond `max_marks`.

        `one_hour` is whether a mark may ask for one hour instead of five minutes.
        """

    # Structured output

    @property
    def output_schema(self) -> Json | None:
        """The schema of the output; None if there is none."""
        return None

    def set_output_schema(self, schema: Json) -> None:  # noqa: B027
        """Replace the schema of the output."""

    def instruct_schema(self) -> bool:
        """Turn the output schema into an instruction; return whether there was one."""
        return False
