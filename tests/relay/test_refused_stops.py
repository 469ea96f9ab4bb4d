"""Stop sequences that Copilot refuses are applied by the server, at the cost of one refusal."""

import json

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy

TURNS = [{"role": "user", "content": "One END two"}]
REQUESTS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": TURNS, "stop": "END"},
    "/v1/messages": {"messages": TURNS, "max_tokens": 50, "stop_sequences": ["END"]},
    "/v1/completions": {"prompt": "One END two", "stop": ["END"]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", REQUESTS)
def test_the_answer_stops(proxy: Proxy, simulator: Simulator, path: str, stream: bool) -> None:
    """The model is called again without stop sequences, and later requests are not refused."""
    body = {"model": "gpt-5.1", "stream": stream, **REQUESTS[path]}
    with proxy.client() as client:
        answers = [client.post(path, json=body) for _ in range(2)]

    for answer in answers:
        assert 200 == answer.status_code, answer.text
        assert "One" in answer.text
        assert "two" not in answer.text
        assert "on this server" in answer.headers["x-copilot-proxy-notes"]
    sent = [one.body for one in simulator.state.requests if one.method == "POST" and one.body]
    assert [True, False, False] == ["stop" in one for one in sent]


def test_a_model_that_accepts_them(proxy: Proxy, simulator: Simulator) -> None:
    """The model receives the stop sequences, so the user does not pay for unneeded text."""
    body = {"model": "gpt-5-mini", **REQUESTS["/v1/chat/completions"]}
    with proxy.client() as client:
        answer = client.post("/v1/chat/completions", json=body)

    assert 200 == answer.status_code
    assert "x-copilot-proxy-notes" not in answer.headers
    assert "END" == simulator.state.requests[-1].body["stop"]


def test_a_refusal_without_stop_sequences(proxy: Proxy, simulator: Simulator) -> None:
    """A request without stop sequences is not sent again."""
    text = "Unsupported parameter: 'stop' is not supported with this model."
    simulator.state.faults.on("invalid_request_body", value=text)
    body = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hi"}]}
    with proxy.client() as client:
        answer = client.post("/v1/chat/completions", json=body)

    assert 400 == answer.status_code
    assert text in json.dumps(answer.json())
    assert 1 == sum(bool(one.body) for one in simulator.state.requests if one.method == "POST")
