"""Requests are validated, and their initiator and number of images are determined."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.messages.request import count_images, initiator, parse_request
from tests.formats.messages.samples import (
    IMAGE,
    THOUGHT,
    TOOL,
    assistant,
    recorded,
    request,
    result,
    text,
    use,
    user,
)

RECORDED = ("simple", "streaming", "thinking", "tool-use", "tool-use-followup", "server-tool")


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_requests_are_accepted(name: str) -> None:
    """Recorded requests from real clients are accepted unchanged."""
    sent = recorded(f"{name}-request")

    assert sent == parse_request(json.dumps(sent).encode())


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [user({"type": "container_upload", "file_id": "x"})]},
        {"messages": [user(text("Hi", citations=None, mystery=1)), assistant(THOUGHT)]},
        {"messages": [{"role": "system", "content": "Be brief."}, user("Hi")]},
        {"messages": [user({"type": "search_result", "source": "https://x", "content": []})]},
        {"messages": [user(result(content=None)), user(result(content=[text("a"), IMAGE]))]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}, TOOL]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]},
        {"mystery": {"a": [1]}, "system": None, "stream": None, "tools": None},
    ],
)
def test_unknown_types_and_fields_are_kept(fields: dict[str, Any]) -> None:
    """Unknown blocks, tools and fields are kept unchanged."""
    sent = request(**fields) if "messages" not in fields else {**request(), **fields}

    assert sent == parse_request(json.dumps(sent).encode())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in request().items() if key != name}


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        (without("model"), "model", "missing_required_parameter"),
        (without("messages"), "messages", "missing_required_parameter"),
        (without("max_tokens"), "max_tokens", "missing_required_parameter"),
        (request(model=""), "model", None),
        ({**request(), "messages": []}, "messages", None),
        (request(max_tokens=0), "max_tokens", None),
        (request(max_tokens="9"), "max_tokens", "invalid_type"),
        (request({"role": "tool", "content": "x"}), "messages[0].role", "invalid_value"),
        (request({"role": "user", "content": 3}), "messages[0].content", "invalid_type"),
        (request(user({"text": "x"})), "messages[0].content[0].type", None),
        (request(user("Hi"), user({"type": "text"})), "messages[1].content[0].text", None),
        (request(user({"type": "image"})), "messages[0].content[0].source", None),
        (request(assistant({"type": "tool_use"})), "messages[0].content[0].id", None),
        (request(user({"type": "tool_result"})), "messages[0].content[0].tool_use_id", None),
        (request(user(result(content=3))), "messages[0].content[0].content", "invalid_type"),
        (
            request(user(result(content=[{"type": "text"}]))),
            "messages[0].content[0].content[0].text",
            "missing_required_parameter",
        ),
        (request(tools=[{"input_schema": {}}]), "tools[0].name", "missing_required_parameter"),
        (request(tools=[TOOL] * 129), "tools", "array_above_max_length"),
    ],
)
def test_an_invalid_field_is_named(sent: Any, param: str, code: str | None) -> None:
    """An invalid request is rejected with an error that names the field."""
    with pytest.raises(RequestError) as caught:
        parse_request(json.dumps(sent).encode())

    assert 400 == caught.value.status
    assert param == caught.value.param
    assert code in (None, caught.value.code)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b'{"a":' + b"[" * 5000])
def test_a_body_that_is_not_an_object_is_rejected(body: bytes) -> None:
    """Anything other than a JSON object is the client's error."""
    with pytest.raises(RequestError):
        parse_request(body)


def test_counting_does_not_need_max_tokens() -> None:
    """A request to count tokens is accepted without max_tokens."""
    sent = without("max_tokens")

    assert sent == parse_request(json.dumps(sent).encode(), counting=True)


SYSTEM = {"role": "system", "content": "Now be brief."}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("Hi")], "user"),
        ([user(text("Hi"))], "user"),
        ([user(IMAGE)], "user"),
        ([user("Hi"), assistant(use()), user(result())], "agent"),
        ([user("Hi"), assistant(use()), user(result(), result("b"))], "agent"),
        ([user("Hi"), assistant(use()), user(result(), text("and now?"))], "user"),
        ([user("Hi"), assistant("Hel")], "agent"),
        ([user("Hi"), assistant(use()), user(result()), user("Stop")], "user"),
        ([user("Hi"), SYSTEM], "user"),
        ([user("Hi"), assistant(use()), user(result()), SYSTEM], "agent"),
        ([SYSTEM], "user"),
    ],
)
def test_the_initiator_depends_on_the_last_message(messages: list[Any], expected: str) -> None:
    """The user is the initiator if the last message contains the user's own words."""
    assert expected == initiator(request(*messages))


DOCUMENT = {"type": "document", "source": {"type": "content", "content": [IMAGE]}}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([user("image")], False),
        ([user(text("image"), use(input={"type": "image"}))], False),
        ([user({"type": "document", "source": {"type": "text", "data": "image"}})], False),
        ([user(IMAGE), assistant("I see"), user("Thanks")], True),
        ([user("Hi"), assistant(use()), user(result(content=[text("x"), IMAGE]))], True),
        ([user(DOCUMENT)], True),
    ],
)
def test_all_images_are_counted(messages: list[Any], expected: bool) -> None:
    """All images in the conversation count, even old ones and images in tool results."""
    assert expected is (count_images(request(*messages)) > 0)


@pytest.mark.parametrize("input", ["{", [1], 4, None])
def test_an_invalid_input_of_an_earlier_call_is_accepted(input: Any) -> None:
    """Invalid input in an earlier call is accepted, since it is repaired later."""
    sent = request(user("Hi"), assistant({**use(), "input": input}), user(result()))

    assert sent == parse_request(json.dumps(sent).encode())


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
def test_tools_of_anthropic_that_the_client_runs_are_refused(kind: str) -> None:
    """Anthropic's client tools are refused instead of dropped, since the model depends on them."""
    sent = request(tools=[TOOL, {"type": kind, "name": "x"}])

    with pytest.raises(RequestError, match=kind) as raised:
        parse_request(json.dumps(sent).encode())

    assert "tools[1].type" == raised.value.param


def test_tools_of_anthropic_that_its_servers_run_are_accepted() -> None:
    """Tools that Claude Code always sends are accepted, since models can do without them."""
    sent = request(tools=[{"type": "web_search_20250305", "name": "web_search"}])

    assert sent == parse_request(json.dumps(sent).encode())
