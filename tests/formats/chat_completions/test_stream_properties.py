"""Property-based tests of streams, with random and invalid events."""

import json
import re
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import UpstreamError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.chat_completions.stream_repair import ChatRepair
from copilot_proxy.formats.types import Json
from tests.formats.answers import MODEL, call, calling, calls_of, check_stream, event, message_of
from tests.formats.openai_schemas import check_completion
from tests.selection import examples

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-1e9, 1e9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
LETTERS = st.text('ab{}\n"', max_size=4)
REASONS = st.sampled_from(["stop", "length", "tool_calls", "content_filter", "error", "odd", ""])


def maybe_broken(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, strategy, JSON)


def an_object(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw an object with some of the fields, each of which may have any value."""
    return st.fixed_dictionaries({}, optional={k: maybe_broken(v) for k, v in fields.items()})


FRAGMENTS = st.lists(
    maybe_broken(
        an_object(
            index=st.integers(-1, 3),
            id=st.sampled_from(["", "a", "b", "c"]),
            type=st.just("function"),
            function=an_object(name=st.sampled_from(["", "f", "g"]), arguments=LETTERS),
        )
    ),
    max_size=3,
)
DELTAS = an_object(
    role=st.just("assistant"),
    content=LETTERS,
    refusal=LETTERS,
    reasoning_text=LETTERS,
    reasoning_opaque=LETTERS,
    tool_calls=FRAGMENTS,
)
CHOICES = st.lists(
    maybe_broken(
        an_object(
            index=st.integers(0, 2),
            delta=DELTAS,
            message=DELTAS,
            finish_reason=REASONS,
            logprobs=an_object(content=st.lists(JSON, max_size=2), refusal=st.none()),
        )
    ),
    max_size=3,
)
COUNTS = st.integers(-1, 9)
USAGES = an_object(
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    total_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    input_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
    prompt_tokens_details=an_object(cached_tokens=COUNTS, cache_creation_input_tokens=COUNTS),
    completion_tokens_details=an_object(reasoning_tokens=COUNTS),
)
BLOCKS = an_object(
    type=st.sampled_from(["text", "thinking", "tool_use", "odd"]),
    text=LETTERS,
    thinking=LETTERS,
    id=st.sampled_from(["a", "b"]),
    name=st.just("f"),
    input=JSON,
)
EVENTS = st.one_of(
    an_object(
        id=st.sampled_from(["", "x", "y"]),
        created=st.integers(-1, 2),
        model=st.just("m"),
        system_fingerprint=st.just("fp"),
        choices=CHOICES,
        usage=USAGES,
        copilot_usage=an_object(total_nano_aiu=COUNTS),
    ),
    an_object(content=st.lists(maybe_broken(BLOCKS)), stop_reason=REASONS, usage=USAGES),
    JSON,
)
FINISH = st.builds(event, REASONS)


@examples(250)
@given(st.lists(EVENTS, max_size=5), st.lists(FINISH, max_size=1), st.booleans())
def test_any_events_are_a_valid_stream_or_an_upstream_error(
    events: list[Any], finish: list[Any], include_usage: bool
) -> None:
    """Any events result in a valid stream or an `UpstreamError`."""
    stream = ChatRepair(MODEL, include_usage=include_usage)
    chunks = []
    try:
        for data in [*events, *finish]:
            chunks += stream.feed(data)
        chunks += stream.close()
    except UpstreamError:
        return

    check_stream(chunks, include_usage=include_usage)
    check_completion(completion_from_chunks(chunks))


ARGUMENTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=5), max_size=4).filter(
    # Line breaks may look like a stuck model, and two objects are two calls.
    lambda pieces: not re.search(r"[\r\n\t]|\}\s*\{", "".join(pieces))
)


@examples(120)
@given(
    st.lists(st.tuples(st.sampled_from(["f", "g"]), ARGUMENTS), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.integers(0, 2),
)
def test_interleaved_calls_keep_everything(
    wanted: list[tuple[str, list[str]]], random: Any, first_index: int
) -> None:
    """Calls with interleaved, indexed fragments keep their ids, names and arguments."""
    queues = [
        [call(f"call_{i}", name, index=i + first_index)]
        + [call(arguments=piece, index=i + first_index) for piece in pieces]
        for i, (name, pieces) in enumerate(wanted)
    ]
    # Calls begin in order; after that, their fragments may arrive in any order.
    fragments = [queue.pop(0) for queue in queues]
    while left := [queue for queue in queues if queue]:
        fragments.append(random.choice(left).pop(0))
    events = [calling(fragment) for fragment in fragments]

    assert [
        (f"call_{i}", name, "".join(pieces) or "{}") for i, (name, pieces) in enumerate(wanted)
    ] == calls_of([*events, event("stop")])


@examples(120)
@given(
    st.lists(st.tuples(st.sampled_from(["f", "g"]), ARGUMENTS), min_size=1, max_size=4),
    st.sampled_from([0, None]),
    st.integers(1, 5),
)
def test_calls_in_a_row_keep_everything_without_an_index(
    wanted: list[tuple[str, list[str]]], index: int | None, at_once: int
) -> None:
    """Consecutive calls are separated even if all of them have index 0, or no index."""
    fragments = [
        fragment
        for i, (name, pieces) in enumerate(wanted)
        for fragment in [
            call(f"call_{i}", name, index=index),
            *(call(arguments=piece, index=index) for piece in pieces),
        ]
    ]
    batches = [fragments[at : at + at_once] for at in range(0, len(fragments), at_once)]
    events = [calling(*batch) for batch in batches]

    assert [
        (f"call_{i}", name, "".join(pieces) or "{}") for i, (name, pieces) in enumerate(wanted)
    ] == calls_of([*events, event("tool_calls")])


@examples(60)
@given(st.lists(st.tuples(st.sampled_from(["content", "refusal", "reasoning_text"]), st.text())))
def test_texts_are_complete(parts: list[tuple[str, str]]) -> None:
    """Content, refusal and reasoning, in any order, are joined and otherwise unchanged."""
    deltas: list[Json] = [{name: text} for name, text in parts]
    message = message_of([*(event(**delta) for delta in deltas), event("stop")])

    for theirs, ours in (
        ("content", "content"),
        ("refusal", "refusal"),
        ("reasoning_text", "reasoning_content"),
    ):
        assert "".join(text for name, text in parts if name == theirs) == message.get(ours, "")


@examples(200)
@given(
    st.lists(st.dictionaries(LETTERS, JSON, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["", " ", "\n"]),
    st.lists(st.integers(0, 100), max_size=6),
)
def test_objects_in_a_row_are_separate_calls(
    objects: list[Json], between: str, places: list[int]
) -> None:
    """Arguments that follow each other are separated, wherever the stream is split."""
    text = between.join(map(json.dumps, objects))
    cuts = sorted({0, len(text), *(place for place in places if place < len(text))})
    pieces = [text[start:end] for start, end in pairwise(cuts)]

    events = [calling(call("a", "f", "")), *(calling(call(arguments=one)) for one in pieces)]

    assert objects == [json.loads(said) for _, _, said in calls_of([*events, event("stop")])]
