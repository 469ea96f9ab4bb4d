"""What the server remembers for one caller never reaches another."""

from typing import Any

import httpx

from copilot_proxy.headers import CLIENT_ID
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy

Json = dict[str, Any]

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}},
}


def ask(client: httpx.Client, token: str, messages: list[Json]) -> Json:
    """Return the message that answers `messages` for a caller with its own sign-in."""
    body = {"model": "gemini-2.5-pro", "messages": messages, "tools": [WEATHER]}
    headers = {"authorization": f"Bearer {token}"}
    answer = client.post("/v1/chat/completions", json=body, headers=headers)
    assert 200 == answer.status_code, answer.text
    message: Json = answer.json()["choices"][0]["message"]
    return message


def test_reasoning_is_restored_for_its_caller_only(proxy: Proxy, simulator: Simulator) -> None:
    """Two callers have calls with the same id, but each gets back only its own reasoning."""
    one, two = (simulator.state.issue_oauth_token(CLIENT_ID) for _ in range(2))
    question = {"role": "user", "content": "Use the tool: weather in Paris"}
    with proxy.client() as client:
        said = ask(client, one, [question])
        (call,) = said["tool_calls"]
        history: list[Json] = [
            question,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": "12 degrees"},
        ]
        sent = []
        for token in (two, one):
            ask(client, token, history)
            sent.append(simulator.state.requests[-1].body["messages"][1])

    assert said["reasoning_opaque"]
    assert [None, said["reasoning_opaque"]] == [one.get("reasoning_opaque") for one in sent]
