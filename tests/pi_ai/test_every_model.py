"""Every chat model of the simulator's current catalogue answers through pi-ai."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from copilot_proxy.formats.model_profiles import profile_of
from copilot_proxy.formats.pi_ai.models import APIS, api_of
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.catalogue import DEFAULT_CATALOGUE
from tests.conftest import Proxy, clear_environment, settings_at
from tests.matrix import models
from tests.pi_ai.conftest import give_pi_ai, needs_pi_ai
from tests.selection import crossed, sample, traits

pytestmark = needs_pi_ai

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
MODELS = [
    model.id
    for model in sample(
        models(DEFAULT_CATALOGUE), alike=lambda model: traits(model, APIS[api_of(model)])
    )
]
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home = tmp_path_factory.mktemp("home")
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        Simulator(catalogue=DEFAULT_CATALOGUE, pace=0) as simulator,
    ):
        clear_environment(monkeypatch, home)
        give_pi_ai(home)
        with (
            Proxy(settings_at(simulator, upstream="pi-ai")) as proxy,
            httpx.Client(base_url=f"{proxy.url}/v1", timeout=60) as http,
        ):
            yield http


def ask(http: httpx.Client, model: str, *messages: Any, **fields: Any) -> Any:
    """Return the answering message."""
    request = {"model": model, "messages": messages, **fields}
    answer = http.post("/chat/completions", json=request)
    assert 200 == answer.status_code, answer.text
    return answer.json()["choices"][0]["message"]


@crossed(model=MODELS, effort=[None, "none", "high", "max"])
def test_the_tool_loop_of_every_model(http: httpx.Client, model: str, effort: str | None) -> None:
    """The model calls a tool and answers with its result, with and without thinking.

    This works even if the client sends no thinking back.
    """
    fields = {"tools": [TOOL], "reasoning_effort": effort, "temperature": 0.5}
    asked = {"role": "user", "content": "What is the weather in Rome?"}

    called = ask(http, model, asked, **fields)

    (call,) = called["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    plain = {name: called[name] for name in ("role", "content", "tool_calls")}
    for earlier in (called, plain):
        assert "sunny" in ask(http, model, asked, earlier, result, **fields)["content"]


@pytest.mark.parametrize("model", MODELS)
def test_an_edited_conversation_of_every_model(http: httpx.Client, model: str) -> None:
    """An answer with thinking from a longer conversation does not cause a refusal."""
    first = {"role": "user", "content": "Hello"}
    fields = {"reasoning_effort": "high"}
    said = ask(http, model, {"role": "system", "content": "Be brief."}, first, **fields)

    assert ask(http, model, first, said, {"role": "user", "content": "More"}, **fields)["content"]


@pytest.mark.parametrize("stream", [False, True])
def test_dropped_thinking_is_noted(http: httpx.Client, stream: bool) -> None:
    """If a model dropped thinking that belongs to another conversation, a note says so."""
    model = next(
        one.id
        for one in models(DEFAULT_CATALOGUE)
        if profile_of(one, "messages").thinking == "adaptive_only"
        and profile_of(one, "messages").binds_thinking
    )
    said = ask(http, model, {"role": "user", "content": "Hello"}, reasoning_effort="high")
    edited = [{"role": "user", "content": "Hi"}, said, {"role": "user", "content": "More"}]

    answer = http.post(
        "/chat/completions", json={"model": model, "messages": edited, "stream": stream}
    )

    assert "dropped parts of earlier messages" in answer.headers["x-copilot-proxy-notes"]


@pytest.mark.parametrize("model", ["claude-opus-5.5", "gpt-6.2-sol", "gemini-3.8-flash"])
def test_gemini_clients(http: httpx.Client, model: str) -> None:
    """Gemini clients also receive a call, thoughts, and an answer to the result."""
    config = {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}
    tools = [{"functionDeclarations": [{"name": "get_weather", "parameters": PARAMETERS}]}]
    user = {"role": "user", "parts": [{"text": "What is the weather in Rome?"}]}
    path = f"/models/{model}:generateContent"

    def generate(*contents: Any) -> Any:
        body = {"contents": contents, "tools": tools, "generationConfig": config}
        answer = http.post(path, json=body)
        assert 200 == answer.status_code, answer.text
        return answer.json()["candidates"][0]["content"]

    called = generate(user)
    *_, part = called["parts"]
    assert {"city": "Rome"} == part["functionCall"]["args"]
    result = {"functionResponse": {"name": "get_weather", "response": {"output": "12 degrees"}}}
    final = generate(user, called, {"role": "user", "parts": [result]})
    assert "12 degrees" in "".join(part.get("text", "") for part in final["parts"])
