"""LangChain's Anthropic package, whose streams fail on fields that it did not request."""

from typing import Any

import pytest
from pydantic import SecretStr

from tests.conftest import Proxy
from tests.selection import only_in_ci

MODELS = ("claude-sonnet-4.5", "claude-opus-5", "gpt-5.5", "gemini-2.5-pro")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable LangChain's telemetry."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGCHAIN_TRACING_V2", "false")


@only_in_ci
@pytest.mark.parametrize("model", MODELS)
def test_streams_and_whole_answers(proxy: Proxy, model: str) -> None:
    """A stream ends with its token counts, and has the same text as a whole answer."""
    from langchain_anthropic import ChatAnthropic

    options: dict[str, Any] = {"base_url": proxy.url, "api_key": SecretStr("x"), "max_retries": 0}
    chat = ChatAnthropic(model_name=model, **options)

    chunks = list(chat.stream("Say hello"))
    text = "".join(chunk.text for chunk in chunks)

    assert "You said: Say hello" in text
    assert any(chunk.usage_metadata for chunk in chunks)
    assert text == chat.invoke("Say hello").text
