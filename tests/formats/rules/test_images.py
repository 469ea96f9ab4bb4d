"""Images over a model's limit are replaced, and wrong media types are corrected."""

from typing import Any

import pytest

from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.types import Json
from tests.formats.requests import recorded

PNG = "iVBORw0KGgo="
CHAT_IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def kept(turns: list[Any]) -> str:
    """Return ``i`` for each image, and ``t`` for each text that replaced an image."""
    found = ""
    for turn in turns:
        for part in turn["content"] if isinstance(turn["content"], list) else ():
            if part["type"] == "tool_result":
                found += kept([part])
            elif part["type"] == "text":
                found += "t" if "was removed" in part["text"] else ""
            elif part["type"] in ("image", "image_url"):
                found += "i"
    return found


@pytest.mark.parametrize(
    ("earlier", "last", "expected"),
    [
        (9, 1, "i" * 10),
        (10, 1, "ttttt" + "i" * 6),
        (14, 1, "ttttt" + "i" * 10),
        (15, 1, "t" * 10 + "i" * 6),
        (2, 9, "tt" + "i" * 9),
        (2, 11, "tt" + "i" * 11),
        (0, 11, "i" * 11),
    ],
)
def test_the_oldest_are_replaced(earlier: int, last: int, expected: str) -> None:
    """Images before the last message are replaced in batches, to keep the prompt cache valid."""
    turns = [{"role": "user", "content": [CHAT_IMAGE]}] * earlier
    turns += [{"role": "user", "content": [CHAT_IMAGE] * last}]
    chat: Json = {"model": "x", "messages": turns}
    notes: list[str] = []

    body = CHAT_COMPLETIONS.from_chat(chat, recorded("gemini-2.5-pro"), notes).body

    assert expected == kept(body["messages"])
    assert ("t" in expected) == any("earlier images" in note for note in notes)
    assert "t" not in kept(turns), "the client's request has not changed"


def test_screenshots_of_tools() -> None:
    """On Messages, screenshots in tool results are also replaced."""
    turns: list[Json] = [{"role": "user", "content": "Hi"}]
    for number in range(22):
        use = {"type": "tool_use", "id": f"a{number}", "name": "f", "input": {}}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": [IMAGE]}
        turns.append({"role": "assistant", "content": [use]})
        turns.append({"role": "user", "content": [result]})
    assert MESSAGES.native is not None
    request = {"model": "x", "max_tokens": 9, "messages": turns}

    body = MESSAGES.native.body(request, None, []).body

    assert "t" * 10 + "i" * 12 == kept(body["messages"])
    assert "i" * 22 == kept(turns)


@pytest.mark.parametrize(
    ("model", "url", "sent"),
    [
        ("claude-sonnet-4.5", f"data:image/jpeg;base64,{PNG}", f"data:image/png;base64,{PNG}"),
        ("claude-sonnet-4.5", f"data:image/png;base64,{PNG}", f"data:image/png;base64,{PNG}"),
        ("claude-sonnet-4.5", "data:image/gif;base64,AAAA", "data:image/gif;base64,AAAA"),
        ("claude-sonnet-4.5", "data:image/gif;base64,A", "data:image/gif;base64,A"),
        ("claude-sonnet-4.5", "data:image/gif;base64,ÄÖ", "data:image/gif;base64,ÄÖ"),
        ("gpt-4o", f"data:image/jpeg;base64,{PNG}", f"data:image/png;base64,{PNG}"),
    ],
)
def test_types(model: str, url: str, sent: str) -> None:
    """The first bytes determine the media type; if they are unknown, the declared type is kept."""
    part: Json = {"type": "image_url", "image_url": {"url": url}}
    chat: Json = {"model": "x", "messages": [{"role": "user", "content": [part]}]}

    body = CHAT_COMPLETIONS.from_chat(chat, recorded(model), []).body

    assert sent == body["messages"][0]["content"][0]["image_url"]["url"]
    assert url == part["image_url"]["url"], "the client's request has not changed"
