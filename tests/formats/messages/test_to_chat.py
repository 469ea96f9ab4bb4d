"""A Messages request for a model that does not speak Messages."""

import copy
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.messages.schema import Json
from tests.formats.messages.samples import (
    IMAGE,
    PIXEL,
    SIGNATURE,
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
from tests.formats.requests import PNG

HI: Json = {"role": "user", "content": "Hi"}
PNG_PART = {"type": "image_url", "image_url": {"url": PNG}}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": TOOL["input_schema"]}}
HEAD: Json = {"model": "claude-sonnet-4.5", "max_tokens": 4096}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
SEARCHED = "dropped the tool web_search_20250305: Copilot does not run it"


def call(id: str = "toolu_1", arguments: str = "{}") -> Json:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}}


def tool(id: str = "toolu_1", content: str = "done") -> Json:
    return {"role": "tool", "tool_call_id": id, "content": content}


def said(*contents: Any) -> Json:
    content: Any = list(contents)
    return {"role": "user", "content": content}


def part(words: str) -> Json:
    return {"type": "text", "text": words}


def translated(asked: Json) -> tuple[Json, list[str]]:
    """The chat and the notes; the chat is a valid one."""
    before = copy.deepcopy(asked)
    notes: list[str] = []
    chat = to_chat(asked, notes)
    assert before == asked
    check_request(chat)
    return chat, notes


@pytest.mark.parametrize(
    ("fields", "expected", "notes"),
    [
        ({}, {}, []),
        (
            {"stream": True, "temperature": 0.2, "top_p": 0.5, "system": "Be brief."},
            {
                "stream": True,
                "temperature": 0.2,
                "top_p": 0.5,
                "messages": [{"role": "system", "content": "Be brief."}, HI],
            },
            [],
        ),
        (
            {"system": [text("x-anthropic-billing-header: a"), text("Be"), text(""), text("it.")]},
            {"messages": [{"role": "system", "content": "Be\n\nit."}, HI]},
            ["dropped the billing line of the system prompt: it would defeat the cache"],
        ),
        ({"system": [text("")]}, {}, []),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}, []),
        ({"stop_sequences": list("abcde")}, {"stop": list("abcde")}, []),
        (
            {"top_k": 3, "service_tier": "auto", "container": None, "cache_control": {}},
            {},
            [
                "dropped top_k: chat completions have nothing like it",
                "dropped service_tier: chat completions have nothing like it",
            ],
        ),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}, []),
        ({"metadata": {"user_id": None}}, {}, []),
        (
            {"metadata": {"user_id": "u" * 65}},
            {},
            ["dropped metadata.user_id: it has more than 64 characters"],
        ),
        ({"thinking": {"type": "disabled"}}, {"reasoning_effort": "none"}, []),
        ({"thinking": {"type": "adaptive"}}, {}, []),
        ({"thinking": {"type": "enabled"}}, {}, []),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 10000}},
            {"reasoning_effort": "medium"},
            [],
        ),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
            {"reasoning_effort": "max"},
            [],
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "answer",
                        "schema": {"type": "object"},
                        "strict": True,
                    },
                }
            },
            [],
        ),
        ({"output_format": {"type": "odd"}}, {}, []),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}, []),
        (
            {"tools": [{"name": "f", "description": "Does it."}, SEARCH]},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "description": "Does it."},
                    }
                ]
            },
            [SEARCHED],
        ),
        ({"tools": [SEARCH], "tool_choice": {"type": "any"}}, {}, [SEARCHED]),
        (
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"tools": [FUNCTION], "tool_choice": "auto", "parallel_tool_calls": False},
            [],
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "any"}},
            {"tools": [FUNCTION], "tool_choice": "required"},
            [],
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "none"}},
            {"tools": [FUNCTION], "tool_choice": "none"},
            [],
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
            },
            [],
        ),
        (
            {"tools": [TOOL, SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}},
            {"tools": [FUNCTION]},
            [SEARCHED, "dropped tool_choice: there is no tool 'web_search' any more"],
        ),
        ({"tools": [TOOL], "tool_choice": {"type": "odd"}}, {"tools": [FUNCTION]}, []),
    ],
)
def test_fields(fields: Json, expected: Json, notes: list[str]) -> None:
    """Each field is carried over under OpenAI's name, or dropped with a word."""
    assert ({**HEAD, "messages": [HI], **expected}, notes) == translated(request(**fields))


