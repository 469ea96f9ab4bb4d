"""Ollama's Python library, its asynchronous variant, and LangChain's Ollama package."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import ollama
import pytest
from pydantic import BaseModel

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.matrix_clients import PNG
from tests.selection import crossed

VENDORS = ("gpt-4o", "gpt-5.5", "claude-sonnet-4.5", "claude-opus-5", "gemini-3.1-pro-preview")


class City(BaseModel):
    """A schema that the answer must follow."""

    name: str
    degrees: int


@pytest.fixture
def proxy(simulator: Simulator) -> Iterator[Proxy]:
    """A server with Ollama's API."""
    with Proxy(settings_at(simulator, ollama=True)) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[ollama.Client]:
    """Ollama's own client."""
    with ollama.Client(proxy.url, verify=NO_TLS, trust_env=False) as client:
        yield client


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: the name
    """
    return f"12 degrees in {city}"


@pytest.mark.parametrize("model", VENDORS)
def test_unusual_ends_of_lines(client: ollama.Client, model: str) -> None:
    """Characters that end a line only in some languages do not break a stream."""
    words = user("one\u2028two\u2029three\x85four")

    parts = list(client.chat(model, words, stream=True))

    whole = client.chat(model, words).message.content
    assert "one\u2028two\u2029three\x85four" in str(whole)
    assert whole == "".join(part.message.content or "" for part in parts)


@pytest.mark.parametrize("model", VENDORS)
def test_chat(client: ollama.Client, model: str) -> None:
    """A stream adds up to the whole answer, and the last part has the counts."""
    whole = client.chat(model, user("Say hello"))
    parts = list(client.chat(f"{model}:latest", user("Say hello"), stream=True))

    assert "You said: Say hello" in str(whole.message.content)
    assert whole.message.content == "".join(part.message.content or "" for part in parts)
    assert (model, f"{model}:latest") == (whole.model, parts[0].model)
    for last in (whole, parts[-1]):
        assert (True, "stop") == (last.done, last.done_reason)
        assert (last.prompt_eval_count or 0) > 0
        assert (last.eval_count or 0) > 0
        assert (last.total_duration or 0) >= (last.eval_duration or 0) > 0
    assert not any(part.done for part in parts[:-1])


@crossed(model=VENDORS, stream=[False, True])
def test_tools(client: ollama.Client, simulator: Simulator, model: str, stream: bool) -> None:
    """A Python function becomes a tool, and calls have objects as arguments.

    The loop ends with an answer, although this client sends no ids.
    """
    messages: list[Any] = user("Use the tool: weather in Paris and London")
    calls: list[Any] = []
    if stream:
        for part in client.chat(model, messages, tools=[get_weather], stream=True):
            calls += part.message.tool_calls or []
        messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    else:
        answer = client.chat(model, messages, tools=[get_weather])
        calls += answer.message.tool_calls or []
        messages.append(answer.message)
    assert [{"city": "Paris"}, {"city": "London"}] == [call.function.arguments for call in calls]

    for call in calls:
        content = get_weather(**call.function.arguments)
        messages.append({"role": "tool", "tool_name": call.function.name, "content": content})
    last = client.chat(model, messages, tools=[get_weather])

    assert "get_weather answered: 12 degrees in Paris" in str(last.message.content)
    assert "get_weather answered: 12 degrees in London" in str(last.message.content)
    assert "agent" == simulator.state.requests[-1].initiator


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-opus-5"])
def test_thinking(client: ollama.Client, model: str) -> None:
    """Thinking is separate from the text, and can be turned off."""
    parts = list(client.chat(model, user("Why?"), think=True, stream=True))
    level = client.chat(model, user("Why?"), think="high")
    without = client.generate(model, "Why?", think=False)

    assert "".join(part.message.thinking or "" for part in parts)
    assert "You said: Why?" in "".join(part.message.content or "" for part in parts)
    assert level.message.thinking
    assert without.thinking is None
    assert "You said: Why?" in str(without.response)


@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4.5"])
def test_images(client: ollama.Client, simulator: Simulator, model: str) -> None:
    """Images reach the model in chats and in prompts for `generate`."""
    image = base64.b64decode(PNG)
    said = client.chat(model, [{"role": "user", "content": "What?", "images": [image]}])
    made = client.generate(model, "What?", images=[image])

    assert "I see 1 image." in str(said.message.content)
    assert "I see 1 image." in str(made.response)
    assert simulator.state.requests[-1].vision


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.5", "claude-sonnet-4.5"])
def test_schemas(client: ollama.Client, model: str) -> None:
    """The answer follows a schema; with `json`, it is an object."""
    answer = client.chat(model, user("A city"), format=City.model_json_schema())
    City.model_validate_json(str(answer.message.content))

    assert str(client.generate(model, "A city", format="json").response).startswith("{")


def test_generate(client: ollama.Client) -> None:
    """A prompt gets a streamed or whole answer; without a prompt, the model is only loaded."""
    parts = list(client.generate("gpt-4o", "Ahoy", system="Be brief.", stream=True))
    assert "You said: Ahoy" in "".join(part.response or "" for part in parts)
    assert parts[-1].done

    assert "load" == client.generate("gpt-4o").done_reason
    assert "unload" == client.generate("gpt-4o", keep_alive=0).done_reason
    assert ["load"] == [part.done_reason for part in client.chat("gpt-4o", [], stream=True)]


def test_embeddings(client: ollama.Client) -> None:
    """`embed` and the older `embeddings` return the same vectors."""
    model = "text-embedding-3-small"
    both = client.embed(model, ["x", "y"], dimensions=8)
    one = client.embed(model, "x")

    assert [8, 8] == [len(vector) for vector in both.embeddings]
    assert (both.prompt_eval_count or 0) > 0
    assert list(one.embeddings[0]) == list(client.embeddings(model, "x").embedding)
    assert [] == client.embed(model, []).embeddings


def test_models(client: ollama.Client, simulator: Simulator) -> None:
    """The list, the capabilities of each model, and the running models are returned."""
    names = [str(one.model) for one in client.list().models]
    assert {"gpt-4o:latest", "text-embedding-3-small:latest"} < set(names)
    assert all(name.endswith(":latest") for name in names)

    shown = client.show("claude-opus-5:latest")
    assert {"completion", "tools", "vision", "thinking"} == set(shown.capabilities or [])
    assert shown.modelinfo is not None
    architecture = shown.modelinfo["general.architecture"]
    assert shown.modelinfo[f"{architecture}.context_length"] > 100_000
    assert ["embedding"] == client.show("text-embedding-3-small").capabilities
    assert [] == client.ps().models
    assert not [one for one in simulator.state.requests if one.method == "POST"]


def test_errors(client: ollama.Client, simulator: Simulator) -> None:
    """Errors before and during an answer say what to do."""
    with pytest.raises(ollama.ResponseError, match="no-such-model") as unknown:
        client.chat("no-such-model", user("Hi"))
    assert 404 == unknown.value.status_code
    with pytest.raises(ollama.ResponseError, match="/api/tags") as pulled:
        client.pull("gpt-4o")
    assert 501 == pulled.value.status_code
    with pytest.raises(ollama.ResponseError, match="raw"):
        client.generate("gpt-4o", "Hi", raw=True)

    simulator.state.faults.on("cut_mid_stream")
    said = ""
    with pytest.raises(ollama.ResponseError, match="lost in the middle"):
        for part in client.chat("gpt-4o", user("Write 50 words"), stream=True):
            said += part.message.content or ""
    assert said


def test_home_assistant(proxy: Proxy) -> None:
    """Home Assistant lists models, then streams with tools, and sends results without names."""
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
    more: dict[str, Any] = {
        "stream": True,
        "keep_alive": "-1s",
        "options": {"num_ctx": 8192},
        "think": False,
        "tools": [tool],
    }

    async def ask() -> str:
        async with ollama.AsyncClient(proxy.url, verify=NO_TLS, trust_env=False) as client:
            assert (await client.list()).models
            messages: list[Any] = [
                ollama.Message(role="system", content="You control a house."),
                ollama.Message(role="user", content="Use the tool: weather in Paris and London"),
            ]
            calls: list[ollama.Message.ToolCall] = []
            async for part in await client.chat("gpt-4o", messages, **more):
                calls += part.message.tool_calls or []
            messages.append(ollama.Message(role="assistant", content="", tool_calls=calls))
            for call in calls:
                text = get_weather(**call.function.arguments)
                messages.append(ollama.Message(role="tool", content=text))
            stream = await client.chat("gpt-4o", messages, **more)
            return "".join([part.message.content or "" async for part in stream])

    said = asyncio.run(ask())
    assert "get_weather answered: 12 degrees in Paris" in said
    assert "get_weather answered: 12 degrees in London" in said


def test_async(proxy: Proxy) -> None:
    """The asynchronous client can stream."""

    async def ask() -> str:
        async with ollama.AsyncClient(proxy.url, verify=NO_TLS, trust_env=False) as client:
            stream = await client.chat("gpt-5.5", user("Ahoy"), stream=True)
            return "".join([part.message.content or "" async for part in stream])

    assert "You said: Ahoy" in asyncio.run(ask())


def test_the_caller_is_known(client: ollama.Client, proxy: Proxy) -> None:
    """The ledger contains the name of the library."""
    client.chat("gpt-4o", user("Hi"))

    record = proxy.wait_for_record()
    assert ("ollama-python", "ollama") == (record.attribution.client, record.api)


def test_langchain(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's package checks that the model exists, streams, calls tools and embeds."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_ollama import ChatOllama, OllamaEmbeddings

    options: dict[str, Any] = {
        "base_url": proxy.url,
        "client_kwargs": {"verify": NO_TLS, "trust_env": False},
    }
    model = ChatOllama(
        model="gpt-4o", validate_model_on_init=True, temperature=0.5, num_predict=500, **options
    )
    chunks = list(model.stream("Ahoy"))
    assert "You said: Ahoy" in "".join(str(chunk.content) for chunk in chunks)
    assert chunks[-1].usage_metadata or chunks[-2].usage_metadata

    with_tools = model.bind_tools([get_weather])
    question = HumanMessage("Use the tool: weather in Paris and London")
    answer = with_tools.invoke([question])
    assert [{"city": "Paris"}, {"city": "London"}] == [call["args"] for call in answer.tool_calls]
    results = [
        ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        for call in answer.tool_calls
    ]
    last = with_tools.invoke([question, answer, *results])
    assert "get_weather answered: 12 degrees in London" in str(last.content)

    assert isinstance(model.with_structured_output(City).invoke("A city"), City)
    embedder = OllamaEmbeddings(model="text-embedding-3-small", **options)
    assert 2 == len(embedder.embed_documents(["x", "y"]))
    for one in (model, embedder):
        one._client.close()  # type: ignore[union-attr]  # LangChain leaves it open
