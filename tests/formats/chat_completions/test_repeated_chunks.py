"""Chunks that are passed on undecoded are identical to decoded ones."""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.sse import EventDecoder
from copilot_proxy.relay.reply import _decode
from tests.conftest import RECORDINGS
from tests.formats.answers import MODEL, NOW, event
from tests.selection import examples

RECORDED = {
    name: [
        data
        for data in EventDecoder().feed((RECORDINGS / name).read_bytes())
        if data.startswith(b"{")
    ]
    for name in (
        "plain-text.sse",
        "tool-call.sse",
        "claude-parallel-tool-calls.sse",
        "gemini-reasoning-tool-call.sse",
    )
}


def written(data: Any) -> bytes:
    """Return an event as Copilot writes it."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


class Stream:
    """The result of a stream of Copilot's events, with and without the shortcut."""

    def __init__(self, batch: Iterable[bytes], *, has_shortcut: bool) -> None:
        self.passed: list[bytes] = []
        """The events that were not decoded."""
        self.chunks: list[Any] = []
        self.error: UpstreamError | None = None
        self._repair = ChatRepair(MODEL, include_usage=True, now=NOW)
        assert self._repair.repeated is not None
        self._repeated = self._repair.repeated
        try:
            for data in batch:
                self._add(data, has_shortcut)
            self.chunks += self._repair.close(done=True)
        except UpstreamError as error:
            self.error = error

    def _add(self, data: bytes, has_shortcut: bool) -> None:
        encoded = self._repeated.translated([data]) if has_shortcut else None
        if encoded is not None:
            self.passed.append(data)
            self.chunks += map(json.loads, encoded)
            return
        decoded = _decode(data)
        chunks = self._repair.feed(decoded)
        self._repeated.learn(data, decoded, chunks)
        self.chunks += chunks

    @property
    def result(self) -> object:
        repair, error = self._repair, self.error
        chunks = re.sub(r"chatcmpl-[0-9a-f]{32}", "made up", json.dumps(self.chunks))
        return chunks, repair.usage, repair.copilot_usage, repair.finish_reason, str(error)


def shortcut(*events: bytes) -> list[bytes]:
    """Return the events that were not decoded, after checking that decoding makes no difference."""
    stream = Stream(events, has_shortcut=True)
    assert stream.result == Stream(events, has_shortcut=False).result
    return stream.passed


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_streams_stay_the_same(name: str) -> None:
    """Most text is passed on without being decoded; tool calls and the end are always decoded."""
    events = RECORDED[name]
    passed = shortcut(*events)

    assert all(b'"tool_calls"' not in data and b'"finish_reason"' not in data for data in passed)
    assert len(passed) > 8 or name != "plain-text.sse"


ONE, TWO = written(event(content="One")), written(event(content=" two"))
KNOWN = ONE, TWO, TWO
"""Events that establish the form of text events.

The first event adds the role, so it has a different form.
"""


@pytest.mark.parametrize(
    "text",
    [
        "three",
        "ä€😀",
        "\x7f",
        '"quoted" and C:\\path',
        "a\tb\nc",
        '","finish_reason":"stop',
        '"content":"',
        "\\u003c",
    ],
)
def test_texts_are_passed_on(text: str) -> None:
    """The client receives the same text, whatever characters it contains."""
    same = written(event(content=text))

    assert [same] == shortcut(*KNOWN, same)


@pytest.mark.parametrize(
    "other",
    [
        ONE.replace(b"One", rb"\ud83d"),
        ONE.replace(b"One", rb"\u12"),
        ONE.replace(b"One", rb"\x"),
        ONE.replace(b"One", b"\\"),
        ONE.replace(b"One", b"a\nb"),
        ONE.replace(b"One", b"\xff"),
        ONE.replace(b"One", "ä".encode()[:1]),
        ONE.replace(b"One", b""),
        ONE.replace(b'"One"', b"null"),
        ONE.replace(b"theirs", b"other"),
        ONE + b"}",
        ONE[:-1],
        written(event(content="One", role="assistant")),
        written(event("stop", content="One")),
        written(event(content="One", usage={"prompt_tokens": 1, "completion_tokens": 1})),
        written(event(content="One", refusal="No")),
        written({**event(content="One"), "copilot_usage": {"total_nano_aiu": 1}}),
        written({"error": {"message": "Broken"}}),
        b"[DONE]",
        b"",
    ],
)
def test_everything_else_is_decoded(other: bytes) -> None:
    """Events that do more than add text are decoded, even if they are repeated."""
    assert [] == shortcut(*KNOWN, other)
    if any(name in other for name in (b"usage", b"finish_reason", b"refusal", b"error")):
        assert [] == shortcut(ONE, other, other, other)


