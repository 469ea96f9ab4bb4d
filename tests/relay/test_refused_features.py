"""Features that Copilot refuses although it lists them are changed as if it did not list them."""

import json
from typing import Any

import pytest

from copilot_proxy.errors import UpstreamRefusal
from copilot_proxy.formats.refused_features import refused_features
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.routes.parts import CHAT, MESSAGES, RESPONSES, SCHEMA, chat, messages, responses

CLAUDE = "claude-opus-5"
FORMAT = {"type": "json_schema", "schema": SCHEMA}
FORMATS = {
    CHAT: chat(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    ),
    RESPONSES: responses(text={"format": {**FORMAT, "name": "n"}}),
    MESSAGES: messages(output_config={"format": FORMAT}),
}
EFFORTS = {
    CHAT: chat(reasoning_effort="high"),
    RESPONSES: responses(reasoning={"effort": "high"}),
    MESSAGES: messages(thinking={"type": "adaptive"}, output_config={"effort": "high"}),
}


def sent(simulator: Simulator) -> list[str]:
    """Return the bodies that Copilot has received."""
    posts = (one for one in simulator.state.requests if one.method == "POST" and one.body)
    return [json.dumps(one.body) for one in posts]


def refuse(simulator: Simulator, message: str, code: str, times: int = 1) -> None:
    error = json.dumps({"error": {"message": message, "code": code}})
    simulator.state.faults.on("invalid_request_body", value=error, times=times)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Precondition check failed.", "FAILED_PRECONDITION"),
        ("FAILED_PRECONDITION: output_config.format is not supported", "400"),
        ("output_config.format: Extra inputs are not permitted", "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("path", FORMATS)
def test_a_schema_becomes_an_instruction(
    proxy: Proxy, simulator: Simulator, path: str, message: str, code: str, stream: bool
) -> None:
    """Only some backends refuse a schema, so the next request has it again."""
    refuse(simulator, message, code)
    with proxy.client() as client:
        body = {"model": CLAUDE, "stream": stream, **FORMATS[path]}
        answers = [client.post(path, json=body) for _ in range(2)]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert "to an instruction" in answers[0].headers["x-copilot-proxy-notes"]
    assert "x-copilot-proxy-notes" not in answers[1].headers
    bodies = sent(simulator)
    assert [True, False, True] == ["json_schema" in one for one in bodies]
    assert "valid against this JSON schema" in bodies[1]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.4", CLAUDE])
@pytest.mark.parametrize("path", EFFORTS)
def test_an_effort_becomes_one_that_copilot_names(
    proxy: Proxy, simulator: Simulator, path: str, model: str, stream: bool
) -> None:
    """The effort is changed with a note, and later requests are not refused."""
    text = f'effort "high" is not supported by model {model}; supported values: [low medium]'
    refuse(simulator, text, "invalid_reasoning_effort")
    with proxy.client() as client:
        body = {"model": model, "stream": stream, **EFFORTS[path]}
        answers = [client.post(path, json=body) for _ in range(2)]

    assert [200, 200] == [answer.status_code for answer in answers]
    for answer in answers:
        assert "from high to medium" in answer.headers["x-copilot-proxy-notes"]
    assert [True, False, False] == ['"high"' in one for one in sent(simulator)]


@pytest.mark.parametrize(
    ("message", "attempts"),
    [
        ("supported values: [low medium]", 2),
        ("supported values: [high]", 1),
        ("supported values: [huge]", 1),
        ("It is not supported.", 1),
    ],
)
def test_a_refusal_that_does_not_help(
    proxy: Proxy, simulator: Simulator, message: str, attempts: int
) -> None:
    """A request is sent again at most once, and only if it has changed."""
    refuse(simulator, message, "invalid_reasoning_effort", times=9)
    body: dict[str, Any] = {"model": "gpt-5-mini", **EFFORTS[CHAT]}
    with proxy.client() as client:
        answer = client.post(CHAT, json=body)

    assert 400 == answer.status_code
    assert message in answer.json()["error"]["message"]
    assert attempts == len(sent(simulator))


@pytest.mark.parametrize("status", [402, 403, 429, 503])
def test_only_refused_bodies_are_changed(status: int) -> None:
    """A request that was refused for another reason is not sent again, whatever the text says."""
    body = {"output_config": {"format": FORMAT}}
    refused = UpstreamRefusal("FAILED_PRECONDITION", upstream_status=400)
    limited = UpstreamRefusal("FAILED_PRECONDITION", upstream_status=status)
    assert {"structured_outputs": False} == refused_features(refused, body)
    assert {} == refused_features(limited, body)
