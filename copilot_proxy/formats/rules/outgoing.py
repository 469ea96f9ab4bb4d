"""The view through which rules read and change a request body: one interface for three APIs.

Each API implements `OutgoingBody` in ``formats/API/outgoing.py``, so that each rule is only written
once. The view owns the body: its tools and messages are copies that may be changed in place.
"""

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.kinds import Kinds
from copilot_proxy.formats.rules.body_parts import OfferedTool
from copilot_proxy.formats.rules.outgoing_conversation import OutgoingConversation
from copilot_proxy.formats.types import Json, UpstreamBody


class OutgoingBody(OutgoingConversation):
    """A view of a request; `body` is what is sent to Copilot.

    For features that an API lacks, the properties are empty and the methods do nothing.
    """

    limit_fields: ClassVar[tuple[str, ...]]
    """The names of the output limit; the first one present is used."""
    stop_field: ClassVar[str]
    requested_effort: str | None = None
    """The effort that the client requested, if its API has no other way to control thinking."""
    shows_reasoning: bool = False
    """Whether the client shows the model's reasoning."""

    def __init__(
        self,
        body: UpstreamBody,
        fields: ClientFields | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """`kinds` includes all types and fields in the conversation; None if they are not known
        yet."""
        super().__init__(body, fields, kinds)
        self.tool_names: dict[str, str] = {}
        """Name sent to Copilot -> the client's name, for each renamed tool."""
        self.property_names: dict[str, dict[str, str]] = {}
        """Renamed parameters: the client's name of a tool -> parameter name sent to Copilot -> the
        client's parameter name."""
        self.expects_call = False
        """Whether the client forces a call, but the model is only instructed to make one."""

    # Fields

    @property
    def limit(self) -> int | None:
        """The output limit in tokens, or None if there is none."""
        name = self.limit_field
        value = self.body.get(name) if name else None
        return value if type(value) is int else None

    @property
    def limit_field(self) -> str | None:
        """The name of the limit in this body, or None if there is no limit."""
        for name in self.limit_fields:
            if name in self.body:
                return name
        return None

    @property
    def shown_limit(self) -> str | None:
        """The name to use for the limit in notes."""
        return self.fields.limit or self.limit_field

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        stops = self.body.get(self.stop_field)
        return [stops] if isinstance(stops, str) else list(stops or ())

    @property
    @abstractmethod
    def effort(self) -> str | None:
        """The reasoning effort, or None if there is none."""

    @abstractmethod
    def set_effort(self, effort: str | None) -> None:
        """Set the effort, or remove it if None."""

    # Thinking, which only Claude has in addition to the effort.

    thinking_field: str = ""
    """The name to use for thinking in notes."""
    budget_field: str = ""
    """The name to use for the thinking budget in notes."""
    has_own_budget: bool = False
    """Whether the budget was derived from an effort. If so, notes do not mention changes to it."""
    has_thinking_forms: ClassVar[bool] = False
    """Whether the API distinguishes ``enabled``, ``adaptive`` and ``disabled`` thinking."""

    @property
    def thinking(self) -> Json | None:
        """The thinking configuration, in the format of Messages."""
        return None

    def set_thinking(self, thinking: Json | None) -> None:
        """Set the thinking configuration, in the format of Messages, or remove it if None."""

    @property
    def thinks(self) -> bool:
        """Whether the request enables thinking."""
        return False

    def disable_thinking(self, reason: str, notes: list[str]) -> None:
        """Remove the fields that enable thinking, with a note for each."""

    @property
    def started_without_thinking(self) -> bool:
        """Whether the current turn, which ends with tool results, started without thinking."""
        return False

    # Tools

    @property
    def uses_tools(self) -> bool:
        """Whether the request offers tools, or the conversation has calls or results."""
        if self.is_settled:
            return True  # almost always right; if not, the rules about tools find nothing
        return "tools" in self.body or "tool_choice" in self.body or self._has_calls()

    @property
    @abstractmethod
    def tools(self) -> list[OfferedTool]:
        """The tools that the model may call."""

    @property
    def other_tools(self) -> Iterable[Json]:
        """The definitions of tools that have a ``name`` but no schema."""
        return ()

    def lift_additional_tools(self) -> bool:
        """Move tools from conversation items to the request's tools; return whether there were
        any."""
        return False

    def replace_tool_search(self) -> tuple[bool, int]:
        """Convert a tool search that the client runs to a function, and offer the tools that it has
        found.

        Returns whether the model was asked to run the search itself, and the number of tools left
        out.
        """
        return False, 0

    def flatten_namespaces(self) -> bool:
        """Replace namespaces with their tools, under prefixed names; return whether there were
        namespaces."""
        return False

    def replace_custom_tools(self) -> bool:
        """Convert custom tools and their calls to functions; return whether there were custom
        tools."""
        return False

    def allow_tools(self) -> bool:
        """Keep only the tools that the tool choice allows; return whether any are left.

        Returns True if the tool choice is not a list of allowed tools.
        """
        return True

    @property
    @abstractmethod
    def forces_tool(self) -> bool:
        """Whether the model is forced to call a tool."""

    @property
    @abstractmethod
    def forced_tool(self) -> str | None:
        """The name of the specific tool that the model is forced to call, or None."""

    @abstractmethod
    def set_tool_choice_auto(self) -> None:
        """Let the model choose whether to call a tool."""

    @abstractmethod
    def rename_choice(self, names: dict[str, str]) -> None:
        """Rename the tools in the tool choice; `names` maps old names to new ones."""

    # The prompt cache

    def mark_stable_prefix(self) -> None:
        """Mark the prefix that the next request is likely to repeat, unless the client has set
        marks."""

    def limit_marks(self, max_marks: int, notes: list[str], *, one_hour: bool) -> None:
        """Remove from marks the attributes that Copilot refuses, and remove all marks beyond
        `max_marks`.

        If `one_hour` is True, a mark may have a TTL of one hour instead of five minutes.
        """

    # Structured output

    @property
    def output_schema(self) -> Json | None:
        """The schema of the output, or None if there is none."""
        return None

    def set_output_schema(self, schema: Json) -> None:
        """Replace the schema of the output."""

    def instruct_schema(self) -> bool:
        """Convert the output schema to an instruction; return whether there was one."""
        return False
