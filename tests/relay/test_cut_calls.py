"""A tool call cut off by the output limit never looks complete, on any path."""

from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

SCHEMA = {"type": "object", "properties": {"content": {"type": "string"}}, "required": ["content"]}
PROMPT = "call write_file with '" + " ".join(f"word{number}" for number in range(100)) + "'"
ASK = [{"role": "user", "content": PROMPT}]
FUNCTION = {"name": "write_file", "parameters": SCHEMA}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["claude-sonnet-5.5", "claude-haiku-4.5"])
def test_the_finish_reason_is_the_limit(model: str, stream: bool) -> None:
    """On Messages or Chat Completions, every client receives the finish reason for the limit."""
    common: dict[str, Any] = {"model": model, "stream": stream}
    requests = {
        "/v1/chat/completions": {
            "messages": ASK,
            "max_tokens": 20,
            "tools": [{"type": "function", "function": FUNCTION}],
        },
        "/v1/responses": {
            "input": ASK,
            "max_output_tokens": 20,
            "tools": [{"type": "function", **FUNCTION}],
        },
        "/v1/messages": {
            "messages": ASK,
            "max_tokens": 20,
            "tools": [{"name": "write_file", "input_schema": SCHEMA}],
        },
    }
    with (
        Simulator(catalogue="2026-11", pace=0) as simulator,
        Proxy(settings_at(simulator)) as proxy,
        proxy.client() as client,
    ):
        texts = {path: client.post(path, json=common | r).text for path, r in requests.items()}

    chat, responses, messages = texts.values()
    assert "write_file" in chat
    assert '"finish_reason":"length"' in chat
    assert '"finish_reason":"tool_calls"' not in chat
    assert '"incomplete_details":{"reason":"max_output_tokens"}' in responses
    assert '"stop_reason":"max_tokens"' in messages
