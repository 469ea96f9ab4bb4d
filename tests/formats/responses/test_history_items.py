"""Conversation items that Copilot's models do not know, as sent by Codex and others."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.formats.responses.compaction import SUMMARY_PROMPT, compaction_response
from copilot_proxy.formats.responses.history_items import COMPACTED, item_contents
from copilot_proxy.formats.responses.request import count_images
from copilot_proxy.formats.responses.request_to_chat import to_chat
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from copilot_proxy.formats.types import Json
from tests.formats.responses.answers import request
from tests.formats.responses.models import GPT
from tests.pictures import PNG

SCREENSHOT = f"data:image/png;base64,{PNG}"
USER: Json = {"role": "user", "content": "Hi"}
AGENT: Json = {
    "type": "agent_message",
    "id": "amsg_1",
    "author": "/root/reviewer",
    "recipient": "/root",
    "content": [
        {"type": "input_text", "text": "Check the rollback."},
        {"type": "encrypted_content", "encrypted_content": "gAAAA"},
    ],
}
SAID = "Message from /root/reviewer to /root:\nCheck the rollback."
ACTION: Json = {"type": "exec", "command": ["ls", "-l"]}


def native(*items: Json) -> tuple[list[Json], list[str]]:
    """Return the items that a GPT model receives after the user's item, and the notes."""
    notes: list[str] = []
    return responses_for_model(request([USER, *items]), GPT, notes).body["input"][1:], notes


def chat(*items: Json) -> tuple[list[Json], list[str]]:
    """Return the chat messages that follow the user's, and the notes."""
    notes: list[str] = []
    return to_chat(request([USER, *items]), notes)["messages"][1:], notes


def test_a_message_of_another_agent_is_read() -> None:
    """The message becomes a user message with the agents' names; encrypted content gets a note."""
    (item,), notes = native(AGENT)
    (message,), also = chat(AGENT)

    assert ("user", SAID) == (item["role"], item["content"][0]["text"])
    assert {"role": "user", "content": SAID} == message
    note = "dropped the encrypted part of an agent_message: Copilot cannot read it"
    assert [note] == notes == also


@pytest.mark.parametrize("kind", ["compaction", "context_compaction", "compaction_summary"])
def test_compactions(kind: str) -> None:
    """GPT models get the compaction as OpenAI's type of item; others get text that mentions it."""
    item = {"type": kind, "id": "cmp_1", "encrypted_content": "gBBBB"}

    assert [{"type": "compaction", "encrypted_content": "gBBBB"}] == native(item)[0]
    messages, notes = chat(item)
    assert [{"role": "user", "content": COMPACTED}] == messages
    assert ["changed a compaction item to text: the model cannot read it"] == notes


def test_an_empty_compaction_says_nothing() -> None:
    """A compaction marker from Codex that has no content is left out."""
    assert (
        ([], []) == native({"type": "context_compaction"}) == chat({"type": "context_compaction"})
    )


def test_every_model_compacts() -> None:
    """For any model, a request for a compaction becomes a request for a summary."""
    (item,) = native({"type": "compaction_trigger"})[0]
    assert ("user", SUMMARY_PROMPT) == (item["role"], item["content"][0]["text"])
    assert [{"role": "user", "content": SUMMARY_PROMPT}] == chat({"type": "compaction_trigger"})[0]


def test_our_own_compactions_are_read() -> None:
    """The summary reaches any model; content that only resembles a summary is not an error."""
    response = {
        "id": "resp_1",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "It is é."}]}],
    }
    (item,) = compaction_response(response)["output"]
    for kind in ("compaction", "context_compaction"):
        (said,), notes = native({**item, "type": kind})
        assert "user" == said["role"]
        assert said["content"][0]["text"].endswith("\n\nIt is é.")
        assert chat({**item, "type": kind})[0][0]["content"].endswith("\n\nIt is é.")
        assert [] == notes
    assert [] == item_contents({"input": [item]}), "it would be removed as refused reasoning"
    for broken in ("!", "AAAA", "eJw"):
        sealed = f"copilot-proxy-summary:{broken}"
        assert native({"type": "compaction", "encrypted_content": sealed})[0]


@pytest.mark.parametrize(
    "response", [{"status": "completed", "output": []}, {"status": "incomplete", "output": []}]
)
def test_a_summary_must_be_complete(response: Json) -> None:
    """An incomplete summary is an error, since the rest of the conversation would be lost."""
    with pytest.raises(BrokenResponse):
        compaction_response(response)


