"""Server-sent events: the specification's examples, split at every position, and the size limit."""

import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.formats.sse import KEEP_ALIVE, EventDecoder, EventTooLarge, encode
from tests.conftest import RECORDINGS
from tests.selection import crossed, examples

STREAMS = sorted(path.name for path in RECORDINGS.glob("*.sse"))


def decode(*pieces: bytes) -> list[bytes]:
    """Return the data of the events in `pieces`."""
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def every_split(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(data[:at], data[at:]) for at in range(len(data) + 1)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [b"YHOO\n+2\n10"]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
            b"data:  third event\n",
            [b"first event", b"second event"],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [b"", b"\n"]),
        (b"data:test\n\ndata: test\n\n", [b"test", b"test"]),
        (
            b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\ndata: 113411\n\n",
            [b"73857293", b"2153", b"113411"],
        ),
    ],
)
def test_the_specifications_examples(stream: bytes, expected: list[bytes]) -> None:
    """The examples in the HTML standard are decoded as specified, wherever they are split."""
    for pieces in every_split(stream):
        assert expected == decode(*pieces)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data:  two spaces\n\n", [b" two spaces"], id="one space goes"),
        pytest.param(b"data:\n\n", [b""], id="empty data is an event"),
        pytest.param(b"event: lonely\n\ndata: x\n\n", [b"x"], id="no data, no event"),
        pytest.param(b"data: x\nevent: late\n\n", [b"x"], id="the name may come last"),
        pytest.param(b": a\n:b\ndata: x\n: c\n\n", [b"x"], id="comments"),
        pytest.param(b"retry: 5\nid: 7\nfoo: y\nbar\ndata: x\n\n", [b"x"], id="other fields"),
        pytest.param(b"Data: x\n data: x\ndatax: x\n\n", [], id="names are exact"),
        pytest.param(b"\n\n\ndata: x\n\n\n\n", [b"x"], id="blank lines"),
        pytest.param(b"data: a:b: c\n\n", [b"a:b: c"], id="colons in the value"),
        pytest.param(b"data: x", [], id="an unfinished line is no event"),
        pytest.param(b"data: x\n", [], id="an unfinished event is no event"),
        pytest.param(b"\xef\xbb\xbfdata: x\n\n", [b"x"], id="a BOM is skipped"),
        pytest.param(b"data: \xef\xbb\xbf\n\n", [b"\xef\xbb\xbf"], id="a BOM inside stays"),
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", [], id="only one BOM is skipped"),
        pytest.param(b"\xef\xbbdata: x\n\n", [], id="half a BOM is none"),
        pytest.param(b"data: \xff\xfe\x00\n\n", [b"\xff\xfe\x00"], id="any bytes"),
        pytest.param(b"event: \xff\ndata: x\n\n", [b"x"], id="any bytes in a name"),
        pytest.param("data: a\u2028b\x85c\x0bd\n\n".encode(), ["a\u2028b\x85c\x0bd".encode()],
                     id="only CR and LF end lines"),
    ],
)  # fmt: skip
def test_odd_streams(stream: bytes, expected: list[bytes]) -> None:
    """Unusual but valid streams are decoded the same way, wherever they are split."""
    for pieces in every_split(stream):
        assert expected == decode(*pieces)
    assert expected == decode(*(bytes([byte]) for byte in stream))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\rdata: b\r\rdata: c\r\r", [b"a\nb", b"c"]),
        (b"data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", [b"a\nb", b"c"]),
        (b"data: a\n\r\ndata: b\r\n\rdata: c\r\n\n", [b"a", b"b", b"c"]),
        (b"data: a\r\n\ndata: b\n\rdata: c\r\r\n", [b"a", b"b", b"c"]),
        (b"\r\n\r\ndata: a\n\r", [b"a"]),
    ],
)
def test_line_ends(stream: bytes, expected: list[bytes]) -> None:
    """CR, LF and CRLF all end a line, and a split CRLF ends only one."""
    for pieces in every_split(stream):
        assert expected == decode(*pieces)
    assert expected == decode(*(bytes([byte]) for byte in stream))
    assert expected == decode(*(piece for byte in stream for piece in (bytes([byte]), b"")))


def test_a_carriage_return_ends_the_event_at_once() -> None:
    """An event that ends in CR is returned without waiting for a possible LF."""
    decoder = EventDecoder()

    assert [b"x"] == decoder.feed(b"data: x\r\r")
    assert [] == decoder.feed(b"\n")
    assert [b"y"] == decoder.feed(b"data: y\r\r")


@crossed(line_end=[b"\n", b"\r\n", b"\r"], name=STREAMS)
def test_recordings_cut_anywhere(name: str, line_end: bytes) -> None:
    """A recorded stream has the same events with any line ending, wherever it is split."""
    data = (RECORDINGS / name).read_bytes().rstrip(b"\n") + b"\n\n"
    frames = [frame + b"\n\n" for frame in data.split(b"\n\n")[:-1]]
    expected = [frame[6:-2] for frame in frames]
    frames = [frame.replace(b"\n", line_end) for frame in frames]

    assert expected == decode(b"".join(frames))
    assert expected == decode(*(bytes([byte]) for byte in b"".join(frames)))
    # Each event is decoded independently, so splitting each pair of neighbors is enough.
    for (one, two), wanted in zip(pairwise(frames), pairwise(expected), strict=True):
        for at in range(len(one) + 1):
            assert list(wanted) == decode(one[:at], one[at:] + two)


