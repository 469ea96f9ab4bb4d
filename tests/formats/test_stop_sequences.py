"""Stop sequences are found however the text is split, and nothing else is held back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.stop_sequences import StopSequences, StopTranslator

LETTERS = st.text("abn", max_size=12)
STOPS = st.lists(st.text("abn", min_size=1, max_size=5), min_size=1, max_size=3)


def expected(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Return the text before the first stop sequence in a stream of letters, and the sequence."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(st.lists(LETTERS, max_size=5), STOPS)
def test_any_division(pieces: list[str], stops: list[str]) -> None:
    search = StopSequences(stops)
    shown = ""
    written = ""
    for piece in pieces:
        shown += search.feed(piece)
        written += piece
        assert search.found or len(written) - len(shown) < max(map(len, stops))
    shown += search.release()

    assert expected("".join(pieces), stops) == (shown, search.found)


@pytest.mark.parametrize(
    ("text", "shown"), [("the end", "the end"), ("the E", "the "), ("the END", "the ")]
)
def test_only_possible_stop_sequences_are_held_back(text: str, shown: str) -> None:
    assert shown == StopSequences(["END"]).feed(text)


def event(finish: str | None = None, **delta: object) -> dict[str, object]:
    """Return one of Copilot's events."""
    return {"id": "a", "choices": [{"delta": delta, "finish_reason": finish}]}


def test_calls_before_and_after_the_cut() -> None:
    """A call before the stop sequence is complete, even without arguments; later calls are gone."""
    calls = [{"id": name, "function": {"name": name, "arguments": ""}} for name in ("a", "b")]
    translator = StopTranslator(ChatRepair("m", include_usage=True), ["END"])
    events = [
        *translator.feed(event(tool_calls=calls[:1])),
        *translator.feed(event(content="the E")),
        *translator.feed(event(content="ND")),
        *translator.feed(event(tool_calls=calls[1:])),
        *translator.feed(event("tool_calls")),
        *translator.close(done=True),
    ]

    (choice,) = translator.whole(events)["choices"]
    message = choice["message"]
    assert ("the ", "tool_calls") == (message["content"], choice["finish_reason"])
    (call,) = message["tool_calls"]
    assert {"name": "a", "arguments": "{}"} == call["function"]


def test_a_whole_answer() -> None:
    """Reasoning comes before the text, so it is kept; calls and refusals after it are dropped."""
    calls = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]
    whole = {"reasoning_text": "Hm", "content": "the END of", "tool_calls": calls, "refusal": "No"}
    translator = StopTranslator(ChatRepair("m"), ["END"])

    events = translator.feed(event("tool_calls", **whole)) + translator.close(done=True)

    (choice,) = translator.whole(events)["choices"]
    message = {name: value for name, value in choice["message"].items() if value}
    assert "stop" == choice["finish_reason"]
    assert {"role": "assistant", "content": "the ", "reasoning_content": "Hm"} == message
