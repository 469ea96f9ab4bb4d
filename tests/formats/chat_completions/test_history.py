"""Conversations that a model would refuse are mended: orphans, neighbours, prefill, caches."""

from typing import Any

import pytest
from copilot_proxy.formats.chat_completions.history import CONTINUE, NO_RESULT, mend_history
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.formats.chat_completions.cache_marks import mark_stable
from copilot_proxy.formats.chat_completions.content_parts import show_images, without_blanks
from tests.conftest import examples

Json = dict[str, Any]
MARK = {"type": "ephemeral"}


def model(vendor: str) -> Model:
    found = parse_models({"data": [{"id": "m", "vendor": vendor}]}).get("m")
    assert found
    return found


def user(text: Any = "x") -> Json:
    return {"role": "user", "content": text}


def said(text: str = "y") -> Json:
    return {"role": "assistant", "content": text}


def called(*ids: str, content: Any = None, **more: Any) -> Json:
    calls = [
        {"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids
    ]
    return {"role": "assistant", "content": content, "tool_calls": calls, **more}


def result(id: str, content: Any = "r") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


@pytest.mark.parametrize(
    "messages",
    [
        [user()],
        [user(), said(), user()],
        [user(), called("a", "b"), result("a"), result("b"), said(), user()],
        [user(), called("a"), result("a"), called("a"), result("a")],
        [{"role": "system", "content": "s"}, user()],
    ],
)
def test_sound_history_is_left_alone(messages: list[Json]) -> None:
    """Nothing is changed where nothing is wrong."""
    notes: list[str] = []

    assert messages == mend_history(messages, None, notes)
    assert [] == notes


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # A call without a result gets one that says so.
        ([user(), called("a"), user()], [user(), called("a"), result("a", NO_RESULT), user()]),
        ([user(), called("a")], [user(), called("a"), result("a", NO_RESULT)]),
        (
            [user(), called("a", "b"), result("b")],
            [user(), called("a", "b"), result("a", NO_RESULT), result("b")],
        ),
        # A result that stands too late, or in another order, is moved to its call.
        (
            [user(), called("a"), user("wait"), result("a"), said()],
            [user(), called("a"), result("a"), user("wait"), said()],
        ),
        (
            [user(), called("a", "b"), result("b", "2"), result("a", "1")],
            [user(), called("a", "b"), result("a", "1"), result("b", "2")],
        ),
        # A result that nothing called for is still known to the model.
        ([result("a", "r")], [user("(Result of an earlier tool call)\nr")]),
        (
            [user(), called("a"), result("a", "1"), result("a", "2")],
            [user(), called("a"), result("a", "1"), user("(Result of an earlier tool call)\n2")],
        ),
        (
            [result("a", [{"type": "text", "text": "r"}])],
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "(Result of an earlier tool call)"},
                        {"type": "text", "text": "r"},
                    ],
                }
            ],
        ),
    ],
)
def test_orphans_are_mended_and_noted(messages: list[Json], expected: list[Json]) -> None:
    """Calls and results that lost each other are brought together, and the client is told."""
    before = repr(messages)
    notes: list[str] = []
    mended = mend_history(messages, None, notes)

    assert expected == mended
    assert before == repr(messages)
    if "wait" not in before and "'2'" not in before.partition("'1'")[0]:
        assert notes or "'b', 'content': '2'" in before


@pytest.mark.parametrize("vendor", ["Anthropic", "Google"])
def test_neighbouring_assistant_messages_are_one(vendor: str) -> None:
    """Claude and Gemini get one message with the texts, calls and reasoning of both."""
    parts = [{"type": "text", "text": "b"}]
    messages = [
        user(),
        {**said("a"), "reasoning_content": "1"},
        called("c", content=parts, reasoning_content="2", reasoning_opaque="o"),
        called("d"),
        result("c"),
        result("d"),
        user(),
    ]
    notes: list[str] = []
    mended = mend_history(messages[:2] + messages[2:3] + messages[4:5] + [user()], None, [])
    assert 5 == len(mended)

    merged = mend_history([user(), *messages[1:3], result("c"), user()], model(vendor), notes)

    assert ["user", "assistant", "tool", "user"] == [message["role"] for message in merged]
    assert [{"type": "text", "text": "a"}, *parts] == merged[1]["content"]
    assert ("1\n2", "o") == (merged[1]["reasoning_content"], merged[1]["reasoning_opaque"])
    assert ["merged neighbouring assistant messages"] == notes


