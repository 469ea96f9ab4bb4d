"""The texts and the output limit of a request, whatever their fields are called."""

from typing import Any

import pytest

from copilot_proxy.formats.apis import client_apis
from copilot_proxy.formats.conversation import Conversation, Turn

TOOL_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
PARTS = [{"type": "text", "text": "Hi"}, PICTURE]
BE_BRIEF, HI = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}
TURNS = [Turn("system", ["Be brief."]), Turn("user", ["Hi"])]
REQUESTS: dict[str, tuple[dict[str, Any], Conversation]] = {
    "chat_completions": (
        {
            "messages": [
                BE_BRIEF,
                {"role": "user", "content": PARTS},
                {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]},
            ],
            "max_tokens": 80,
            "max_completion_tokens": 70,
        },
        Conversation([], [TURNS[0], Turn("user", ["Hi", ""]), Turn("assistant", [])]),
    ),
    "completions": (
        {"prompt": ["Hi"], "max_tokens": 70},
        Conversation([], [TURNS[1]]),
    ),
    "responses": (
        {
            "instructions": "Be brief.",
            "input": [HI, {"type": "function_call_output", "call_id": "c", "output": "summary"}],
            "max_output_tokens": 70,
        },
        Conversation(["Be brief."], [TURNS[1], Turn(None, [])]),
    ),
    "messages": (
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [HI], "max_tokens": 70},
        Conversation(["Be brief."], [TURNS[1]]),
    ),
    "ollama": (
        {"messages": [BE_BRIEF, HI], "options": {"num_predict": 70}},
        Conversation([], TURNS),
    ),
    "gemini": (
        {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}, {"functionCall": {}}]}],
            "generationConfig": {"maxOutputTokens": 70},
        },
        Conversation(["Be brief."], [Turn("user", ["Hi", ""])]),
    ),
}


@pytest.mark.parametrize("api", client_apis(), ids=lambda api: api.name)
def test_each_api(api: Any) -> None:
    request, conversation = REQUESTS[api.name]

    assert conversation == api.conversation(request)
    assert 70 == api.output_limit(request)


def test_without_a_limit() -> None:
    """Ollama clients send -1 for no limit."""
    limits = {
        api.name: api.output_limit({"options": {"num_predict": -1}, "max_tokens": None})
        for api in client_apis()
    }

    assert not any(limits.values()), limits
