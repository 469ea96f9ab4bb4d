"""Message fields and betas that Copilot refuses by name are dropped, at the cost of one refusal."""

from typing import Any

import pytest

from copilot_proxy.formats.refused_fields import refused_fields, without_field
from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy

OWN: Json = {"text": "Hi", "foo": 1}
CLAUDE, GPT = "claude-sonnet-4.5", "gpt-5.5"
MESSAGES: Json = {
    "model": CLAUDE,
    "max_tokens": 50,
    "messages": [
        {"role": "user", "content": [{"type": "text", **OWN}]},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", **OWN}]},
    ],
}
RESPONSES: Json = {
    "model": GPT,
    "input": [
        {"role": "user", "content": [{"type": "input_text", **OWN}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
        {"role": "user", "content": [{"type": "input_text", **OWN}]},
    ],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body", "message", "note"),
    [
        (
            "/v1/messages",
            MESSAGES,
            "messages.2.content.0.text.foo: Extra inputs are not permitted",
            "dropped foo from some messages",
        ),
        (
            "/v1/responses",
            RESPONSES,
            "Unknown parameter: 'input[0].content[0].foo'.",
            "dropped foo from some input",
        ),
    ],
)
def test_the_field_is_dropped(
    proxy: Proxy,
    simulator: Simulator,
    path: str,
    body: Json,
    message: str,
    note: str,
    stream: bool,
) -> None:
    """The field is dropped from all messages, with a note; later requests are not refused."""
    simulator.state.faults.on("invalid_request_body", value=message, times=1)
    with proxy.client() as client:
        answers = [client.post(path, json={**body, "stream": stream}) for _ in range(2)]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert all(note in answer.headers["x-copilot-proxy-notes"] for answer in answers)
    sent = [str(one.body) for one in simulator.state.requests if one.method == "POST" and one.body]
    assert [2, 0, 0] == [text.count("'foo'") for text in sent]


BETA, OTHER = "mid-conversation-tool-changes-2026-07-01", "inline-tools-2026-09-15"
KEPT = "context-management-2025-06-27"
BETA_REFUSAL = f"unsupported beta header(s): {BETA}"
FIELD_REFUSAL = "messages.2.content.0.text.foo: Extra inputs are not permitted"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("message", "sent_then"),
    [
        (f"unsupported beta header(s): {BETA}", f"{KEPT},{OTHER}"),
        (f"unsupported beta header(s): {BETA}, {OTHER}", KEPT),
        (
            f"Unexpected value(s) `{BETA}`, `{OTHER}` for the `anthropic-beta` header. Please "
            "consult our documentation or try again without the header.",
            KEPT,
        ),
        (f"unsupported beta header(s): {BETA}, {OTHER}, {KEPT}", None),
    ],
)
def test_betas_are_dropped(
    proxy: Proxy, simulator: Simulator, message: str, sent_then: str | None, stream: bool
) -> None:
    """Betas that Copilot refuses by name are dropped, with a note, also from later requests."""
    body = {**MESSAGES, "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    headers = {"anthropic-beta": f"{KEPT},{BETA},{OTHER}"}
    simulator.state.faults.on("invalid_request_body", value=message, times=1)
    with proxy.client() as client:
        answers = [client.post("/v1/messages", json=body, headers=headers) for _ in range(2)]

    assert [200, 200] == [answer.status_code for answer in answers]
    note = f"dropped beta {BETA}: Copilot does not support it"
    assert all(note in answer.headers["x-copilot-proxy-notes"] for answer in answers)
    sent = [
        one.headers.get("anthropic-beta")
        for one in simulator.state.requests
        if one.path.endswith("/messages")
    ]
    assert [f"{KEPT},{OTHER},{BETA}", sent_then, sent_then] == sent


def test_a_field_of_a_refused_beta(proxy: Proxy, simulator: Simulator) -> None:
    """Without the beta, its field may be refused, too; then it is dropped as well."""
    faults, refusals = simulator.state.faults, [BETA_REFUSAL, FIELD_REFUSAL]
    answer_of = faults.answer

    def answer(path: str) -> Any:
        if path.endswith("/messages") and refusals:
            faults.on("invalid_request_body", value=refusals.pop(0), times=1)
        return answer_of(path)

    faults.answer = answer  # type: ignore[method-assign]
    with proxy.client() as client:
        response = client.post("/v1/messages", json=MESSAGES, headers={"anthropic-beta": BETA})

    assert 200 == response.status_code
    notes = response.headers["x-copilot-proxy-notes"]
    assert f"dropped beta {BETA}" in notes
    assert "dropped foo from some messages" in notes


def test_a_beta_that_was_not_sent(proxy: Proxy, simulator: Simulator) -> None:
    """The refusal is passed on, without a second request."""
    simulator.state.faults.on("invalid_request_body", value=BETA_REFUSAL, times=1)
    body = {**MESSAGES, "messages": [{"role": "user", "content": "Hi"}]}
    with proxy.client() as client:
        answer = client.post("/v1/messages", json=body)

    assert 400 == answer.status_code
    assert BETA_REFUSAL in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "message",
    [
        "output_config: Extra inputs are not permitted",
        "thinking.enabled.foo: Extra inputs are not permitted",
        "messages.0.role: Extra inputs are not permitted",
        "messages.0.content.0.text.bar: Extra inputs are not permitted",
        "Unknown parameter: 'reasoning.foo'.",
    ],
)
def test_other_refusals_are_reported(proxy: Proxy, simulator: Simulator, message: str) -> None:
    """Refusals of other fields are errors: clients rely on these fields, or did not send them."""
    simulator.state.faults.on("invalid_request_body", value=message)
    with proxy.client() as client:
        answer = client.post("/v1/messages", json=MESSAGES)

    assert 400 == answer.status_code
    assert message.rstrip(".") in answer.json()["error"]["message"]
    assert 1 == sum(
        one.method == "POST" and one.body is not None for one in simulator.state.requests
    )


def test_a_field_that_is_refused_twice(proxy: Proxy, simulator: Simulator) -> None:
    """After a second refusal, the error is returned."""
    message = "messages.0.content.0.text.foo: Extra inputs are not permitted"
    simulator.state.faults.on("invalid_request_body", value=message)
    with proxy.client() as client:
        assert 400 == client.post("/v1/messages", json=MESSAGES).status_code

    assert 2 == sum(
        one.method == "POST" and one.body is not None for one in simulator.state.requests
    )


@pytest.mark.parametrize(
    ("message", "body", "expected"),
    [
        (
            "tools.3.custom.foo: Extra inputs are not permitted",
            {"tools": [{"name": "a", "foo": 1}, {"type": "web_search", "foo": 1}]},
            {"tools": [{"name": "a"}, {"type": "web_search", "foo": 1}]},
        ),
        (
            "messages.0.content.1.image.source.base64.foo: Extra inputs are not permitted",
            {
                "messages": [
                    {"content": [{"type": "image", "source": {"type": "base64", "foo": 1}}]}
                ]
            },
            {"messages": [{"content": [{"type": "image", "source": {"type": "base64"}}]}]},
        ),
        (
            "Unknown parameter: 'input[2].foo'.",
            {"input": [{"foo": 1}, {"content": "x"}]},
            {"input": [{}, {"content": "x"}]},
        ),
        (
            "Unknown parameter: 'tools[0].tools[1].foo'.",
            {"tools": [{"tools": [{"foo": 1}]}, {"foo": 1}]},
            {"tools": [{"tools": [{}]}, {"foo": 1}]},
        ),
    ],
)
def test_paths(message: str, body: Any, expected: Any) -> None:
    """A field is dropped from all parts of the same kind, and nowhere else."""
    (path,) = refused_fields(f"Bad: {message}")
    assert expected == without_field(body, path)
