"""The conversation of a request body, as rules read and change it: one interface for three APIs.

Its messages, blocks and calls are copies that may be changed in place. Parts of a message are
shared with the client's request, so they must be replaced, not changed.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import msgspec

from copilot_proxy.formats.client_fields import ClientFields
from copilot_proxy.formats.kinds import Kinds, kinds_of
from copilot_proxy.formats.model_profiles import Api
from copilot_proxy.formats.paired_calls import Steps, are_paired
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.rules.body_parts import Segment
from copilot_proxy.formats.types import Json, UpstreamBody


class OutgoingConversation(ABC):
    """The messages or items of a request; `body` is what is sent to Copilot."""

    api: ClassVar[Api]
    turns_key: ClassVar[str]
    """The field of the body that holds the messages or items."""
    call_id_key: ClassVar[str]
    input_key: ClassVar[str]
    """The key of a call's arguments: ``arguments`` for JSON text, ``input`` for an object."""
    result_id_key: ClassVar[str]
    results_follow: ClassVar[bool] = True
    """Whether results must directly follow their calls; otherwise, they may come at any later
    point."""
    results_in_order: ClassVar[bool] = False
    """Whether results must be in the order of their calls."""
    results_share_a_message: ClassVar[bool] = False
    """Whether the results of a message's calls must also be in a single message."""
    fields: ClientFields
    """The client's field names, for notes."""

    def __init__(
        self,
        body: UpstreamBody,
        fields: ClientFields | None = None,
        kinds: Kinds | None = None,
    ) -> None:
        """`kinds` includes all types and fields in the conversation; None if they are not known
        yet."""
        self.body = body
        self.fields = fields or self.fields
        is_own = self.fields.is_chat and self.api == "chat_completions"
        self.is_translated = fields is not None and not is_own
        """Whether the client sent the request in the format of another API."""
        self._calls: list[Json] | None = None
        self._results: list[Json] = []
        self._kinds_found = kinds

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
        """Return up to `count` of the last messages or items, which must not be changed."""
        turns = self.body[self.turns_key]
        is_plain = isinstance(turns, PlainTurns)
        return msgspec.to_builtins(turns[-count:]) if is_plain else self.turns[-count:]

    @property
    def is_settled(self) -> bool:
        """Whether the conversation has not been decoded, and is known to be accepted.

        If so, no rule needs to change its calls, results or text.
        """
        return isinstance(self.body[self.turns_key], PlainTurns)

    @property
    def kinds(self) -> Kinds:
        """The types and fields that occur in the conversation, determined once for all rules."""
        if self._kinds_found is None:
            self._kinds_found = kinds_of(self.turns)
        return self._kinds_found

    def _has_calls(self) -> bool:
        return bool(self.calls or self.results)

    @property
    def calls(self) -> list[Json]:
        """The tool calls in the conversation, collected once for all rules; empty if settled."""
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

    def is_paired(self) -> bool:
        """Return whether calls and results are in the order that the API requires; False if in
        doubt."""
        return are_paired(self._steps(), in_order=self.results_in_order)

    @abstractmethod
    def _steps(self) -> Steps:
        """Yield the calls and results, in order."""

    @abstractmethod
    def segments(self) -> list[Segment]:
        """Return the conversation in segments, in order."""

    @abstractmethod
    def rebuild(self, segments: Sequence[Segment]) -> None:
        """Replace the conversation with `segments`."""

    @abstractmethod
    def result(self, id: str, text: str) -> Json:
        """Return a tool result with `text` for the call `id`, to use as a segment's `raw`."""

    @abstractmethod
    def orphan(self, raw: Json, label: str) -> Json:
        """Return the result `raw` as a user message that starts with `label`, to use as a segment's
        `raw`."""

    @abstractmethod
    def user(self, text: str) -> Json:
        """Return a user message."""

    @abstractmethod
    def contents(self) -> Iterable[Json]:
        """Return the objects whose ``content`` may be a string or a list of parts."""

    def part_lists(self) -> list[tuple[Json, str]]:
        """Return each object with a list of parts, and the name of the field with the list."""
        return [(one, "content") for one in self.contents() if isinstance(one.get("content"), list)]

    @abstractmethod
    def drop_empty(self, notes: list[str]) -> None:
        """Drop turns without content."""

    def merge_consecutive_assistants(self) -> int:
        """Merge consecutive assistant messages; return how many were removed."""
        return 0

    def split_calls(self, max_calls: int) -> Sequence[Segment]:
        """Split assistant messages with over `max_calls` calls; return their original segments."""
        return ()

    def replace_unsigned_calls(self) -> bool:
        """Convert the current turn's unsigned calls to text; return whether there were any."""
        return False

    def move_system_to_front(self) -> bool:
        """Move later system messages to the system prompt; return whether any were moved.

        Messages that a client put later in the conversation on purpose are not moved.
        """
        return False

    def place_system(self, text: str) -> tuple[bool, int]:
        """Move later system messages to the next positions that the model accepts.

        If the assistant's next message comes first, insert a user message with `text` before the
        system messages. Returns whether any message was moved, and the number of inserted messages.
        """
        return False, 0

    @property
    @abstractmethod
    def has_instructions(self) -> bool:
        """Whether there is a system prompt."""

    @abstractmethod
    def instruct(self, text: str) -> None:
        """Append an instruction to the system prompt."""

    def instruct_last(self, text: str) -> bool:
        """Append an instruction to the conversation, for this request only.

        The cached prompt stays unchanged. Returns False if nothing was appended, because that is
        unnecessary or impossible.
        """
        return False

    def role(self, turn: Json) -> str:
        """Return ``system`` (also for ``developer``), ``user``, ``assistant`` or ``tool``."""
        role = turn.get("role")
        return "system" if role == "developer" else str(role)

    def location(self, index: int) -> str:
        """Return the end of a note: where a message is, or "" if the message may have moved."""
        return "" if self.is_translated else f": {self.turns_key}[{index}]"
