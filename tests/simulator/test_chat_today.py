"""Current chat completions: Kimi, Gemini's schemas, refusals, and answers without choices."""

import pytest

from copilot_proxy.simulator.script import REFUSAL
from tests.simulator.conftest import WEATHER

pytestmark = pytest.mark.parametrize("simulator", ["2026-11"], indirect=True)

GEMINI = ("gemini-3.8-flash", "gemini-4-carbon")
CHATTING = ("claude-opus-4.8", "gemini-4-carbon", "kimi-k3", "mai-code-1.1-flash")
TEXT = {"type": "string"}


def tool(schema):
    return {"type": "function", "function": {"name": "get_weather", "parameters": schema}}


def with_property(schema):
    return {"type": "object", "properties": {"city": schema}}


def message_of(answer):
    return answer.json()["error"]["message"]


def test_kimi_accepts_one_temperature(copilot):
    """Kimi accepts only temperature 1 with top_p 0.95, or the language server's 0 and 1."""
    for temperature, top_p in ((1, 0.95), (0, 1)):
        answer = copilot.chat(model="kimi-k3", temperature=temperature, top_p=top_p)
        assert 200 == answer.status_code
    for name, value in (("temperature", 0.6), ("top_p", 0.5)):
        answer = copilot.chat(model="kimi-k3", **{name: value})
        assert (400, True) == (answer.status_code, f"invalid {name}" in message_of(answer))


def test_kimi_numbers_its_calls(copilot):
    """The id of a call consists of the tool's name and the call's number in the conversation."""
    question = {"role": "user", "content": "Call get_weather for Paris and London"}
    body = {"model": "kimi-k3", "tools": [tool(WEATHER)], "messages": [question]}
    first = copilot.post("/chat/completions", body).json()["choices"][0]["message"]
    assert ["get_weather:0", "get_weather:1"] == [one["id"] for one in first["tool_calls"]]
    results = [
        {"role": "tool", "tool_call_id": one["id"], "content": "Sunny"}
        for one in first["tool_calls"]
    ]
    body["messages"] = [question, first, *results, question]
    events = copilot.events(copilot.post("/chat/completions", {**body, "stream": True}).text)
    deltas = [c["delta"] for e in events[:-1] for c in e.data["choices"]]
    ids = [one["id"] for d in deltas for one in d.get("tool_calls") or [] if "id" in one]
    assert ["get_weather:2", "get_weather:3"] == ids
    assert any("reasoning_text" in delta for delta in deltas)
    copilot.simulator.state.faults.on("repeated_ids", times=1)
    again = copilot.post("/chat/completions", body).json()["choices"][0]["message"]
    assert ["get_weather:0", "get_weather:1"] == [one["id"] for one in again["tool_calls"]]


@pytest.mark.parametrize("model", GEMINI)
def test_gemini_validates_tool_calls(copilot, model):
    """Gemini accepts the tool choice `validated` if there are tools; other models do not."""
    more = {"tools": [tool(WEATHER)], "tool_choice": "validated"}
    assert 200 == copilot.chat(model=model, **more).status_code
    assert 400 == copilot.chat(model=model, tool_choice="validated").status_code
    for other in ("claude-opus-4.8", "kimi-k3"):
        assert "unknown tool_choice" in message_of(copilot.chat(model=other, **more))


@pytest.mark.parametrize("model", GEMINI)
@pytest.mark.parametrize(
    ("schema", "taken"),
    [
        ({"type": "string", "nullable": True}, True),
        ({"anyOf": [TEXT, {"type": "number"}]}, True),
        ({"type": ["string", "null"]}, False),
        ({"type": "string", "anyOf": [TEXT]}, False),
        ({"properties": {}, "anyOf": [TEXT]}, False),
        ({"type": "array", "items": {"type": ["number", "null"]}}, False),
        ({"anyOf": [{"type": ["string", "null"]}]}, False),
    ],
)
def test_geminis_schemas(copilot, model, schema, taken):
    """A type next to anyOf, or a list of types, gets a bare 400; other vendors accept both."""
    answer = copilot.chat(model=model, tools=[tool(with_property(schema))])
    if taken:
        assert 200 == answer.status_code
    else:
        assert (400, "Bad Request\n") == (answer.status_code, answer.text)
    assert 200 == copilot.chat(model="kimi-k3", tools=[tool(with_property(schema))]).status_code