def test_forms_in_turn() -> None:
    """A few forms may alternate, but events are decoded if the form changes with every event."""
    forms = [written({**event(content="a"), "created": number}) for number in range(1, 5)]
    assert forms == shortcut(ONE, *forms, *forms, *forms)

    changing = [written({**event(content="a"), "created": number}) for number in range(1, 100)]
    assert [] == shortcut(*changing)
    assert [TWO] == shortcut(*changing, ONE, ONE, TWO)


PIECES = st.sampled_from(
    [
        b'"',
        b"\\",
        b"{",
        b"}",
        b",",
        b"[",
        b"null",
        rb"\u00e4",
        rb"\ud83d",
        "ä".encode(),
        b"\xc3",
        b"\n",
        b" ",
        b'"content":"x",',
        b'"finish_reason":"stop",',
        b'"usage":{"total_tokens":3},',
        b'"delta":{"content":"y"},',
        b'"tool_calls":[],',
        b'"error":{"message":"no"},',
    ]
)
EDITS = st.tuples(st.floats(0, 1), st.integers(0, 8), st.lists(PIECES, max_size=2))
SOURCES = st.sampled_from([ONE, TWO, *RECORDED["plain-text.sse"][2:5]])
FORMS = st.tuples(SOURCES, st.lists(EDITS, max_size=2))
TEXTS = st.text(max_size=4) | st.sampled_from(['"', "\\", "\ud83d", "\x00", "é"])


def edited(data: bytes, edits: list[tuple[float, int, list[bytes]]]) -> bytes:
    """Return `data` with bytes replaced by others, at relative positions."""
    for place, length, pieces in edits:
        start = round(place * len(data))
        data = data[:start] + b"".join(pieces) + data[start + length :]
    return data


def with_text(data: bytes, text: str, as_ascii: bool) -> bytes:
    """Return `data` with its first text replaced."""
    before, found, after = data.partition(b'"content":"')
    inside = json.dumps(text, ensure_ascii=as_ascii).encode("utf-8", "surrogatepass")[1:-1]
    return before + found + inside + after[after.find(b'"') :] if found else data


@examples(300)
@given(
    st.lists(FORMS, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), TEXTS, st.booleans()), max_size=8),
)
@example([(ONE, [])], [(0, "a", True), (0, "b", True), (0, "\ud83d", True), (0, "c", False)])
def test_damaged_events_stay_the_same(
    forms: list[tuple[bytes, Any]], texts: list[tuple[int, str, bool]]
) -> None:
    """The shortcut changes nothing, whatever events Copilot sends, in whatever order."""
    sources = [edited(data, edits) for data, edits in forms]
    shortcut(*(with_text(sources[n % len(sources)], text, ascii) for n, text, ascii in texts))


@pytest.mark.parametrize("text", ["a\u2028b", "\u2029", "\x85"])
def test_text_at_which_clients_would_end_a_line_is_decoded(text: str) -> None:
    """Characters that some clients take for line ends must be escaped, so the event is decoded."""
    pieces = ["a", "b", "c", "\u00e9", text, "d"]
    batch = [written(event(content=piece)) for piece in pieces]

    stream = Stream(batch, has_shortcut=True)

    assert [batch[3], batch[5]] == stream.passed
    deltas = [choice["delta"] for chunk in stream.chunks for choice in chunk["choices"]]
    assert "".join(pieces) == "".join(delta.get("content", "") for delta in deltas)
