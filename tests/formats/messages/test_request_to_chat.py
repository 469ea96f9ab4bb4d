"""A Messages request for a model that Copilot does not serve on Messages."""

import copy
from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.request import check_request
from copilot_proxy.formats.messages.request_to_chat import to_chat
from copilot_proxy.formats.types import ChatRequest, Json, MessagesRequest
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


def user_parts(*parts: Any) -> Json:
    content: Any = list(parts)
    return {"role": "user", "content": content}


def part(text: str) -> Json:
    return {"type": "text", "text": text}


def translated(sent: MessagesRequest) -> tuple[ChatRequest, list[str]]:
    """Return the chat request, which is valid, and the notes; `sent` is not modified."""
    before = copy.deepcopy(sent)
    notes: list[str] = []
    chat = to_chat(sent, notes)
    assert before == sent
    check_request(chat)
    return chat, notes


REQUIRED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


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
            ["dropped the billing line from the system prompt: it would defeat the cache"],
        ),
        ({"system": [text("")]}, {}, []),
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}, []),
        ({"stop_sequences": list("abcde")}, {"stop": list("abcde")}, []),
        (
            {"top_k": 3, "service_tier": "auto", "container": None, "cache_control": {}},
            {},
            [
                "dropped top_k: Chat Completions has no equivalent",
                "dropped service_tier: Chat Completions has no equivalent",
            ],
        ),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}, []),
        ({"metadata": {"user_id": None}}, {}, []),
        (
            {"metadata": {"user_id": "u" * 65}},
            {},
            ["dropped metadata.user_id: it is longer than 64 characters"],
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
                        "strict": False,
                    },
                }
            },
            [],
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": REQUIRED}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {
                        "name": "answer",
                        "schema": {**REQUIRED, "additionalProperties": False},
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
    ],
)
def test_fields(fields: Json, expected: Json, notes: list[str]) -> None:
    """Each field is translated to its Chat Completions equivalent, or dropped with a note."""
    assert ({**HEAD, "messages": [HI], **expected}, notes) == translated(request(**fields))


MOVED = "moved images from tool results to a user message, where every model accepts them"
TEXT_SOURCE = {"type": "text", "media_type": "text/plain", "data": "words"}
PARTS_SOURCE = {"type": "content", "content": [text("a"), IMAGE]}
RESULT_IMAGE = [part("From tool result 1:"), PNG_PART]


@pytest.mark.parametrize(
    ("messages", "expected", "notes"),
    [
        pytest.param([user(text("Hi"))], [HI], [], id="one text"),
        pytest.param(
            [user(text("a"), IMAGE, text(""), text("b"))],
            [user_parts(part("a"), PNG_PART, part("b"))],
            [],
            id="text and an image",
        ),
        pytest.param(
            [user({"type": "image", "source": {"type": "url", "url": PNG}})],
            [user_parts(PNG_PART)],
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
            id="results before the user's words",
        ),
        pytest.param(
            [user(result("a", "No such file", is_error=True), result("b", "", is_error=True))],
            [tool("a", "The tool failed: No such file"), tool("b", "The tool failed:")],
            [],
            id="results with errors",
        ),
        pytest.param(
            [user(result("a", [text("seen"), IMAGE]), result("b", "x"), text("And?"))],
            [tool("a", "seen"), tool("b", "x"), user_parts(*RESULT_IMAGE, part("And?"))],
            [MOVED],
            id="images in results",
        ),
        pytest.param(
            [user(result("a", [IMAGE]))],
            [tool("a", "(an image, which follows)"), user_parts(*RESULT_IMAGE)],
            [MOVED],
            id="a result that is only an image",
        ),
        pytest.param(
            [user({"type": "document", "title": "T", "source": TEXT_SOURCE})],
            [{"role": "user", "content": '<document title="T">\nwords\n</document>'}],
            [],
            id="a text document",
        ),
        pytest.param(
            [user({"type": "document", "source": {"type": "content", "content": "words"}})],
            [{"role": "user", "content": "<document>\nwords\n</document>"}],
            [],
            id="a document with content",
        ),
        pytest.param(
            [user({"type": "document", "source": PARTS_SOURCE})],
            [user_parts(part("<document>"), part("a"), PNG_PART, part("</document>"))],
            [],
            id="a document with blocks",
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
            [user_parts(part("T\nhttps://x\na"), part(""))],
            [],
            id="search results of the client",
        ),
        pytest.param(
            [
                user("Hi"),
                assistant(
                    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
                    {"type": "compaction", "content": "They met."},
                    {"type": "brand_new", "encrypted_content": "x"},
                    text("b"),
                ),
                user("c"),
            ],
            [
                HI,
                {
                    "role": "assistant",
                    "content": '(server_tool_use: {"name":"web_search","input":{"q":1}})\n\n'
                    "Summary of the conversation so far:\nThey met.\n\n(brand_new: {})\n\nb",
                },
                {"role": "user", "content": "c"},
            ],
            [
                "changed brand_new blocks to text: Copilot does not support them",
                "changed compaction blocks to text: Copilot does not support them",
                "changed server_tool_use blocks to text: Copilot does not support them",
            ],
            id="types without an equivalent",
        ),
        pytest.param(
            [user("Hi"), assistant(THOUGHT), assistant(), user("")],
            [HI],
            [
                "dropped messages[1]: it is empty",
                "dropped messages[2]: it is empty",
                "dropped messages[3]: it is empty",
            ],
            id="empty messages",
        ),
        pytest.param(
            [user("Hi"), {"role": "system", "content": "Be brief."}],
            [HI, {"role": "system", "content": "Be brief."}],
            [],
            id="a later system message",
        ),
    ],
)
def test_messages(messages: list[Json], expected: list[Json], notes: list[str]) -> None:
    """The conversation keeps its texts, calls and order in OpenAI's format."""
    chat, noted = translated(request(*messages))

    assert (expected, notes) == (chat["messages"], noted)