@pytest.mark.parametrize("properties", [[], "x", {"a": {"anyOf": "x"}}, {"a": {"items": [1]}}])
def test_malformed_schemas_for_gemini(copilot, properties):
    """Malformed schemas are refused, as for other models."""
    malformed = {"type": "object", "properties": properties}
    answers = [copilot.chat(model=m, tools=[tool(malformed)]) for m in (GEMINI[0], "kimi-k3")]
    assert [400, 400] == [answer.status_code for answer in answers]
    assert message_of(answers[1]) == message_of(answers[0])


@pytest.mark.parametrize("stream", [False, True])
def test_a_limit_of_one_token_gives_no_choices(copilot, stream):
    """With a limit of one token, newer Claude models return usage, but no choices."""
    answer = copilot.chat(model="claude-opus-4.8", max_tokens=1, stream=stream)
    body = copilot.events(answer.text)[0].data if stream else answer.json()
    assert ([], True) == (body["choices"], body["usage"]["prompt_tokens"] > 0)
    assert copilot.chat(model="claude-sonnet-4.6", max_tokens=1).json()["choices"]


@pytest.mark.parametrize("model", CHATTING)
def test_a_refusal_on_chat(simulator, copilot, model):
    """Streamed and whole answers have the finish reason `refusal` and the explanation."""
    simulator.state.faults.on("refusal")
    choice = copilot.chat(model=model).json()["choices"][0]
    assert ("refusal", REFUSAL) == (choice["finish_reason"], choice["message"]["refusal"])
    events = copilot.events(copilot.chat(model=model, stream=True).text)
    last = [c for e in events[:-1] for c in e.data["choices"]][-1]
    assert ("refusal", REFUSAL) == (last["finish_reason"], last["delta"]["refusal"])


def test_a_refusal_on_messages(simulator, copilot):
    """The stop reason is refusal, with details."""
    simulator.state.faults.on("refusal")
    details = {"type": "refusal", "category": "cyber", "explanation": REFUSAL}
    body = copilot.messages(model="claude-sonnet-5.5").json()
    assert ("refusal", details) == (body["stop_reason"], body["stop_details"])
    events = copilot.events(copilot.messages(model="claude-sonnet-5.5", stream=True).text)
    delta = next(e.data["delta"] for e in events if e.name == "message_delta")
    assert ("refusal", details) == (delta["stop_reason"], delta["stop_details"])


def test_a_refusal_on_responses(simulator, copilot):
    """The message has a refusal part, which is streamed in its own events."""
    simulator.state.faults.on("refusal")
    part = {"type": "refusal", "refusal": REFUSAL}
    assert [part] == copilot.responses("Hi", "gpt-6.1-sol").json()["output"][-1]["content"]
    events = copilot.events(copilot.responses("Hi", "gpt-6.1-sol", stream=True).text)
    deltas = [e.data["delta"] for e in events if e.name == "response.refusal.delta"]
    assert REFUSAL == "".join(deltas)


@pytest.mark.parametrize("model", CHATTING)
def test_a_stream_may_lack_its_finish(simulator, copilot, model):
    """With the fault no_finish, [DONE] is sent without a finish_reason before it."""
    simulator.state.faults.on("no_finish")
    events = copilot.events(copilot.chat(model=model, stream=True).text)
    assert "[DONE]" == events[-1].data
    assert not any(c.get("finish_reason") for e in events[:-1] for c in e.data["choices"])


@pytest.mark.parametrize(
    ("model", "limit"),
    [("gemini-4-carbon", 10), ("claude-opus-4.8", 99), ("mai-code-1.1-flash", 99)],
)
def test_more_images_than_listed(copilot, picture, model, limit):
    """As many images as VS Code sends are accepted; for Gemini, one more is refused."""

    def send(number):
        body = {"model": model, "messages": [{"role": "user", "content": [picture] * number}]}
        return copilot.post("/chat/completions", body, copilot_vision_request="true")

    assert 200 == send(limit).status_code
    if limit == 10:
        assert f"exceeds the limit of {limit}" in message_of(send(limit + 1))
