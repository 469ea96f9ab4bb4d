"""Malformed bodies on every route: no 5xx, no hang, and errors in the API's format."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import grammars
from tests.fuzz.bodies import Sent, sent
from tests.fuzz.checks import OUR_FAULT, check_answer, check_refusal
from tests.fuzz.conftest import TIMEOUT, Target, many
from tests.fuzz.requests import (
    COMPLETIONS,
    EMBEDDED,
    EMBEDDINGS,
    GEMINI_EMBEDDINGS,
    GENERATED,
    MODELS,
    SHOWN,
    counted_requests,
    paths_of,
    requests_of,
)
from tests.matrix_clients import CLIENTS, EVERY_CLIENT, GEMINI

CHAT, _, MESSAGES, OLLAMA = CLIENTS
pytestmark = pytest.mark.timeout(TIMEOUT)
Check = Callable[[httpx.Response], None]


@pytest.mark.parametrize("client", EVERY_CLIENT, ids=lambda client: client.api)
def test_conversations(target: Target, client: Any) -> None:
    """Invalid conversations are refused in the API's format; unusual conversations are answered."""
    valid, paths = requests_of(client), paths_of(client)
    for number, body in enumerate(valid):
        answer = target.post(paths[number % len(paths)], json.dumps(body).encode(), {})
        assert 200 == answer.status_code, answer.text
        check_answer(client, answer)
    fuzz(target, paths, valid, lambda answer: check_answer(client, answer))


def test_counting(target: Target) -> None:
    """Invalid requests to count tokens are refused in the API's format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code == 200:
            assert isinstance(answer.json()["input_tokens"], int)
        else:
            check_refusal(MESSAGES, answer)

    fuzz(target, ["/v1/messages/count_tokens"], counted_requests(), check)


def test_embeddings(target: Target) -> None:
    """Invalid requests for embeddings are refused in the API's format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code == 200:
            assert "list" == answer.json()["object"]
        else:
            check_refusal(CHAT, answer)

    fuzz(target, ["/v1/embeddings"], EMBEDDINGS, check)


def test_other_methods_of_gemini(target: Target) -> None:
    """Invalid requests to count tokens and embed contents are refused in Google's format."""
    counted = [*requests_of(GEMINI), {"generateContentRequest": requests_of(GEMINI)[0]}]
    embedded = [*GEMINI_EMBEDDINGS, {"requests": GEMINI_EMBEDDINGS[:1]}]
    paths = [
        f"/v1beta/models/{MODELS[1]}:countTokens",
        "/v1beta/models/text-embedding-3-small:embedContent",
        "/v1beta/models/text-embedding-3-small:batchEmbedContents",
    ]

    def check(answer: httpx.Response) -> None:
        if answer.status_code == 200:
            assert {"totalTokens", "embedding", "embeddings"} & answer.json().keys()
        else:
            check_refusal(GEMINI, answer)

    fuzz(target, paths, [*counted, *embedded], check)


def test_completions(target: Target) -> None:
    """Invalid requests for completions are refused in the API's format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code != 200:
            check_refusal(CHAT, answer)
        elif "json" in answer.headers["content-type"]:
            assert "text_completion" == answer.json()["object"]
        else:
            assert answer.text.endswith("data: [DONE]\n\n")

    fuzz(target, ["/v1/completions"], COMPLETIONS, check, 150)


@pytest.mark.parametrize(
    ("path", "valid"),
    [("/api/generate", GENERATED), ("/api/show", SHOWN), *EMBEDDED.items()],
)
def test_ollama(target: Target, path: str, valid: list[Any]) -> None:
    """Invalid requests to Ollama's other paths are refused in its format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code != 200:
            check_refusal(OLLAMA, answer)
        elif answer.headers["content-type"] == "application/x-ndjson":
            assert grammars.ollama_lines(answer.text)
        else:
            assert answer.json()

    for body in valid:
        answer = target.post(path, json.dumps(body).encode(), {})
        assert 200 == answer.status_code, answer.text
    fuzz(target, [path], valid, check)


def fuzz(
    target: Target, paths: list[str], valid: list[Any], check: Check, examples: int = 500
) -> None:
    """Send many bodies that resemble the `valid` bodies to the paths."""

    @many(examples)
    @given(sent(valid), st.sampled_from(paths))
    def one(case: Sent, path: str) -> None:
        answer = target.post(path, *case)
        assert answer.status_code < 500, answer.text
        assert OUR_FAULT not in answer.text, answer.text
        check(answer)

    one()
    target.check_health()