@pytest.mark.parametrize(
    ("items", "name", "arguments", "output"),
    [
        (
            [{"type": "local_shell_call", "id": "x", "call_id": "a", "action": ACTION},
             {"type": "local_shell_call_output", "id": "a", "output": "total 0"}],
            "local_shell", ACTION, "total 0",
        ),
        (
            # Codex answers with the output of a function.
            [{"type": "local_shell_call", "call_id": "a", "action": ACTION},
             {"type": "function_call_output", "call_id": "a", "output": "total 0"}],
            "local_shell", ACTION, "total 0",
        ),
        (
            [{"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}},
             {"type": "shell_call_output", "call_id": "a", "output": [{"stdout": "x"}]}],
            "shell", {"commands": ["ls"]}, '[{"stdout":"x"}]',
        ),
        (
            [{"type": "apply_patch_call", "call_id": "a", "operation": {"type": "delete_file"}},
             {"type": "apply_patch_call_output", "call_id": "a", "output": "ok"}],
            "apply_patch", {"type": "delete_file"}, "ok",
        ),
        (
            [{"type": "mcp_call", "id": "a", "server_label": "moon", "name": "phase",
              "arguments": '{"p":1}', "output": "full"}],
            "moon__phase", {"p": 1}, "full",
        ),
    ],
)  # fmt: skip
def test_calls_of_other_tools(items: list[Json], name: str, arguments: Json, output: str) -> None:
    """The model sees both the call and its result."""
    (call, result), notes = native(*items)
    (message, answer), also = chat(*items)

    assert ("function_call", "a", name) == (call["type"], call["call_id"], call["name"])
    assert arguments == json.loads(call["arguments"])
    assert {"type": "function_call_output", "call_id": "a", "output": output} == result
    assert name == message["tool_calls"][0]["function"]["name"]
    assert {"role": "tool", "tool_call_id": "a", "content": output} == answer
    assert ([], []) == (notes, also)


def test_a_screenshot_stays_an_image() -> None:
    """The model can see the picture in the output of a computer call."""
    shot = {"type": "computer_screenshot", "image_url": SCREENSHOT}
    items = [
        {"type": "computer_call", "call_id": "a", "action": {"type": "screenshot"}},
        {"type": "computer_call_output", "call_id": "a", "output": shot},
    ]

    _, result = native(*items)[0]

    assert [{"type": "input_image", "image_url": SCREENSHOT}] == result["output"]
    assert 1 == count_images(request(items))


def test_hosted_calls_become_text() -> None:
    """A hosted call becomes assistant text; a generated image is dropped with a note."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed",
              "action": {"type": "search", "query": "moon"}}  # fmt: skip
    picture = {
        "type": "image_generation_call",
        "id": "x",
        "result": "A" * 99,
        "revised_prompt": "A cat",
    }

    unexplained = {name: v for name, v in picture.items() if name != "revised_prompt"}
    items, notes = native(search, picture, unexplained)
    (message,), chat_notes = chat(search, picture, unexplained)

    texts = [item["content"][0]["text"] for item in items]
    assert [
        '(web_search_call: {"action":{"type":"search","query":"moon"}})',
        '(image_generation_call: {"revised_prompt":"A cat"})',
        '(image_generation_call: {"result":"an image"})',
    ] == texts
    assert ("assistant", "\n\n".join(texts)) == (message["role"], message["content"])
    noted = ["dropped the image of an image_generation_call: no model accepts it"] * 2
    assert noted == notes == chat_notes


def test_an_unknown_item_is_never_lost() -> None:
    """GPT models may know the item, so they receive it unchanged; other models receive it as
    text."""
    item: Json = {"type": "later_invention", "id": "x", "words": "important"}

    assert ([{"type": "later_invention", "words": "important"}], []) == native(item)
    messages, notes = chat(item)
    assert [{"role": "user", "content": '(later_invention: {"words":"important"})'}] == messages
    assert ["changed a later_invention item to text: the model does not support it"] == notes


def test_items_without_words_are_noted() -> None:
    """Settings updates are dropped with a note, since Copilot does not support them."""
    note = "dropped an input item: Copilot does not support configuration_update"
    item: dict[str, Any] = {"type": "configuration_update", "id": "x", "new": 1}

    assert ([], [note]) == native(item) == chat(item)
