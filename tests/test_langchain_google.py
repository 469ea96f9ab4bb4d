"""LangChain's Google package, with a Google model and another vendor's model."""

import pytest

from tests.conftest import Proxy
from tests.selection import only_in_ci


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


@only_in_ci
def test_langchain(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole answers, streams, and a tool call with its result work."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "false")
    for model in ("claude-opus-5", "gemini-2.5-pro"):
        check(proxy, model)


def check(proxy: Proxy, model: str) -> None:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_google_genai import ChatGoogleGenerativeAI

    chat = ChatGoogleGenerativeAI(model=model, base_url=proxy.url, api_key="x", max_retries=1)
    asked = HumanMessage("What is the weather in Paris?")
    with_tool = chat.bind_tools([get_weather])
    try:
        chunks = list(chat.stream("Say hello"))
        whole = chat.invoke("Say hello")
        called = with_tool.invoke([asked])
        (call,) = called.tool_calls
        result = ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])
        final = with_tool.invoke([asked, called, result])
    finally:
        assert chat.client is not None
        chat.client.close()

    assert "You said: Say hello" in whole.text
    assert whole.text == "".join(chunk.text for chunk in chunks)
    assert any(chunk.usage_metadata for chunk in chunks)
    assert "12 degrees in Paris" in final.text