def test_the_limit_holds_for_an_endless_line() -> None:
    """A line with more bytes than the limit raises an error."""
    decoder = EventDecoder(limit=100)

    assert [] == decoder.feed(b"data: " + b"x" * 94)
    with pytest.raises(EventTooLarge, match="more than 100 bytes"):
        decoder.feed(b"x")


@pytest.mark.parametrize("line", [b"data: xxxxxxxx\n", b"data:\n", b"data\n"])
def test_the_limit_holds_for_endless_lines(line: bytes) -> None:
    """An event with too many lines raises an error, even if the lines are empty."""
    decoder = EventDecoder(limit=100)

    with pytest.raises(EventTooLarge):
        for _ in range(102):
            decoder.feed(line)


def test_the_limit_is_for_one_event() -> None:
    """Any number of events and comments is accepted if each is within the limit."""
    decoder = EventDecoder(limit=40)
    stream = (b"data: " + b"x" * 30 + b"\n\n: still here, and saying so\n") * 50

    events = [event for byte in stream for event in decoder.feed(bytes([byte]))]

    assert [b"x" * 30] * 50 == events


def test_a_line_is_counted_once() -> None:
    """A line counts the same toward the limit whether it arrives whole or in pieces."""
    for pieces in every_split(b"data: " + b"x" * 60 + b"\n"):
        decoder = EventDecoder(limit=100)
        for piece in pieces:
            decoder.feed(piece)

        assert [b"x" * 60] == decoder.feed(b"\n")


def test_endless_comments_are_not_an_event() -> None:
    """Comment lines do not add up to an event that is too large."""
    decoder = EventDecoder(limit=100)

    for _ in range(100):
        assert [] == decoder.feed(b": keep-")
        assert [] == decoder.feed(b"alive\n")


def test_a_long_line_in_small_pieces_is_linear_work() -> None:
    """Each piece of a 20 MB line is stored once, without copying the earlier pieces."""
    piece, pieces = b"x" * 8192, 2560
    decoder = EventDecoder(limit=2**30)
    decoder.feed(b"data: ")
    peak = 0
    tracemalloc.start()
    try:
        for _ in range(pieces):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            assert [] == decoder.feed(piece)
            peak = max(peak, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()

    (event,) = decoder.feed(b"\n\n")
    assert len(piece) * pieces == len(event)
    assert peak < 10 * len(piece)


def test_the_default_limit_is_above_any_real_event() -> None:
    """The default limit accepts events of a few megabytes."""
    (event,) = EventDecoder().feed(b"data: " + b"x" * 5_000_000 + b"\n\n")

    assert 5_000_000 == len(event)


def test_encoding() -> None:
    """An event is encoded as an optional name, a data line and a blank line."""
    assert b"data: {}\n\n" == encode(b"{}")
    assert b"event: error\ndata: {}\n\n" == encode(b"{}", "error")
    assert b": keep-alive\n\n" == KEEP_ALIVE
    assert [] == decode(KEEP_ALIVE)


@pytest.mark.parametrize(
    "name",
    [
        "a\nb",
        "a\r",
        "a: b",
        " a",
        "a\0",
        "ä",
        "\ud800",
        "a" * 101,
        "x\n\nevent: message_stop\ndata: {}",
    ],
)
def test_names_with_line_breaks_are_left_out(name: str) -> None:
    """An event name with a line break is left out, since it could inject an event.

    Names may come from upstream, and the data contains the type as well.
    """
    assert b"data: {}\n\n" == encode(b"{}", name)


@pytest.mark.parametrize(
    "name", ["message_start", "response.output_text.delta", "response.mcp_call.in_progress"]
)
def test_names_of_existing_events(name: str) -> None:
    """Names of existing events are sent."""
    assert f"event: {name}\ndata: {{}}\n\n".encode() == encode(b"{}", name)


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)


@examples(60)
@given(st.lists(st.tuples(LINE, LINE), max_size=8), st.data())
def test_encoded_events_are_decoded_unchanged(
    events: list[tuple[str, str]], data: st.DataObject
) -> None:
    """Any list of events is the same after encoding, splitting and decoding."""
    stream = b"".join(encode(text.encode(), name) for name, text in events)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]

    assert [text.encode() for _, text in events] == decode(*pieces)


@examples(100)
@given(
    st.lists(
        st.sampled_from(
            [b"data", b"event", b":", b" ", b"\r", b"\n", b"x", b"\xef\xbb\xbf", b"\xff"]
        ),
        max_size=30,
    ),
    st.data(),
)
def test_splitting_does_not_matter(parts: list[bytes], data: st.DataObject) -> None:
    """Any bytes are decoded the same way, whole or in pieces."""
    stream = b"".join(parts)
    at = data.draw(st.integers(0, len(stream)))

    assert decode(stream) == decode(stream[:at], stream[at:])
    assert decode(stream) == decode(*(bytes([byte]) for byte in stream))
