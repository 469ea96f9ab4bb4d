"""A request body on its way to the model, as the rules see it: one view for the three APIs.

A rule asks and changes through this view alone, so that it is written once. Each API has its own
`OutgoingBody`, in ``formats/API/outgoing.py``. The body belongs to the view: its messages, blocks,
calls and tools are copies that may be changed; a part of a message is replaced, never changed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from copilot_proxy.formats.profiles import Api

Json = dict[str, Any]


class OfferedTool(NamedTuple):
    """A tool that the model may call: `function` has its ``name``, and a schema."""

    function: Json
    schema_key: str


class Piece(NamedTuple):
    """A part of the conversation that is kept whole when results are put behind their calls."""

    kind: Literal["assistant", "result", "other"]
    ids: tuple[str, ...]
    """Of the calls that the assistant makes, or of the one call that a result answers."""
    raw: Json
    place: int
    """Of the message that it comes from, as the client counts them."""


class OutgoingBody(ABC):
    """The view of one request; `body` is what goes to Copilot.

    What an API has nothing like is empty here, and does nothing.
    """

    api: ClassVar[Api]
    turns_key: ClassVar[str]
    """Where the body has its messages."""
    limit_fields: ClassVar[tuple[str, ...]]
    """What the limit of the answer may be called; the first that is there counts."""
    stop_field: ClassVar[str]
    conversation_field: ClassVar[str]
    """What the conversation is called where the client is told about it."""
    call_id_key: ClassVar[str]
    input_key: ClassVar[str]
    """Under which a call's function has its arguments: ``arguments``, a text, or ``input``, an
    object."""
    result_id_key: ClassVar[str]
    results_follow: ClassVar[bool] = True
    """Whether results stand right behind the calls they answer; else anywhere behind them."""
    results_share_a_message: ClassVar[bool] = False
    """Whether the results of one message's calls stand in one message, too."""
    effort_field: str
    """What the effort is called where the client is told about it."""

    def __init__(self, body: Json) -> None:
        self.body = body
        self.tool_names: dict[str, str] = {}
        """The client's names of tools by those that Copilot gets in their stead."""
        self._calls: list[Json] | None = None
        self._results: list[Json] = []

    # The conversation

    @property
    def turns(self) -> list[Json]:
        """The messages, or items; empty where the input is a text."""
        turns = self.body[self.turns_key]
        return turns if isinstance(turns, list) else []

    @turns.setter
    def turns(self, turns: list[Json]) -> None:
        self.body[self.turns_key] = turns
        self._calls = None

    @property
    def calls(self) -> list[Json]:
        """The calls in the conversation; collected once for all rules."""
        if self._calls is None:
            self._calls, self._results = self._collect()
        return self._calls

    @property
    def results(self) -> list[Json]:
        """The results in the conversation."""
        return self._results if self.calls or self._results else []

    @abstractmethod
    def _collect(self) -> tuple[list[Json], list[Json]]: ...

    def function(self, call: Json) -> Json:
        """What has the ``name`` and the arguments of a call."""
        return call

    @abstractmethod
    def is_paired(self) -> bool:
        """Whether calls and results stand as the API wants them; quick, and false if in doubt."""

    @abstractmethod
    def pieces(self) -> list[Piece]:
        """The conversation in pieces, in its order."""

    @abstractmethod
    def rebuild(self, pieces: Sequence[Piece]) -> None:
        """Makes the conversation of these pieces."""

    @abstractmethod
    def result(self, id: str, text: str) -> Json:
        """A result, as the `raw` of a piece."""

    @abstractmethod
    def orphan(self, raw: Json, label: str) -> Json:
        """A result as something that the user says: the `raw` of a piece."""

    @abstractmethod
    def user(self, text: str) -> Json:
        """A turn of the user's."""

    @abstractmethod
    def contents(self) -> Iterable[Json]:
        """What may have a text, or a list of parts, as its ``content``."""

    @abstractmethod
    def drop_empty(self, notes: list[str]) -> None:
        """Drops the turns that say nothing."""

    def merge_consecutive_assistants(self) -> int:
        """Makes one message of neighbouring ones of the assistant's; how many went."""
        return 0

    @property
    @abstractmethod
    def has_instructions(self) -> bool:
        """Whether there is a system prompt."""

    def role(self, turn: Json) -> str:
        """``system``, ``user``, ``assistant``, or ``tool``."""
        role = turn.get("role")
        return "system" if role == "developer" else str(role)

    # Fields

    @property
    def limit(self) -> int | None:
        """The limit of the answer, in tokens."""
        name = self.limit_field
        value = self.body.get(name) if name else None
        return value if type(value) is int else None

    @property
    def limit_field(self) -> str | None:
        """What the limit is called in this body; None if it has none."""
        return next((name for name in self.limit_fields if name in self.body), None)

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        stops = self.body.get(self.stop_field)
        return [stops] if isinstance(stops, str) else list(stops or ())

    @property
    @abstractmethod
    def effort(self) -> str | None:
        """How hard the model is to think."""

    @abstractmethod
    def set_effort(self, effort: str | None) -> None:
        """Changes the effort; None takes it away."""

    # Thinking: only Claude's models are told about it beside the effort.

    thinking_field: ClassVar[str] = ""
    budget_field: ClassVar[str] = ""
    has_thinking_forms: ClassVar[bool] = False
    """Whether the API has the forms ``enabled``, ``adaptive`` and ``disabled``."""

    @property
    def thinking(self) -> Json | None:
        """In the form of Messages."""
        return None

    def set_thinking(self, thinking: Json | None) -> None:  # noqa: B027
        """Changes it; None takes it away."""

    @property
    def thinks(self) -> bool:
        """Whether the request switches thinking on."""
        return False

    def disable_thinking(self, reason: str, notes: list[str]) -> None:  # noqa: B027
        """Takes away what switches thinking on."""

    @property
    def began_without_thinking(self) -> bool:
        """Whether results go back to an answer that has no thinking at its beginning."""
        return False

    # Tools

    @property
    @abstractmethod
    def tools(self) -> list[OfferedTool]:
        """The tools that the model may call."""

    @property
    @abstractmethod
    def forces_tool(self) -> bool:
        """Whether the model has to call a tool."""

    @abstractmethod
    def set_tool_choice_auto(self) -> None:
        """Leaves it to the model whether it calls a tool."""

    @abstractmethod
    def rename_choice(self, names: dict[str, str]) -> None:
        """Renames the tools that the choice among them names."""

    # The prompt cache

    def mark_stable(self) -> None:  # noqa: B027
        """Marks what the next request is likely to begin with, where nobody has marked anything."""

    def reduce_marks(self, most: int, notes: list[str]) -> None:  # noqa: B027
        """Takes from the marks what Copilot refuses, and those beyond `most`."""

    # Structured output

    def instruct_schema(self, notes: list[str]) -> None:  # noqa: B027
        """Turns the schema of the answer into an instruction."""
