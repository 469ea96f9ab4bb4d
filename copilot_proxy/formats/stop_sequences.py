"""Ends answers at the stop sequences that the model's API does not accept.

`StopSequences` finds them in text that arrives in chunks. `StopTranslator` uses it on the chunks of
an answer before the client's writer receives them, so stop sequences work the same for every client
API.
"""

import re
from collections.abc import Sequence
from typing import Final

from copilot_proxy.errors import CopilotProxyError, RequestError, UpstreamError
from copilot_proxy.formats.translators import RepeatedEvents, StreamTranslator
from copilot_proxy.formats.types import (
    ChatChunk,
    ChatRequest,
    ChatUsage,
    CopilotUsage,
    Json,
)

STOP_SEQUENCE: Final = "stop_sequence"
"""The field of a chunk's choice that contains the stop sequence that ended the answer. Only writers
see it; it is not part of OpenAI's schema."""
_REASONING: Final = ("reasoning_content", "reasoning_opaque")
_REFUSED: Final = re.compile(r"'stop' is not supported|does not support '?stop\b", re.I)
"""Copilot's error for some GPT models: "Unsupported parameter: 'stop' is not supported with this
model". Other models of the same family accept it, and the catalogue does not distinguish them."""
_MAX_CHARACTERS: Final = 10_000
"""Maximum total characters of all sequences; limited because the text is searched for each one."""


def requested_stops(chat: ChatRequest) -> list[str]:
    """Return the stop sequences of a validated chat request, without duplicates."""
    stop = chat.get("stop")
    if not stop:
        return []
    return list(dict.fromkeys(one for one in ([stop] if isinstance(stop, str) else stop) if one))


def is_refusal(message: str) -> bool:
    """Return whether an error message says that the model does not accept stop sequences."""
    return _REFUSED.search(message) is not None


def check_length(stops: Sequence[str], field: str) -> None:
    """Raise `RequestError` if the sequences are too long to search for in every chunk."""
    if sum(map(len, stops)) > _MAX_CHARACTERS:
        raise RequestError(
            f"The stop sequences have more than {_MAX_CHARACTERS:,} characters in total.",
            param=field,
            code="invalid_value",
            hint="Send fewer or shorter ones: this server has to search the answer for them.",
        )


