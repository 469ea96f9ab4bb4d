"""Messages are adapted to the model, especially earlier responses that clients send back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessage

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from tests.formats.requests import PNG, RECORDED, TOOL, a_model, chat_request, for_chat, image, user
from tests.selection import examples


def messages(*given: Any) -> Any:
    """Return the messages as Copilot receives them."""
    return for_chat(chat_request(*given), None)[0]["messages"]


def test_developer_messages_become_system_messages() -> None:
    """The developer role becomes system, the name that Copilot's models know."""
    sent = messages({"role": "developer", "content": "Be brief."}, user())

    assert [{"role": "system", "content": "Be brief."}, user()] == sent


def test_images_are_objects() -> None:
    """An image URL that is a plain string becomes an object; other images are unchanged."""
    parts = [{"type": "image_url", "image_url": PNG}, image(), {"type": "text", "text": "x"}]

    assert [user([image(), image(), {"type": "text", "text": "x"}])] == messages(user(parts))


@pytest.mark.parametrize(
    ("given_back", "expected"),
    [
        ({"content": "x", "refusal": None, "audio": None}, {"content": "x"}),
        ({"content": None, "refusal": "No."}, {"content": "No."}),
        ({"content": "x", "tool_calls": []}, {"content": "x"}),
        ({"content": "x", "tool_calls": None, "function_call": None}, {"content": "x"}),
        (
            {"content": [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]},
            {"content": [{"type": "text", "text": "x"}]},
        ),
        (
            {"content": [{"type": "refusal", "refusal": "No."}]},
            {"content": [{"type": "text", "text": "No."}]},
        ),
        (
            {"content": "x", "reasoning_content": "Hm.", "reasoning_opaque": "o=="},
            {"content": "x", "reasoning_text": "Hm.", "reasoning_opaque": "o=="},
        ),
        (
            {"content": "x", "reasoning_content": "a", "reasoning_text": "b"},
            {"content": "x", "reasoning_text": "b"},
        ),
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f"}}]},
            {"content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        ),
        (
            {"content": "", "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[]"}}]},
            {"content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[]"}}]},
        ),
        ({"content": "{}", "parsed": {"a": 1}}, {"content": "{}"}),
        (
            {"tool_calls": [{"id": "c", "type": "function", "function": {
                "name": "f", "arguments": "{}", "parsed_arguments": {}}}]},
            {"content": None, "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        ),
    ],
)  # fmt: skip
def test_earlier_responses_are_sent_as_models_accept_them(given_back: Any, expected: Any) -> None:
    """Reasoning is renamed, empty texts and nulls are removed, and arguments are added to calls."""
    assert {"role": "assistant", **expected} == messages(
        {"role": "assistant", **given_back}, user()
    )[0]


@pytest.mark.parametrize("empty", [None, "", [], [{"type": "text", "text": ""}]])
def test_an_empty_assistant_message_is_dropped(empty: object) -> None:
    """An empty assistant message, which models refuse, is dropped with a note."""
    body, notes = for_chat(chat_request({"role": "assistant", "content": empty}, user()), None)

    assert [user()] == body["messages"]
    assert ["dropped an empty assistant message"] == notes


def test_messages_of_the_openai_sdk_are_accepted() -> None:
    """A message dumped by OpenAI's SDK with all its nulls is accepted without them."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    said = ChatCompletionMessage.model_validate(
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm."}
    )
    expected = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call],
        "reasoning_text": "Hm.",
    }

    assert expected == messages(said.model_dump(), user())[0]


VALUES = st.sampled_from(
    [None, True, 0, 1, -1, 0.5, 99999, "", "x", "low", "auto", [], ["x"], {}, {"type": "text"},
     [TOOL]]
)  # fmt: skip
TEXTS = st.sampled_from(["", "x"])
PARTS = st.sampled_from(
    [
        image(),
        {"type": "text", "text": ""},
        {"type": "text", "text": "x"},
        {"type": "refusal", "refusal": "No."},
        {"type": "image_url", "image_url": PNG},
    ]
)  # fmt: skip
CONTENT = TEXTS | st.lists(PARTS, max_size=2)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": TEXTS,
            "function": st.sampled_from([{"name": "f"}, {"name": "f", "arguments": None}]),
        }
    ),
    max_size=2,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user"]), "content": CONTENT}
    )
    | st.fixed_dictionaries({"role": st.just("tool"), "content": CONTENT, "tool_call_id": TEXTS})
    | st.fixed_dictionaries(
        {"role": st.just("assistant")},
        optional={
            "content": st.none() | CONTENT,
            "tool_calls": st.none() | CALLS,
            "refusal": st.none() | TEXTS,
            "reasoning_content": st.none() | TEXTS,
        },
    ),
    min_size=1,
    max_size=3,
)
FIELDS = [
    "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
    "tools", "tool_choice", "parallel_tool_calls", "reasoning_effort", "prediction", "metadata",
    "stop", "response_format", "unheard_of",
]  # fmt: skip
ODD = [a_model(limits={"max_output_tokens": "x"}, supports={"reasoning_effort": [5]}), None]


@examples(150)
@given(
    MESSAGES,
    st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)),
    st.sampled_from([*RECORDED, *ODD]),
)
def test_every_request_can_be_adapted(
    conversation: list[Any], fields: dict[str, Any], model: Model | None
) -> None:
    """Every valid request can be adapted to every model."""
    request = {"model": "m", "messages": conversation, **fields}
    try:
        check_request(request)
    except RequestError:
        return

    try:
        body, notes = for_chat(request, model)
    except RequestError:
        # All messages are empty.
        assert {"assistant", "system", "developer", "user"} >= {m["role"] for m in conversation}
        return
    assert body["stream"] in (True, False)
    assert {"system", "user", "assistant", "tool"} >= {m["role"] for m in body["messages"]}
    assert all(isinstance(note, str) for note in notes)
    assert not any(value is None for value in body.values())
