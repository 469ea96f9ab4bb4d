"""Every line of a stream is complete, even for clients that split at unusual characters."""

import json
from typing import Any

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

WORDS = "one\u2028two\u2029three\x85four five\u2028six seven\u2028eight"
MESSAGES = [{"role": "user", "content": WORDS}]
REQUESTS: dict[str, Any] = {
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/completions": {"prompt": WORDS},
    "/v1/responses": {"input": WORDS},
    "/v1/messages": {"messages": MESSAGES, "max_tokens": 500},
    "/v1beta/models/{}:streamGenerateContent?alt=sse": {"contents": WORDS},
    "/v1beta/models/{}:streamGenerateContent": {"contents": WORDS},
    "/api/chat": {"messages": MESSAGES},
    "/api/generate": {"prompt": WORDS},
}


def texts(value: Any) -> str:
    """Return all texts in decoded JSON, joined."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return "".join(map(texts, value))
    return value if isinstance(value, str) else ""


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.5", "claude-sonnet-4.5"])
@pytest.mark.parametrize("path", REQUESTS)
def test_lines_end_only_at_line_feeds(simulator: Simulator, path: str, model: str) -> None:
    """httpx and Ollama's SDK split lines at U+2028, U+2029 and U+0085; no event is split there."""
    body = {"model": model, "stream": True, **REQUESTS[path]}
    if "{}" in path:
        del body["model"], body["stream"]
    with Proxy(settings_at(simulator, ollama=True)) as proxy, proxy.client() as client:
        answer = client.post(path.format(model), json=body)

    lines = [line.removeprefix("data: ").strip("[],") for line in answer.iter_lines()]
    found = texts([json.loads(line) for line in lines if "{" in line])

    assert 200 == answer.status_code
    assert all(found.count(char) >= WORDS.count(char) for char in "\u2028\u2029\x85")
