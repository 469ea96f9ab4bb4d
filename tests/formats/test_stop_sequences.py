"""Stop sequences are found in a text however it is divided, and nothing else is held back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.formats.stop_sequences import StopSequences

LETTERS = st.text("abn", max_size=12)
STOPS = st.lists(st.text("abn", min_size=1, max_size=5), min_size=1, max_size=3)


def expected(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Return what is left of a text that is written letter by letter, and what ended it."""
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
def test_only_what_may_be_a_stop_sequence_is_held_back(text: str, shown: str) -> None:
    assert shown == StopSequences(["END"]).feed(text)
