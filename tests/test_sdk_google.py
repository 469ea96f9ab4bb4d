"""Google's Python SDK with models of every vendor."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.matrix_clients import PNG

MODELS: Final = ("gpt-4o", "gpt-5.5", "claude-opus-5", "gemini-2.5-pro")
"""A model on each of Copilot's APIs, and a Google model."""
EACH = pytest.mark.parametrize("model", MODELS)


class Recipe(BaseModel):
    """The expected output of the model."""

    name: str
    minutes: int | None = None


def connect(proxy: Proxy) -> genai.Client:
    return genai.Client(api_key="unused", http_options=types.HttpOptions(base_url=proxy.url))


@pytest.fixture
def google(proxy: Proxy) -> Iterator[genai.Client]:
    with connect(proxy) as client:
        yield client


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"12 degrees in {city}"


@EACH
def test_whole_and_streamed(google: genai.Client, model: str) -> None:
    """Whole and streamed answers have the same text, with token counts and a finish reason."""
    config = types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=500)
    whole = google.models.generate_content(model=model, contents="Ahoy", config=config)
    chunks = list(google.models.generate_content_stream(model=model, contents="Ahoy"))

    assert "You said: Ahoy" in str(whole.text)
    assert whole.usage_metadata
    assert 0 < (whole.usage_metadata.total_token_count or 0)
    assert len(chunks) > 3
    assert whole.text == "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].candidates
    assert types.FinishReason.STOP == chunks[-1].candidates[0].finish_reason


async def test_asynchronously(proxy: Proxy) -> None:
    """The asynchronous client works in the same way, including chats."""
    async with connect(proxy).aio as google:
        whole = await google.models.generate_content(model="gpt-4o", contents="Ahoy")
        chat = google.chats.create(model="gpt-4o")
        stream: AsyncIterator[Any] = await chat.send_message_stream("Ahoy")
        text = "".join([chunk.text or "" async for chunk in stream])
        last = await chat.send_message("And now?")

    assert whole.text == text
    assert "You said: And now?" in str(last.text)


@EACH
def test_functions_that_the_sdk_calls(
    google: genai.Client, simulator: Simulator, model: str
) -> None:
    """The SDK calls the functions, and the model receives both results with its own reasoning."""
    chat = google.chats.create(
        model=model,
        config=types.GenerateContentConfig(
            tools=[get_weather],
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=4000),
        ),
    )
    answer = chat.send_message("What is the weather in Paris and London?")

    assert "12 degrees in Paris" in str(answer.text)
    assert "12 degrees in London" in str(answer.text)
    first, second = (one for one in simulator.state.requests if one.initiator)
    assert ("user", "agent") == (first.initiator, second.initiator)
    assert "You said: Thanks" in str(chat.send_message("Thanks").text)


def test_thoughts(google: genai.Client, simulator: Simulator) -> None:
    """Thoughts are marked as thoughts, and signed so that the model receives them back."""
    chat = google.chats.create(
        model="claude-opus-5",
        config=types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(
                include_thoughts=True, thinking_level=types.ThinkingLevel.HIGH
            )
        ),
    )
    for _ in chat.send_message_stream("Think hard"):
        pass
    parts = [part for content in chat.get_history() for part in content.parts or ()]
    assert any(part.thought and part.text for part in parts)
    assert any(part.thought_signature for part in parts)

    chat.send_message("And now?")
    sent = simulator.state.requests[-1].body["messages"]
    assert ["thinking", "text"] == [block["type"] for block in sent[1]["content"]]


@EACH
def test_images(google: genai.Client, simulator: Simulator, model: str) -> None:
    """An image reaches the model."""
    image = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    answer = google.models.generate_content(model=model, contents=["What is this?", image])

    assert "I see 1 image." in str(answer.text)
    assert simulator.state.requests[-1].vision


@EACH
@pytest.mark.parametrize("schema", [Recipe, list[Recipe]])
def test_structured_output(google: genai.Client, model: str, schema: Any) -> None:
    """The SDK parses the answer as the requested type."""
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=schema
    )
    parsed: Any = google.models.generate_content(
        model=model, contents="A recipe", config=config
    ).parsed

    assert isinstance(parsed[0] if isinstance(parsed, list) else parsed, Recipe)


def test_counting_embedding_and_models(google: genai.Client) -> None:
    """The SDK counts tokens, embeds texts and lists models."""
    count = google.models.count_tokens(model="gpt-4o", contents="How many tokens?")
    vectors = google.models.embed_content(
        model="text-embedding-3-small",
        contents=["one", "two"],
        config=types.EmbedContentConfig(output_dimensionality=8),
    )
    names = [model.name for model in google.models.list()]

    assert 0 < (count.total_tokens or 0) < 10
    assert [8, 8] == [len(one.values or ()) for one in vectors.embeddings or ()]
    assert "models/gpt-4o" in names
    assert "models/gpt-4o" == google.models.get(model="gpt-4o").name


def test_refusals(google: genai.Client, simulator: Simulator) -> None:
    """The SDK raises its own error, whose message says what to do."""
    search = types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())])
    with pytest.raises(errors.ClientError, match="do not search the web") as refused:
        google.models.generate_content(model="gpt-4o", contents="Hi", config=search)
    assert (400, "INVALID_ARGUMENT") == (refused.value.code, refused.value.status)

    simulator.state.faults.on("quota_exceeded")
    with pytest.raises(errors.ClientError, match="quota is used up") as used_up:
        google.models.generate_content(model="gpt-4o", contents="Hi")
    assert (402, "FAILED_PRECONDITION") == (used_up.value.code, used_up.value.status)


def test_a_stream_that_breaks(simulator: Simulator) -> None:
    """The SDK waits during the silence, and then raises the error."""
    simulator.state.faults.on("stall_mid_stream")
    settings = settings_at(simulator, header_grace=0.01, keep_alive=0.05, read_timeout=1)
    with Proxy(settings) as proxy, connect(proxy) as google:
        stream = google.models.generate_content_stream(model="gpt-4o", contents="Ahoy")
        assert next(stream).text
        with pytest.raises(errors.ServerError, match="stopped sending"):
            list(stream)
