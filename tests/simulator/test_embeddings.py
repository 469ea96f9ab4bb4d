"""Embeddings and the validation of their requests."""

import math

import pytest

SMALL = "text-embedding-3-small"


def embed(copilot, given, model=SMALL, **fields):
    return copilot.post("/embeddings", {"model": model, "input": given, **fields})


def test_the_answer_lacks_object_and_model(copilot):
    """The answer has only data and usage."""
    body = embed(copilot, ["first", "second text"]).json()
    assert {"data", "usage"} == set(body)
    assert {"prompt_tokens": 5, "total_tokens": 5} == body["usage"]
    assert [0, 1] == [one["index"] for one in body["data"]]
    assert {"embedding"} == {one["object"] for one in body["data"]}


def test_vectors(copilot):
    """Vectors have length 1; they are equal for equal texts, and different for others."""
    first, second, third = (
        one["embedding"] for one in embed(copilot, ["a", "b", "a"]).json()["data"]
    )
    assert (True, True, 1536) == (first == third, first != second, len(first))
    assert math.isclose(1, sum(value * value for value in first), rel_tol=1e-4)


def test_dimensions_are_honored(copilot):
    """Vectors have the requested dimensions if the model supports them."""
    assert 256 == len(embed(copilot, ["a"], dimensions=256).json()["data"][0]["embedding"])
    for fields in ({"dimensions": 0}, {"dimensions": 9999}, {"dimensions": "256"}):
        assert 400 == embed(copilot, ["a"], **fields).status_code
    assert 400 == embed(copilot, ["a"], "text-embedding-ada-002", dimensions=5).status_code


def test_the_encoding_is_ignored(copilot):
    """Floats are returned whatever encoding is requested."""
    found = embed(copilot, ["a"], encoding_format="base64").json()["data"][0]["embedding"]
    assert isinstance(found[0], float)


@pytest.mark.parametrize("given", ["text", None, [1, 2], [[1, 2]], {"a": 1}])
def test_anything_but_a_list_of_strings_is_a_bad_request(copilot, given):
    """Inputs other than a list of strings get a plain-text 400 without a reason."""
    answer = embed(copilot, given)
    assert (400, "Bad Request\n") == (answer.status_code, answer.text)


def test_a_body_that_is_not_an_object_is_a_bad_request(copilot):
    """A body that is not an object results in the same 400."""
    assert "Bad Request\n" == copilot.post("/embeddings", []).text


@pytest.mark.parametrize("given", [[], [""], ["x"] * 513])
def test_lists_have_limits(copilot, given):
    """Empty lists, empty texts and more than 512 texts are refused."""
    answer = embed(copilot, given)
    assert (400, "invalid_request_body") == (answer.status_code, answer.json()["error"]["code"])


def test_512_texts_are_accepted(copilot):
    """Exactly 512 texts are allowed."""
    answer = embed(copilot, ["x"] * 512, dimensions=1)
    assert (200, 512) == (answer.status_code, len(answer.json()["data"]))


@pytest.mark.parametrize(
    ("model", "code"), [("gpt-4o", "unsupported_api_for_model"), ("x", "model_not_supported")]
)
def test_other_models_are_refused(copilot, model, code):
    """A chat model is refused, as on any wrong endpoint."""
    assert code == embed(copilot, ["a"], model).json()["error"]["code"]


def test_items_can_be_unordered(simulator, copilot):
    """Items may be in any order, since each has an index."""
    simulator.state.faults.on("unordered", times=1)
    data = embed(copilot, ["a", "b", "c"], dimensions=2).json()["data"]
    assert [2, 1, 0] == [one["index"] for one in data]
