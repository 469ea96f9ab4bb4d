"""Bodies of every kind on every route: no 5xx, no hang, and errors in the API's format."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given

from tests import grammars
from tests.fuzz.bodies import Sent, sent
from tests.fuzz.checks import OUR_FAULT, check_answer, check_refusal
from tests.fuzz.conftest import TIMEOUT, Target, many
from tests.fuzz.requests import (
    EMBEDDED,
    EMBEDDINGS,
    GENERATED,
    SHOWN,
    counted_requests,
    requests_of,
)
from tests.matrix_clients import CLIENTS

CHAT, _, MESSAGES, OLLAMA = CLIENTS
pytestmark = pytest.mark.timeout(TIMEOUT)
Check = Callable[[httpx.Response], None]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
def test_conversations(target: Target, client: Any) -> None:
    """Invalid conversations are refused in the API's format; unusual ones are answered."""
    valid = requests_of(client)
    for body in valid:
        answer = target.post(client.path, json.dumps(body).encode(), {})
        assert 200 == answer.status_code, answer.text
    fuzz(target, client.path, valid, lambda answer: check_answer(client, answer))


def test_counting(target: Target) -> None:
    """Invalid requests to count tokens are refused in the API's format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code == 200:
            assert isinstance(answer.json()["input_tokens"], int)
        else:
            check_refusal(MESSAGES, answer)

    fuzz(target, "/v1/messages/count_tokens", counted_requests(), check)


def test_embeddings(target: Target) -> None:
    """Invalid requests for embeddings are refused in the API's format."""

    def check(answer: httpx.Response) -> None:
        if answer.status_code == 200:
            assert "list" == answer.json()["object"]
        else:
            check_refusal(CHAT, answer)

    fuzz(target, "/v1/embeddings", EMBEDDINGS, check)


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
    fuzz(target, path, valid, check)


def fuzz(target: Target, path: str, valid: list[Any], check: Check) -> None:
    """Send many bodies, more or less like the `valid` ones."""

    @many(500)
    @given(sent(valid))
    def one(case: Sent) -> None:
        answer = target.post(path, *case)
        assert answer.status_code < 500, answer.text
        assert OUR_FAULT not in answer.text, answer.text
        check(answer)

    one()
    target.check_health()
