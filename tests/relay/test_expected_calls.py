"""If a model cannot be forced to call a tool and does not call it, the answer has a note."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

NOTE: Final = "the model did not call a tool"
CITY: Final = {"city": {"type": "string"}}
SCHEMA: Final = {"type": "object", "properties": CITY, "required": ["city"]}
FUNCTION: Final = {"name": "get_weather", "parameters": SCHEMA}


def chat(text: str) -> Json:
    return {
        "messages": [{"role": "user", "content": text}],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    }


def responses(text: str) -> Json:
    tools = [{"type": "function", **FUNCTION}]
    return {"input": text, "tools": tools, "tool_choice": "required"}


def messages(text: str) -> Json:
    return {
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": text}],
        "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
    }


@pytest.fixture
def proxy_of_today() -> Iterator[Proxy]:
    """A server with a simulator of the newest models."""
    with Simulator(pace=0) as simulator, Proxy(settings_at(simulator)) as proxy:
        yield proxy


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("make", [chat, responses, messages], ids=lambda make: make.__name__)
def test_the_note(proxy_of_today: Proxy, make: Any, stream: bool) -> None:
    """The note is in the headers, or in the log if a stream's headers have already been sent."""
    path = {chat: "chat/completions", responses: "responses", messages: "messages"}[make]
    for text, is_called in (("Hi", False), ("What is the weather in Paris?", True)):
        body = {"model": "claude-opus-5.5", "stream": stream, **make(text)}
        with proxy_of_today.client() as client:
            answer = client.post(f"/v1/{path}", json=body)
        record = proxy_of_today.wait_for_record(2 if is_called else 1)

        assert 200 == answer.status_code, answer.text
        notes = answer.headers["x-copilot-proxy-notes"]
        assert "changed tool_choice to auto" in notes
        assert stream or is_called == ("Paris" in answer.text)
        assert is_called != any(NOTE in note for note in record.notes)
        assert stream or is_called != (NOTE in notes)
