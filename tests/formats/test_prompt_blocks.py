"""A prompt is split into blocks in the order in which providers cache them."""

from typing import Any

import pytest

from copilot_proxy.formats.prompt_blocks import blocks, size_of

MARK = {"type": "ephemeral"}


def names(api: str, body: dict[str, Any]) -> list[str]:
    """Return the kind, number and name of each block."""
    return [" ".join(map(str, place)).strip() for place, _ in blocks(api, body)]


def data(api: str, body: dict[str, Any]) -> list[bytes]:
    return [content for _, content in blocks(api, body)]


@pytest.mark.parametrize(
    ("api", "body", "expected"),
    [
        (
            "messages",
            {
                "system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
                "tools": [{"name": "Bash"}],
                "thinking": {"type": "adaptive"},
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "c"}] * 2},
                    {"role": "assistant", "content": "d"},
                ],
            },
            "tool 1 Bash,system 1,system 2,settings 1,message 1,message 1,message 2",
        ),
        (
            "chat_completions",
            {
                "messages": [
                    {"role": "system", "content": "a"},
                    {"role": "user", "content": "b"},
                    {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
                    {"role": "tool", "content": "d", "tool_call_id": "c"},
                ],
                "tools": [{"type": "function", "function": {"name": "bash"}}],
            },
            "tool 1 bash,system 1,message 1,message 2,message 3",
        ),
        (
            "responses",
            {
                "instructions": "a",
                "input": [
                    {"role": "developer", "content": "b"},
                    {"type": "message", "role": "user", "content": "c"},
                    {"type": "function_call", "call_id": "1", "name": "x", "arguments": "{}"},
                ],
                "tools": [{"type": "web_search"}],
            },
            "tool 1 web_search,system 1,system 2,message 1,message 2",
        ),
        ("responses", {"input": "a"}, "message 1"),
        (
            "pi_ai",
            {
                "context": {
                    "systemPrompt": "a",
                    "tools": [{"name": "b"}],
                    "messages": [{"role": "user", "content": "c", "timestamp": 1}],
                }
            },
            "tool 1 b,system 1,message 1",
        ),
        ("embeddings", {"input": ["a"]}, ""),
    ],
)
def test_the_order(api: str, body: dict[str, Any], expected: str) -> None:
    """The order is tools, system prompt, conversation, in every API."""
    assert expected == ",".join(names(api, body))


@pytest.mark.parametrize(
    ("api", "one", "other"),
    [
        (
            "messages",
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "user", "content": [
                {"type": "text", "text": "a", "cache_control": MARK}]}]},
        ),
        (
            "messages",
            {"tools": [{"name": "a"}], "messages": [{"role": "user", "content": [
                {"type": "tool_result", "content": [{"type": "image", "source": {}}]}]}]},
            {"tools": [{"name": "a", "cache_control": MARK}], "messages": [
                {"role": "user", "content": [{"type": "tool_result", "content": [
                    {"type": "image", "source": {}, "cache_control": MARK}]}]}]},
        ),
        (
            "chat_completions",
            {"messages": [{"role": "user", "content": "a"}]},
            {"messages": [{"role": "user", "content": "a", "copilot_cache_control": MARK}]},
        ),
        (
            "responses",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]},
                       {"type": "reasoning", "encrypted_content": "x"}]},
            {"input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": "x", "prompt_cache_breakpoint": {}}]},
                {"type": "reasoning", "id": "rs_1", "encrypted_content": "x"}]},
        ),
    ],
)  # fmt: skip
def test_irrelevant_differences(api: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Marks, ids, and whether text is in a string or a block are not part of the prompt."""
    assert data(api, one) == data(api, other)


def test_the_id_of_a_call() -> None:
    """A result and the id of its call are one block, which changes with either."""
    results = [
        {"role": "tool", "content": content, "tool_call_id": id}
        for content, id in (("a", "1"), ("a", "2"), ("b", "1"))
    ]
    found = [data("chat_completions", {"messages": [result]}) for result in results]

    assert [1, 1, 1] == [len(one) for one in found]
    assert 3 == len({one for (one,) in found})


def test_a_text_about_marks() -> None:
    """Text that mentions a mark is unchanged."""
    result = {"type": "tool_result", "content": 'Set "cache_control": 1 here.'}
    (block,) = blocks("messages", {"messages": [{"role": "user", "content": [result]}]})

    assert b"cache_control" in block[1]


def test_sizes() -> None:
    """Image data does not count toward the size, but long texts do."""
    image = b'["user",{"type":"image","source":{"type":"base64","data":"' + b"A" * 100_000
    assert [6400, 100_000] == [size_of(content) for content in (image, b"word " * 20_000)]
