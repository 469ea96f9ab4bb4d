"""Conversations that a model would refuse are fixed: results, order, prefill, cache marks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.catalogue import Model, parse_models
from copilot_proxy.formats.chat_completions.cache_control import limit_marks, mark_stable_prefix
from copilot_proxy.formats.chat_completions.content_parts import move_images
from copilot_proxy.formats.chat_completions.outgoing import ChatBody
from copilot_proxy.formats.messages.outgoing import MessagesBody
from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.responses.outgoing import ResponsesBody
from copilot_proxy.formats.responses.tools import ToolNames
from copilot_proxy.formats.rules import blank_texts, rule_book
from copilot_proxy.formats.rules.tool_results import NO_RESULT, pair_results
from copilot_proxy.formats.rules.turns import CONTINUE
from copilot_proxy.formats.types import Json
from tests.selection import examples

_WHOLE_MESSAGES = ("turns.consecutive", "tools.results", "turns.first", "turns.last")
MARK = {"type": "ephemeral"}


def model(vendor: str) -> Model:
    found = parse_models({"data": [{"id": "m", "vendor": vendor}]}).get("m")
    assert found
    return found


def apply_history_rules(messages: list[Json], to: Model | None, notes: list[str]) -> list[Json]:
    """Return the messages after applying the rules about whole messages."""
    profile = profile_of(to, "chat_completions")
    body = ChatBody({"messages": [dict(message) for message in messages]})
    for rule in rule_book.RULES:
        if rule.name in _WHOLE_MESSAGES and rule.concerns(profile):
            rule.apply(body, profile, notes)
    return body.turns


def without_blanks(messages: list[Json], notes: list[str]) -> list[Json]:
    body = ChatBody({"messages": [dict(message) for message in messages]})
    blank_texts.drop_blanks(body, profile_of(model("Anthropic"), "chat_completions"), notes)
    return body.turns


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
def test_a_valid_conversation_is_not_changed(messages: list[Json]) -> None:
    """A valid conversation is passed on unchanged."""
    notes: list[str] = []

    assert messages == apply_history_rules(messages, None, notes)
    assert [] == notes


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # A call without a result gets a result that says so.
        ([user(), called("a"), user()], [user(), called("a"), result("a", NO_RESULT), user()]),
        ([user(), called("a")], [user(), called("a"), result("a", NO_RESULT)]),
        (
            [user(), called("a", "b"), result("b")],
            [user(), called("a", "b"), result("a", NO_RESULT), result("b")],
        ),
        # A result that is late or out of order is moved to its call.
        (
            [user(), called("a"), user("wait"), result("a"), said()],
            [user(), called("a"), result("a"), user("wait"), said()],
        ),
        (
            [user(), called("a", "b"), result("b", "2"), result("a", "1")],
            [user(), called("a", "b"), result("a", "1"), result("b", "2")],
        ),
        # A result without a call becomes a user message.
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
def test_orphans_are_fixed_and_noted(messages: list[Json], expected: list[Json]) -> None:
    """Calls and results are paired, and the changes are noted."""
    before = repr(messages)
    notes: list[str] = []
    fixed = apply_history_rules(messages, None, notes)

    assert expected == fixed
    assert before == repr(messages)
    if "wait" not in before and "'2'" not in before.partition("'1'")[0]:
        assert notes or "'b', 'content': '2'" in before


@pytest.mark.parametrize("vendor", ["Anthropic", "Google"])
def test_consecutive_assistant_messages_are_merged(vendor: str) -> None:
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
    fixed = apply_history_rules(messages[:2] + messages[2:3] + messages[4:5] + [user()], None, [])
    assert 5 == len(fixed)

    merged = apply_history_rules(
        [user(), *messages[1:3], result("c"), user()], model(vendor), notes
    )

    assert ["user", "assistant", "tool", "user"] == [message["role"] for message in merged]
    assert [{"type": "text", "text": "a"}, *parts] == merged[1]["content"]
    assert ("1\n2", "o") == (merged[1]["reasoning_content"], merged[1]["reasoning_opaque"])
    assert ["merged consecutive assistant messages"] == notes


def test_other_vendors_accept_consecutive_messages() -> None:
    """GPT accepts consecutive assistant messages, so they are not merged."""
    messages = [user(), said("a"), said("b"), user()]

    assert messages == apply_history_rules(messages, model("OpenAI"), [])
    joined = apply_history_rules(messages, model("Google"), [])
    assert "a\n\nb" == joined[1]["content"]


def test_calls_of_merged_messages_are_joined() -> None:
    """No call is lost when messages are merged, and each call keeps its result."""
    messages = [user(), called("a"), called("b", content="t")]
    merged = apply_history_rules(messages, model("Google"), [])

    assert ["a", "b"] == [
        call["id"] for message in merged for call in message.get("tool_calls", ())
    ]


@pytest.mark.parametrize(
    ("vendor", "expected"), [("Anthropic", [CONTINUE]), ("Google", []), ("OpenAI", [])]
)
def test_prefill(vendor: str, expected: list[str]) -> None:
    """Claude does not continue an assistant message, so a user message is added."""
    fixed = apply_history_rules([user(), said("The answer is")], model(vendor), [])

    assert expected == [message["content"] for message in fixed[2:]]


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
def test_any_conversation_is_valid_afterwards(messages: list[Json], vendor: str) -> None:
    """Results directly follow their calls, in order, and no result is lost."""
    fixed = apply_history_rules(messages, model(vendor), [])

    open_calls: list[str] = []
    for message in fixed:
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_calls.pop(0)
            continue
        assert [] == open_calls
        open_calls = [call["id"] for call in message.get("tool_calls") or ()]
    assert [] == open_calls
    results = sum(message["role"] == "tool" for message in messages)
    paired = [m for m in fixed if m["role"] == "tool" and m["content"] != NO_RESULT]
    orphans = [m for m in fixed if m["role"] == "user" and "earlier tool call" in m["content"]]
    assert results == len(paired) + len(orphans)


def test_cache_marks() -> None:
    """The first two system messages and the last two other messages are marked for Claude."""
    system = {"role": "system", "content": "s"}
    messages = [dict(system), dict(system), dict(system), user("1"), said("2"), user("3")]

    mark_stable_prefix(messages)

    marked = [i for i, m in enumerate(messages) if "copilot_cache_control" in m]
    assert [0, 1, 4, 5] == marked
    assert MARK == messages[0]["copilot_cache_control"]


def test_cache_marks_of_the_client_are_kept() -> None:
    """If the client sets marks, no others are added."""
    messages = [{**user(), "copilot_cache_control": MARK}, said(), user()]
    before = repr(messages)

    mark_stable_prefix(messages)

    assert before == repr(messages)


def test_surplus_cache_marks_are_dropped() -> None:
    """Marks are changed to the accepted form, and only the last four are kept."""
    marks = [{**user(), "copilot_cache_control": {**MARK, "ttl": "1h"}} for _ in range(6)]
    notes: list[str] = []

    limit_marks(marks, 4, notes)

    assert [None, None, MARK, MARK, MARK, MARK] == [m.get("copilot_cache_control") for m in marks]
    assert 2 == len(notes)


def test_images_of_tool_results_are_moved() -> None:
    """Images in tool results move to a user message that follows and names the tool."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    text = {"type": "text", "text": "t"}
    notes: list[str] = []
    shown = move_images(
        [user(), called("a", "b"), result("a", [text, image]), result("b", [image]), said()], notes
    )

    assert ["user", "assistant", "tool", "tool", "user", "assistant"] == [m["role"] for m in shown]
    assert [text] == shown[2]["content"]
    assert "an image" in shown[3]["content"]
    labels = [{"type": "text", "text": f"From tool result {number}:"} for number in (1, 2)]
    assert [labels[0], image, labels[1], image] == shown[4]["content"]
    assert 2 == len(notes)


