"""Recorded requests and responses from the real Copilot API."""

import json
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.formats.responses.request import initiator, parse_request
from copilot_proxy.formats.responses.request_to_model import responses_for_model
from tests.formats.responses.answers import check_event, message_of, repair_whole

RECORDINGS = Path(__file__).parent / "recordings"
NAMES = ["simple", "function-call", "function-call-followup"]


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_recorded_requests_are_unchanged(name: str) -> None:
    """Requests that the real API answered are accepted and passed on unchanged."""
    path = RECORDINGS / f"{name}-request.json"
    asked = parse_request(path.read_bytes())

    body = responses_for_model(asked, None, []).body

    del body["store"], body["include"]
    for item in asked["input"] if isinstance(asked["input"], list) else ():
        item.pop("id", None)
    assert asked == body
    assert ("agent" if "followup" in name else "user") == initiator(asked)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_responses_are_repaired(name: str) -> None:
    """A repaired real response is valid for OpenAI's own types."""
    asked = recorded(f"{name}-request")
    answer = recorded(f"{name}-response")

    whole = repair_whole(answer, asked)

    check_event({"type": "response.completed", "sequence_number": 0, "response": whole})
    assert all(len(item["id"]) <= 64 for item in [whole, *whole["output"]])
    assert answer["usage"]["total_tokens"] == whole["usage"]["total_tokens"]
    assert {} == whole["metadata"]


@pytest.mark.parametrize(
    ("name", "field", "said"),
    [
        ("simple", "content", "Hello there, friend"),
        (
            "function-call",
            "tool_calls",
            [
                {
                    "id": "call_IvYLluXXEws7EcemBgX4GzdX",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": '{"location":"Tokyo"}'},
                }
            ],
        ),
    ],
)
def test_recorded_responses_are_translated(name: str, field: str, said: Any) -> None:
    """A real response keeps its content as a chat message."""
    assert said == message_of([recorded(f"{name}-response")])[field]
