"""Adds a note if a model did not call a tool, although the client required a call.

Some models cannot be forced to call a tool; they receive an instruction instead (`rules.thinking`).
Without the note, an answer without a call would look like any other.
"""

from typing import Final

from copilot_proxy.formats.translators import StreamTranslator
from copilot_proxy.formats.types import ClientEvent
from copilot_proxy.formats.wrapped_translator import WrappedTranslator

_NOTE: Final = "the model did not call a tool, although tool_choice requires a call"


class ExpectedCall(WrappedTranslator):
    """Passes on the events of `translator`, and adds a line to `notes` if they contain no call.

    The events are Chat Completions chunks or Messages events.
    """

    def __init__(self, translator: StreamTranslator, notes: list[str]) -> None:
        super().__init__(translator)
        self._notes = notes
        self._has_call = False

    def close(self, *, done: bool = False) -> list[ClientEvent]:
        events = super().close(done=done)
        if not self._has_call and self.failure is None:
            self._notes.append(_NOTE)
        return events

    def passed(self, event: ClientEvent) -> ClientEvent:
        match event:
            case {"choices": [{"delta": {"tool_calls": [*_]}}]}:
                self._has_call = True
            case {"type": "content_block_start", "content_block": {"type": "tool_use"}}:
                self._has_call = True
        return event
