"""The guard against long-prompt prices: agents compact instead of paying double."""

from typing import Any

import httpx
import pytest

from copilot_proxy.attribution import Attribution
from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import RequestError
from copilot_proxy.relay.admission import AdmitAll
from copilot_proxy.relay.context_guard import ContextGuard
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.catalogue import load
from tests.conftest import Proxy, settings_at

LONG = "Follow the conventions of the code around you. " * 300
SCHEMA = {"type": "object", "properties": {}}
MESSAGES = [{"role": "user", "content": LONG}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "messages": MESSAGES,
        "tools": [{"type": "function", "function": {"name": "Bash", "parameters": SCHEMA}}],
    },
    "/v1/responses": {
        "input": MESSAGES,
        "tools": [{"type": "function", "name": "Bash", "parameters": SCHEMA}],
    },
    "/v1/messages": {
        "messages": MESSAGES,
        "max_tokens": 100,
        "tools": [{"name": "Bash", "input_schema": SCHEMA}],
    },
}


def catalogue(threshold: int) -> list[Any]:
    """Return a model that costs twice as much for prompts of more than `threshold` tokens."""
    entry = next(one for one in load("2026-03") if one["id"] == "gpt-5.5")
    prices = {"input_price": 500, "output_price": 3000, "cache_read_price": 50}
    entry["billing"]["token_prices"] = {
        "batch_size": 1_000_000,
        "default": {**prices, "max_prompt_tokens": threshold},
        "long_context": {name: 2 * price for name, price in prices.items()},
    }
    return [entry]


def ask(client: httpx.Client, path: str, **changes: Any) -> httpx.Response:
    return client.post(path, json={"model": "gpt-5.5", **BODIES[path], **changes})


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_a_long_prompt(path: str, stream: bool) -> None:
    """On each API, the refusal has that API's own words for a prompt that is too long."""
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator, context_guard=True)) as proxy,
        proxy.client() as client,
    ):
        answer = ask(client, path, stream=stream)
        field = "input" if path == "/v1/responses" else "messages"
        request = [*MESSAGES, {"role": "user", "content": "Write a detailed summary."}]
        summary = ask(client, path, **{field: request})
        without_tools = ask(client, path, tools=[])
        short = ask(client, path, **{field: [{"role": "user", "content": "Hi"}]})
        sent = [one for one in simulator.state.requests if "model" in (one.body or {})]

    error = answer.json()["error"]
    assert 400 == answer.status_code
    assert [200] * 3 == [one.status_code for one in (summary, without_tools, short)]
    assert 3 == len(sent)
    if path == "/v1/messages":
        assert "invalid_request_error" == error["type"]
        assert error["message"].startswith("prompt is too long: ")
        assert error["message"].endswith(" tokens > 2000 maximum")
    else:
        assert "context_length_exceeded" == error["code"]
        assert field == error["param"]
        assert "exceeds the limit of 2000" in error["message"]
        assert "context_guard" in error["hint"]


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("has_tools", [True, False])
def test_a_prompt_that_compacting_does_not_shorten(path: str, has_tools: bool) -> None:
    """A conversation is refused once; otherwise, opencode would compact it without end."""
    field = "input" if path == "/v1/responses" else "messages"
    summary = {field: [*MESSAGES, {"role": "user", "content": "Write a detailed summary."}]}
    if not has_tools:
        summary["tools"] = []
    short = {field: [{"role": "user", "content": "Hi"}]}
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator, context_guard=True)) as proxy,
        proxy.client() as client,
    ):
        bodies: list[dict[str, Any]] = [{}, {}, summary, {}, {}, short, {}]
        statuses = [ask(client, path, **one).status_code for one in bodies]

    assert [400, 400, 200, 200, 200, 200, 400] == statuses


def test_a_continued_response() -> None:
    """The length counts that of the earlier conversation, which the request only refers to."""
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator, context_guard=True)) as proxy,
        proxy.client() as client,
    ):
        first = ask(client, "/v1/responses", input=LONG[:6000], store=True)
        more = {"input": LONG[:3300], "previous_response_id": first.json()["id"]}
        second = ask(client, "/v1/responses", **more)

    assert (200, 400) == (first.status_code, second.status_code)
    assert "context_length_exceeded" == second.json()["error"]["code"]


def test_tools_in_the_conversation() -> None:
    """Codex sends its tools as an item of the input, and is an agent nonetheless."""
    listing = {"type": "additional_tools", "role": "developer", "tools": [
        {"type": "function", "name": "Bash", "parameters": SCHEMA}
    ]}  # fmt: skip
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator, context_guard=True)) as proxy,
        proxy.client() as client,
    ):
        answer = ask(client, "/v1/responses", tools=[], input=[listing, *MESSAGES])
        without = ask(client, "/v1/responses", tools=[])

    assert (400, 200) == (answer.status_code, without.status_code)


def test_off() -> None:
    """Without the setting, long prompts are sent, whatever they cost."""
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator)) as proxy,
        proxy.client() as client,
    ):
        assert 200 == ask(client, "/v1/messages").status_code


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.anyio
async def test_learning() -> None:
    """The next estimate is corrected by the estimation error of the session's last prompt."""
    (entry,) = parse_models({"data": catalogue(2000)})
    guard = ContextGuard(AdmitAll())

    def record() -> RequestRecord:
        made = RequestRecord("1", "messages", model="gpt-5.5", listed=entry, body_bytes=10_000)
        made.tools, made.attribution = 1, Attribution(session="s-1")
        return made

    first = record()
    await guard.admit(first, asking("a word " * 900))  # 1,575 tokens, as estimated
    first.usage = {"prompt_tokens": 1000}
    guard(first)
    await guard.admit(record(), asking("a word " * 1450))  # 550 more words, 963 tokens
    with pytest.raises(RequestError, match="2050 exceeds the limit of 2000"):
        await guard.admit(record(), asking("a word " * 1500))


def test_a_note_before_the_price_rises(caplog: pytest.LogCaptureFixture) -> None:
    """Requests in a conversation that is almost too long get a note; the log has the note once."""
    with (
        Simulator(catalogue=catalogue(2000), pace=0) as simulator,
        Proxy(settings_at(simulator)) as proxy,
        proxy.client() as client,
    ):
        path = "/v1/chat/completions"
        first = ask(client, path)
        proxy.wait_for_record()
        second = ask(client, path)
        proxy.wait_for_record(2)
        short = ask(client, path, messages=[{"role": "user", "content": "hi"}])
        third = ask(client, path)
    said = "every token of gpt-5.5 costs more"
    assert said not in first.headers.get("x-copilot-proxy-notes", "")
    assert f"above 2,000, {said}" in second.headers["x-copilot-proxy-notes"]
    assert said not in short.headers.get("x-copilot-proxy-notes", "")
    # Without a session, the conversation seems to have been compacted.
    assert said not in third.headers.get("x-copilot-proxy-notes", "")
    assert 1 == caplog.text.count(said)