def test_blanks_are_dropped() -> None:
    """Blank texts, which Claude refuses, are dropped, as are messages without other content."""
    system = {"role": "system", "content": " "}
    parts = [{"type": "text", "text": ""}, {"type": "text", "text": "q"}]
    notes: list[str] = []
    conversation = [system, user(""), user(parts), called("a"), result("a", "")]
    remaining = without_blanks(conversation, notes)

    assert [user([parts[1]]), called("a"), result("a", "")] == remaining
    assert 2 == len(notes)


def use(id: str) -> Json:
    return {"type": "tool_use", "id": id, "name": "f", "input": {}}


def done(id: str, content: Any = "r") -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


ORPHAN = "(Result of an earlier tool call)"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            [assistant(use("a")), user([text("x"), done("a"), text("y")])],
            [assistant(use("a")), user([done("a"), text("x"), text("y")])],
        ),
        (
            [assistant(use("a"), use("b")), user([done("a")]), user([done("b"), text("x")])],
            [assistant(use("a"), use("b")), user([done("a"), done("b"), text("x")])],
        ),
        (
            [assistant(use("a")), user([done("a", "1"), done("a", "2")])],
            [assistant(use("a")), user([done("a", "1"), text(ORPHAN), text("2")])],
        ),
        (
            [assistant(use("a")), user("x")],
            [assistant(use("a")), user([done("a", NO_RESULT), text("x")])],
        ),
        ([user([done("a")]), assistant()], [user([text(ORPHAN), text("r")]), assistant()]),
        ([assistant(use("a"))], [assistant(use("a")), user([done("a", NO_RESULT)])]),
        (
            [assistant(use("a"), use("b")), user([done("b"), done("a")])],
            [assistant(use("a"), use("b")), user([done("b"), done("a")])],
        ),
    ],
)
def test_results_of_messages(messages: list[Json], expected: list[Json]) -> None:
    """On Messages, results come first in the message after their calls, one per call."""
    body = MessagesBody({"messages": messages})
    before = repr(messages)
    notes: list[str] = []

    pair_results(body, profile_of(None, "messages"), notes)

    assert expected == body.turns
    assert bool(notes) is (before != repr(body.turns))