def thinking(text: str, signature: str | None = None) -> Json:
    return {"type": "thinking", "thinking": text, "signature": signature}


def redacted(data: str) -> Json:
    return {"type": "redacted_thinking", "data": data}


@pytest.mark.parametrize(
    ("blocks", "reasoning", "opaque"),
    [
        ([THOUGHT], "Hm.", f"messages:{SIGNATURE}"),
        ([thinking("Hm.", f"messages:{SIGNATURE}")], "Hm.", f"messages:{SIGNATURE}"),
        ([thinking("Hm.", "responses:gA gB")], "Hm.", "responses:gA gB"),
        ([thinking("Hm.", "chat:lgxM/6c==")], "Hm.", "lgxM/6c=="),
        ([thinking("Hm.", "")], "Hm.", None),
        ([thinking("Hm.", "what@ever")], "Hm.", None),
        ([thinking("a", "responses:x"), thinking("b", "responses:y")], "a\n\nb", "responses:x y"),
        ([thinking("a", "chat:x"), thinking("", "chat:y")], "a", "xy"),
        ([thinking("a", "aa"), thinking("b", "responses:y")], "a", "messages:aa"),
        ([thinking("a", "responses:x"), thinking("b", "bb")], "a", "responses:x"),
        (
            [
                thinking("a"),
                thinking("b", "bb"),
                redacted("cc"),
                thinking("", "dd"),
                thinking("e", "ee"),
            ],
            "b\n\ne",
            "messages:bb 3:!cc 3:dd 3:ee",
        ),
        ([redacted("cc")], None, "messages:!cc"),
        ([redacted("responses:x")], None, "responses:x"),
        ([thinking("a\n\nb", "messages:aa 3:bb")], "a\n\nb", "messages:aa 3:bb"),
        ([thinking("a", "messages:aa 9:bb")], None, None),
    ],
)
def test_thinking_keeps_its_signature(
    blocks: list[Json], reasoning: str | None, opaque: str | None
) -> None:
    """Reasoning keeps the signature of the API that made it, and never gets another API's tag."""
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
        ({"type": "document", "source": {"type": "base64", "data": PIXEL}}, ".source.data"),
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
def test_media_without_data_is_rejected(block: Json, path: str) -> None:
    """A file or URL that Copilot would have to fetch is rejected with the name of its field."""
    with pytest.raises(RequestError) as caught:
        to_chat(request(user("Hi"), user(text("See"), block)), [])

    assert f"messages[1].content[1]{path}" == caught.value.param


def test_an_empty_conversation_is_rejected() -> None:
    """If no message is left, the client receives an error."""
    with pytest.raises(RequestError) as caught:
        to_chat(request(user("")), [])

    assert "messages" == caught.value.param


@pytest.mark.parametrize(
    "name", ["simple", "streaming", "thinking", "tool-use", "tool-use-followup"]
)
def test_recorded_requests_are_translated(name: str) -> None:
    """Recorded requests from real clients become valid chats with the text of the last message."""
    sent = recorded(f"{name}-request")
    chat, _ = translated(sent)

    last = sent["messages"][-1]["content"]
    assert (last if isinstance(last, str) else last[0]["content"]) == chat["messages"][-1][
        "content"
    ]