class StopSequences:
    """Passes on text until the first of several sequences is complete.

    The result does not depend on how the text is split. If the text ends with what may be the start
    of a sequence, that part is held back; it is always shorter than the longest sequence.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found: str | None = None
        """The sequence that ended the text."""

    def feed(self, text: str) -> str:
        """Return the text that can be passed on after `text` has arrived."""
        if self.found is not None:
            return ""
        text = self._held + text
        ends = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if ends:
            # The sequence that is complete first, or the longest if several are.
            _, at, self.found = min(ends)
            self._held = ""
            return text[:at]
        held = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def release(self) -> str:
        """Return the text that was held back. To be called when no more text directly follows."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at the end of `text` are the start of `stop`."""
    longest = min(len(stop) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


class StopTranslator:
    """Passes on the chunks of `reader` up to the first stop sequence in the text.

    Any text, reasoning and tool calls after that sequence are discarded. Once an answer has been
    cut, it counts as finished, so Copilot's stream is only read a little longer, for its token
    counts. If the stream does not end in time, there are no counts. With `names_stop`, the last
    chunk has the field `STOP_SEQUENCE`.
    """

    repeated: RepeatedEvents | None = None
    failure: CopilotProxyError | None = None
    is_complete = False

    def __init__(
        self, reader: StreamTranslator, stops: Sequence[str], *, names_stop: bool = False
    ) -> None:
        self._reader = reader
        self._stops = StopSequences(stops)
        self._names_stop = names_stop
        self._head: ChatChunk = {}
        self._calls: set[int] = set()
        """The indexes of the tool calls before the cut."""
        self._has_failed = False
        self.notes: list[str] | None = None
        self.whole = reader.whole
        self.fail = reader.fail

    @property
    def _is_cut(self) -> bool:
        return self._stops.found is not None

    @property
    def usage(self) -> ChatUsage | None:
        """Copilot's token counts, unless the stream was closed before they were complete."""
        left = self._is_cut and not self._reader.is_finished
        return None if left else self._reader.usage

    @property
    def copilot_usage(self) -> CopilotUsage | None:
        """The cost that GitHub charges, once Copilot has reported it."""
        return self._reader.copilot_usage

    @property
    def is_finished(self) -> bool:
        """Whether the model has finished, or the answer has been cut."""
        return self._is_cut or self._reader.is_finished

    @property
    def finish_reason(self) -> str | None:
        """The reason why the answer ended, as one of OpenAI's finish reasons."""
        return self._cut_reason if self._is_cut else self._reader.finish_reason

    @property
    def has_ended(self) -> bool:
        """Whether Copilot's last event has arrived."""
        return self._has_failed or self._reader.has_ended

    def feed(self, data: object) -> list[ChatChunk]:
        """Return the chunks for one of Copilot's events."""
        if self._has_failed:
            return []
        try:
            chunks = self._reader.feed(data)
        except UpstreamError:
            if not self._is_cut:
                raise
            self._has_failed = True  # the client already has the whole answer
            return []
        return [one for chunk in chunks for one in self._filter(chunk)]

    def close(self, *, done: bool = False) -> list[ChatChunk]:
        """Return the last chunks, with the finish reason and the token counts."""
        try:
            chunks = self._reader.close(done=done)
        except UpstreamError:
            if not self._is_cut:
                raise
            chunks = []
        filtered = [one for chunk in chunks for one in self._filter(chunk)]
        if not self._is_cut:
            return filtered
        texts = [chunk for chunk in filtered if chunk["choices"]]
        counts = [chunk for chunk in filtered if not chunk["choices"]]
        return [*texts, self._cut_end(), *counts]

    @property
    def _cut_reason(self) -> str:
        # A call that precedes the text is complete, and the client must respond to it.
        return "tool_calls" if self._calls else "stop"

    def _filter(self, chunk: ChatChunk) -> list[ChatChunk]:
        """Return the part of a chunk that the client receives. After a cut, that is only the token
        counts, and the rest of any calls that began before the cut."""
        if not chunk["choices"]:
            return [chunk]
        choice = chunk["choices"][0]
        delta = choice["delta"]
        parts = delta.get("tool_calls") or ()
        if self._is_cut:
            known = [part for part in parts if part["index"] in self._calls]
            return [self._chunk({"tool_calls": known})] if known else []
        self._head = chunk
        if text := delta.get("content"):
            return self._filter_text(text, chunk)
        is_over = delta.keys() - {"role", "content"} or choice["finish_reason"]
        held = self._stops.release() if is_over else ""
        self._calls.update(part["index"] for part in parts)
        return [self._chunk({"content": held}), chunk] if held else [chunk]

    def _filter_text(self, text: str, chunk: ChatChunk) -> list[ChatChunk]:
        """Return the chunk with as much of its text as can be shown."""
        choice = chunk["choices"][0]
        delta = {name: value for name, value in choice["delta"].items() if name != "content"}
        shown = self._stops.feed(text)
        if self._is_cut:
            # Reasoning comes before the text, and everything else after it.
            delta = {name: value for name, value in delta.items() if name in _REASONING}
            choice = {**choice, "logprobs": None}
        elif parts := delta.get("tool_calls"):
            self._calls.update(part["index"] for part in parts)
            shown += self._stops.release()
        if shown:
            delta = {"content": shown, **delta}
        if not delta and not choice["logprobs"]:
            return []
        return [{**chunk, "choices": [{**choice, "delta": delta}]}]

    def _cut_end(self) -> ChatChunk:
        """Return the chunk with the finish reason of an answer that has been cut."""
        chunk = self._chunk({}, self._cut_reason)
        if self._names_stop:
            chunk["choices"][0][STOP_SEQUENCE] = self._stops.found
        return chunk

    def _chunk(self, delta: Json, finish_reason: str | None = None) -> ChatChunk:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return {**self._head, "choices": [choice]}