def test_valid_messages_are_not_copied() -> None:
    """A valid conversation is not copied."""
    messages = [user("x"), assistant(use("a")), user([done("a"), text("y")])]
    body = MessagesBody({"messages": messages})
    notes: list[str] = []

    pair_results(body, profile_of(None, "messages"), notes)

    assert messages is body.turns
    assert [] == notes


def item(id: str) -> Json:
    return {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}


def output(id: str, text: Any = "r") -> Json:
    return {"type": "function_call_output", "call_id": id, "output": text}


def shown(*texts: str) -> Json:
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "role": "user", "content": parts}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([item("a"), item("b"), output("b"), output("a")], None),
        ([item("a"), shown("x"), output("a")], None),
        ([item("a"), output("a"), item("a"), output("a")], None),
        ([item("a"), shown("x")], [item("a"), output("a", NO_RESULT), shown("x")]),
        ([output("a"), shown("x")], [shown(f"{ORPHAN}\nr"), shown("x")]),
        ([output("a", [{"type": "input_text", "text": "r"}])], [shown(ORPHAN, "r")]),
        (
            [item("a"), output("a", "1"), output("a", "2")],
            [item("a"), output("a", "1"), shown(f"{ORPHAN}\n2")],
        ),
    ],
)
def test_results_of_responses(items: list[Json], expected: list[Json] | None) -> None:
    """On Responses, outputs may come anywhere after their calls, so only orphans are changed."""
    body = ResponsesBody({"input": items}, ToolNames({}))

    pair_results(body, profile_of(None, "responses"), [])

    assert (expected or items) == body.turns