MOVED = "moved images out of tool results: chat completions have none there"
TEXT_SOURCE = {"type": "text", "media_type": "text/plain", "data": "words"}
PARTS_SOURCE = {"type": "content", "content": [text("a"), IMAGE, {"type": "odd"}, 3]}
SHOWN = [part("From the result of a:"), PNG_PART]


@pytest.mark.parametrize(
    ("turns", "expected", "notes"),
    [
        pytest.param([user(text("Hi"))], [HI], [], id="one text"),
        pytest.param(
            [user(text("a"), IMAGE, text(""), text("b"))],
            [said(part("a"), PNG_PART, part("b"))],
            [],
            id="text and an image",
        ),
        pytest.param(
            [user({"type": "image", "source": {"type": "url", "url": PNG}})],
            [said(PNG_PART)],
            [],
            id="an image as a data URL",
        ),
        pytest.param(
            [user("Hi"), assistant(text("I "), text("see"), use(input={"é": [1]})), user(result())],
            [
                HI,
                {
                    "role": "assistant",
                    "content": "I see",
                    "tool_calls": [call(arguments='{"é":[1]}')],
                },
                tool(),
            ],
            [],
            id="a call",
        ),
        pytest.param(
            [
                user("Hi"),
                assistant(use("a"), use("b")),
                user(text("And?"), result("b", None), result("a", [text("1"), text("2")])),
            ],
            [
                HI,
                {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
                tool("b", ""),
                tool("a", "1\n2"),
                {"role": "user", "content": "And?"},
            ],
            [],
            id="results before the rest of the turn",
        ),
        pytest.param(
            [user(result("a", "No such file", is_error=True), result("b", "", is_error=True))],
            [tool("a", "The tool failed: No such file"), tool("b", "The tool failed:")],
            [],
            id="results of failure",
        ),
        pytest.param(
            [user(result("a", [text("seen"), IMAGE]), result("b", "x"), text("And?"))],
            [tool("a", "seen"), tool("b", "x"), said(*SHOWN, part("And?"))],
            [MOVED],
            id="images in results",
        ),
        pytest.param(
            [user(result("a", [IMAGE]))],
            [tool("a", "(an image, which follows)"), said(*SHOWN)],
            [MOVED],
            id="an image alone in a result",
        ),
        pytest.param(
            [user({"type": "document", "title": "T", "source": TEXT_SOURCE})],
            [{"role": "user", "content": '<document title="T">\nwords\n</document>'}],
            [],
            id="a document of text",
        ),
        pytest.param(
            [user({"type": "document", "source": {"type": "content", "content": "words"}})],
            [{"role": "user", "content": "<document>\nwords\n</document>"}],
            [],
            id="a document of content",
        ),
        pytest.param(
            [user({"type": "document", "source": PARTS_SOURCE})],
            [said(part("<document>"), part("a"), PNG_PART, part("</document>"))],
            [],
            id="a document of blocks",
        ),
        pytest.param(
            [
                user(
                    {
                        "type": "search_result",
                        "title": "T",
                        "source": "https://x",
                        "content": [text("a"), 3],
                    },
                    {"type": "search_result", "content": None},
                )
            ],
            [said(part("T\nhttps://x\na"), part(""))],
            [],
            id="what the client has found",
        ),
        pytest.param(
            [
                user("Hi"),
                assistant({"type": "server_tool_use"}, text("b")),
                user(text("c"), {"type": "container_upload"}, {"type": "brand_new"}),
            ],
            [HI, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
            [
                "dropped brand_new blocks: chat completions have nothing like them",
                "dropped container_upload blocks: chat completions have nothing like them",
                "dropped server_tool_use blocks: chat completions have nothing like them",
            ],
            id="kinds without a counterpart",
        ),
        pytest.param(
            [user("Hi"), assistant(THOUGHT), assistant(), user("")],
            [HI],
            [
                "dropped messages[1]: it is empty",
                "dropped messages[2]: it is empty",
                "dropped messages[3]: it is empty",
            ],
            id="turns of nothing",
        ),
        pytest.param(
            [user("Hi"), {"role": "system", "content": "Be brief."}],
            [HI, {"role": "system", "content": "Be brief."}],
            [],
            id="later instructions",
        ),
    ],
)
def test_messages(turns: list[Json], expected: list[Json], notes: list[str]) -> None:
    """The conversation keeps its words, calls and order in OpenAI's form."""
    chat, told = translated(request(*turns))

    assert (expected, notes) == (chat["messages"], told)


def sealed(text: str, signature: str | None = None) -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def redacted(data: str) -> Json:
    return {"type": "redacted_thinking", "data": data}


@pytest.mark.parametrize(
    ("blocks", "reasoning", "opaque"),
    [
        ([THOUGHT], "Hm.", f"messages:{SIGNATURE}"),
        ([sealed("Hm.", f"messages:{SIGNATURE}")], "Hm.", f"messages:{SIGNATURE}"),
        ([sealed("Hm.", "responses:gA gB")], "Hm.", "responses:gA gB"),
        ([sealed("Hm.", "chat:lgxM/6c==")], "Hm.", "lgxM/6c=="),
        ([sealed("Hm.", "")], "Hm.", None),
        ([sealed("Hm.", "what@ever")], "Hm.", None),
        ([sealed("a", "responses:x"), sealed("b", "responses:y")], "a\n\nb", "responses:x y"),
        ([sealed("a", "chat:x"), sealed("", "chat:y")], "a", "xy"),
        ([sealed("a", "aa"), sealed("b", "responses:y")], "a", "messages:aa"),
        ([sealed("a", "responses:x"), sealed("b", "bb")], "a", "responses:x"),
        (
            [sealed("a"), sealed("b", "bb"), redacted("cc"), sealed("", "dd"), sealed("e", "ee")],
            "b\n\n\n\n\n\ne",
            "messages:bb 3:!cc 5:dd 7:ee",
        ),
        ([redacted("cc")], None, "messages:!cc"),
        ([redacted("responses:x")], None, "responses:x"),
        ([sealed("a\n\nb", "messages:aa 3:bb")], "a\n\nb", "messages:aa 3:bb"),
        ([sealed("a", "messages:aa 9:bb")], None, None),
    ],
)
def test_thinking_keeps_its_seal(
    blocks: list[Json], reasoning: str | None, opaque: str | None
) -> None:
    """Reasoning goes back with the seal of the API that made it, and never under another's."""
    chat, notes = translated(request(user("Hi"), assistant(*blocks, text("a")), user("Hi")))

    message = chat["messages"][1]
    assert (reasoning, opaque) == (
        message.get("reasoning_content"),
        message.get("reasoning_opaque"),
    )
    assert [] == notes


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"type": "document", "source": {"type": "base64", "data": PIXEL}}, ".source"),
        ({"type": "document", "source": {"type": "url", "url": "https://x"}}, ".source"),
        ({"type": "image", "source": {"type": "url", "url": "https://x"}}, ".source"),
        ({"type": "image", "source": {"type": "file", "file_id": "x"}}, ".source"),
        (result(content=[{"type": "image", "source": "odd"}]), ".content[0].source"),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": {}}]},
            },
            ".source.content[0].source",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(block: Json, path: str) -> None:
    """A file or an address that Copilot would have to read is refused by name."""
    with pytest.raises(RequestError) as caught:
        to_chat(request(user("Hi"), user(text("See"), block)), [])

    assert f"messages[1].content[1]{path}" == caught.value.param


def test_nothing_to_answer_is_refused() -> None:
    """When no message is left, the client is told."""
    with pytest.raises(RequestError) as caught:
        to_chat(request(user("")), [])

    assert "messages" == caught.value.param


@pytest.mark.parametrize(
    "name", ["simple", "streaming", "thinking", "tool-use", "tool-use-followup", "server-tool"]
)
def test_recorded_requests_are_translated(name: str) -> None:
    """What clients really sent becomes a valid chat with the words of its last turn."""
    asked = recorded(f"{name}-request")
    chat, _ = translated(asked)

    last = asked["messages"][-1]["content"]
    assert (last if isinstance(last, str) else last[0]["content"]) == chat["messages"][-1][
        "content"
    ]
