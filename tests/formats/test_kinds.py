"""Content types are found wherever a client may put them in a conversation."""

from typing import Any

import pytest

from copilot_proxy.formats.kinds import request_kinds

IMAGES: list[Any] = [
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:"}]}]},
    {"messages": [{"role": "user", "content": "Look", "images": ["iVBO"]}]},
    {"messages": [{"content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]},
    {"messages": [{"content": [{"type": "document", "source": {"content": [{"type": "image"}]}}]}]},
    {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
    {"input": [{"type": "function_call_output", "output": [{"type": "input_image"}]}]},
    {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot"}}]},
    {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]},
    {"contents": [{"parts": [{"functionResponse": {"parts": [{"inlineData": {}}]}}]}]},
    {"contents": [], "systemInstruction": {"parts": [{"inlineData": {}}]}},
]
FILES: list[Any] = [
    {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
    {"messages": [{"content": [{"type": "tool_result", "content": [{"type": "document"}]}]}]},
    {"input": [{"type": "function_call_output", "output": [{"type": "input_file"}]}]},
    {"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf"}}]}]},
]
TEXTS: list[Any] = [
    {"messages": [{"role": "user", "content": 'Is {"type": "image"} right?'}]},
    {"messages": [{"content": [{"type": "tool_use", "input": {"type": "image", "images": []}}]}]},
    {"input": "image", "tools": [{"type": "image_generation"}]},
    {"input": [None, 1, [], {"type": ["image"]}], "messages": {"type": "text"}},
    {},
]


@pytest.mark.parametrize("request_", IMAGES)
def test_images(request_: Any) -> None:
    assert request_kinds(request_).has_images


@pytest.mark.parametrize("request_", FILES)
def test_files(request_: Any) -> None:
    assert request_kinds(request_).has_files


@pytest.mark.parametrize("request_", TEXTS)
def test_nothing_but_text(request_: Any) -> None:
    kinds = request_kinds(request_)
    assert not kinds.has_images
    assert not kinds.has_files