def test_neighbours_of_other_vendors_stay() -> None:
    """GPT takes them as they are."""
    messages = [user(), said("a"), said("b"), user()]

    assert messages == mend_history(messages, model("OpenAI"), [])
    joined = mend_history(messages, model("Google"), [])
    assert "a\n\nb" == joined[1]["content"]


def test_calls_of_neighbours_are_joined() -> None:
    """No call is lost when messages become one, and each keeps its result."""
    messages = [user(), called("a"), called("b", content="t")]
    merged = mend_history(messages, model("Google"), [])

    assert ["a", "b"] == [
        call["id"] for message in merged for call in message.get("tool_calls", ())
    ]


@pytest.mark.parametrize(
    ("vendor", "expected"), [("Anthropic", [CONTINUE]), ("Google", []), ("OpenAI", [])]
)
def test_prefill(vendor: str, expected: list[str]) -> None:
    """Claude does not go on from an assistant's message, so it is asked to."""
    mended = mend_history([user(), said("The answer is")], model(vendor), [])

    assert expected == [message["content"] for message in mended[2:]]


_IDS = st.sampled_from("abc")
_MESSAGES = st.lists(
    st.one_of(
        st.just(user()),
        st.just(said()),
        st.lists(_IDS, min_size=1, max_size=3, unique=True).map(lambda ids: called(*ids)),
        _IDS.map(result),
    ),
    max_size=12,
)


@examples(200)
@given(_MESSAGES, st.sampled_from(["OpenAI", "Anthropic", "Google"]))
def test_any_history_is_sound_afterwards(messages: list[Json], vendor: str) -> None:
    """Every call is answered at once and in order, every result was called for, nothing is lost."""
    mended = mend_history(messages, model(vendor), [])

    open_calls: list[str] = []
    for message in mended:
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_calls.pop(0)
            continue
        assert [] == open_calls
        open_calls = [call["id"] for call in message.get("tool_calls") or ()]
    assert [] == open_calls
    results = sum(message["role"] == "tool" for message in messages)
    kept = [m for m in mended if m["role"] == "tool" and m["content"] != NO_RESULT]
    told = [m for m in mended if m["role"] == "user" and "earlier tool call" in m["content"]]
    assert results == len(kept) + len(told)


def test_cache_marks() -> None:
    """Claude's stable prefix is marked: the first two instructions, the last two messages."""
    system = {"role": "system", "content": "s"}
    messages = [system, system, system, user("1"), said("2"), user("3")]

    marked = [i for i, m in enumerate(mark_stable(messages)) if "copilot_cache_control" in m]

    assert [0, 1, 4, 5] == marked
    assert MARK == mark_stable(messages)[0]["copilot_cache_control"]
    assert all("copilot_cache_control" not in message for message in messages)


def test_own_cache_marks_stay() -> None:
    """A client that marks for itself knows better."""
    messages = [{**user(), "copilot_cache_control": MARK}, said(), user()]

    assert messages == mark_stable(messages)


def test_images_of_tool_results_are_shown() -> None:
    """Images stand in user messages only, so those of results follow after the results."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    text = {"type": "text", "text": "t"}
    notes: list[str] = []
    shown = show_images(
        [user(), called("a", "b"), result("a", [text, image]), result("b", [image]), said()], notes
    )

    assert ["user", "assistant", "tool", "tool", "user", "assistant"] == [m["role"] for m in shown]
    assert [text] == shown[2]["content"]
    assert "an image" in shown[3]["content"]
    assert [image, image] == shown[4]["content"][1:]
    assert 2 == len(notes)


def test_blanks_are_dropped() -> None:
    """Claude refuses blank texts; messages and parts of nothing else go."""
    system = {"role": "system", "content": " "}
    parts = [{"type": "text", "text": ""}, {"type": "text", "text": "q"}]
    kept = without_blanks(
        [system, user(""), user(parts), called("a"), result("a", "")], notes := []
    )

    assert [user([parts[1]]), called("a"), result("a", "")] == kept
    assert 2 == len(notes)
