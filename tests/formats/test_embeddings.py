"""Embeddings: every kind of input, batches, encodings, and invalid responses."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy import tokenizer
from copilot_proxy.catalogue import parse_models
from copilot_proxy.errors import BrokenResponse, RequestError, UpstreamRefusal
from copilot_proxy.formats import embeddings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.selection import examples

PATH = "/v1/embeddings"
SMALL = "text-embedding-3-small"


def parsed(**more: Any) -> dict[str, Any]:
    return embeddings.parse_request(json.dumps({"model": SMALL, **more}).encode())


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": [[1], []]}, "input[1]"),
        ({"input": ["x", 1]}, "input"),
        ({"input": [[1], "x"]}, "input"),
        ({"input": [{"text": "x"}]}, "input[0]"),
        ({"input": ["x"] * 2049}, "input"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "dimensions": "many"}, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "x", "model": None}, "model"),
    ],
)
def test_wrong_requests(request_: dict[str, Any], param: str) -> None:
    """Invalid input is refused with the name of the field."""
    with pytest.raises(RequestError) as raised:
        parsed(**request_)

    assert (400, param) == (raised.value.status, raised.value.param)


def test_a_body_that_is_not_an_object() -> None:
    """A JSON list is not accepted as a request."""
    with pytest.raises(RequestError):
        embeddings.parse_request(b"[]")


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("one", ["one"]),
        (["one", "two"], ["one", "two"]),
        ([15339, 1917], ["hello world"]),
        ([[15339], [1917]], ["hello", " world"]),
    ],
)
def test_texts(given_: Any, expected: list[str]) -> None:
    """Texts are kept, and token ids are decoded to text."""
    assert expected == embeddings.texts(parsed(input=given_), tokenizer.decode)


def test_batches() -> None:
    """No batch is larger than the model accepts."""
    model = parse_models(
        {"data": [{"id": SMALL, "capabilities": {"limits": {"max_inputs": 2}}}]}
    ).get(SMALL)

    assert [["a", "b"], ["c"]] == embeddings.batches(["a", "b", "c"], model)
    assert [512, 1] == [len(batch) for batch in embeddings.batches(["x"] * 513, None)]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"data": None},
        {"data": ["x"]},
        {"data": []},
        {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]},
    ],
)
def test_invalid_numbers_of_vectors(answer: Any) -> None:
    """A response with the wrong number of vectors is an upstream error."""
    with pytest.raises(BrokenResponse):
        embeddings.vectors(answer, 1)


def test_order_and_usage() -> None:
    """Vectors are in the order of their inputs, and token counts are summed."""
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]

    assert [[1.0], [2.0]] == embeddings.vectors({"data": data}, 2)
    assert [[2.0]] == embeddings.vectors({"data": [{"embedding": [2.0]}]}, 1)
    answers = [{"usage": {"prompt_tokens": 2}}, {"usage": {"total_tokens": 3}}, {}, {"usage": {}}]
    assert {"prompt_tokens": 5, "total_tokens": 5} == embeddings.usage(answers)


@examples(50)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_base64_round_trip(vector: list[float]) -> None:
    """With base64 encoding, vectors are little-endian 32-bit floats."""
    request = parsed(input="x", encoding_format="base64")
    body = embeddings.embedding_list(request, [vector], {})
    packed = base64.b64decode(body["data"][0]["embedding"])

    assert vector == list(struct.unpack(f"<{len(vector)}f", packed))


def test_invalid_vectors() -> None:
    """A vector that is not a list, or cannot be encoded, is an upstream error."""
    with pytest.raises(BrokenResponse, match="not a list of numbers"):
        embeddings.vectors({"data": [{"embedding": "x"}]}, 1)
    request = parsed(input="x", encoding_format="base64")
    for vector in ([None], ["x"], [1e300]):
        with pytest.raises(BrokenResponse):
            embeddings.embedding_list(request, [vector], {})  # type: ignore[list-item]


def test_over_http(proxy: Proxy, simulator: Simulator) -> None:
    """Strings, token ids and inputs for several batches are answered in order."""
    simulator.state.faults.on("unordered")
    texts = [f"text {i}" for i in range(600)]
    with proxy.client() as client:
        many = client.post(PATH, json={"model": SMALL, "input": texts, "dimensions": 3}).json()
        one = client.post(PATH, json={"model": SMALL, "input": texts[599], "dimensions": 3}).json()
        tokens = client.post(
            PATH, json={"model": SMALL, "input": [[15339], [1917]], "dimensions": 3}
        )
        wrong = client.post(PATH, json={"model": "gpt-4o", "input": "x"})

    assert list(range(600)) == [item["index"] for item in many["data"]]
    assert one["data"][0]["embedding"] == many["data"][599]["embedding"]
    assert ("list", SMALL) == (many["object"], many["model"])
    assert many["usage"]["prompt_tokens"] > 600
    assert 2 == len(tokens.json()["data"])
    assert (400, "model") == (wrong.status_code, wrong.json()["error"]["param"])
    sizes = [len(r.body["input"]) for r in simulator.state.requests if r.path == "/embeddings"]
    assert [512, 88, 1, 2] == sizes
    record = proxy.wait_for_record(1)
    assert ("embeddings", SMALL) == (record.route, record.model)


def test_an_error_with_status_200() -> None:
    """If there is an error object in place of vectors, the client receives that error."""
    with pytest.raises(UpstreamRefusal) as raised:
        embeddings.vectors({"error": {"code": "rate_limited", "message": "Slowly."}}, 1)

    assert ("rate_limit_exceeded", "Slowly.") == (raised.value.code, raised.value.message)


def test_failure_over_http(proxy: Proxy, simulator: Simulator) -> None:
    """If Copilot refuses a batch, the client receives Copilot's error."""
    simulator.state.faults.on("rate_limited", path="/embeddings", value="7")
    with proxy.client() as client:
        answer = client.post(PATH, json={"model": SMALL, "input": "x"})

    assert (429, "7") == (answer.status_code, answer.headers["retry-after"])


def test_token_ids_have_a_limit() -> None:
    """More tokens than OpenAI allows in one request are refused."""
    ids = [[1] * 1000] * 300
    assert parsed(input=ids)

    with pytest.raises(RequestError) as caught:
        parsed(input=[*ids, [1]])

    assert ("input", "max_tokens_per_request") == (caught.value.param, caught.value.code)


def test_long_texts_are_counted_by_samples() -> None:
    """The token estimate for many megabytes of text is close, and takes little time."""
    text = "The quick brown fox jumps over the lazy dog. " * 200_000

    assert tokenizer.count(text) == pytest.approx(10 * 200_000, rel=0.02)
