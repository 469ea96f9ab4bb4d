"""Answers match the OpenAPI document."""

import json
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.conftest import Proxy
from tests.fuzz.conftest import TIMEOUT, Target, many
from tests.fuzz.requests import MODELS, requests_of
from tests.matrix_clients import CLIENTS

pytestmark = pytest.mark.timeout(TIMEOUT)

CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
OPERATIONS: Final = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/responses/compact"),
    ("GET", "/v1/responses/{response_id}"),
    ("DELETE", "/v1/responses/{response_id}"),
    ("GET", "/v1/responses/{response_id}/input_items"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1beta/models/{call}"),
    ("GET", "/v1beta/models"),
    ("GET", "/v1beta/models/{model_id}"),
    ("POST", "/v1/embeddings"),
    ("POST", "/api/chat"),
    ("POST", "/api/generate"),
    ("POST", "/api/embed"),
    ("POST", "/api/embeddings"),
    ("POST", "/api/show"),
    ("GET", "/api/tags"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/{model_id}"),
    ("GET", "/health"),
]


@pytest.fixture(scope="module")
def document(running: Proxy) -> Any:
    """The OpenAPI document that the server serves."""
    with running.client() as http:
        return http.get("/schema/openapi.json").json()


def test_every_operation_is_tested(document: Any) -> None:
    """Each operation in the document is tested here."""
    documented = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert documented == set(OPERATIONS)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
def test_successful_answers_are_as_documented(
    target: Target, running: Proxy, document: Any, client: Any
) -> None:
    """Streams and whole answers of all kinds of models have the documented type and shape."""
    operation = schemathesis.openapi.from_dict(document)[client.path]["POST"]
    for body in requests_of(client):
        case = operation.Case(body=body, media_type="application/json")
        answer = target.post(client.path, json.dumps(body).encode(), {})
        assert 200 == answer.status_code
        case.validate_response(answer, checks=CHECKS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_documented(
    target: Target, running: Proxy, document: Any, method: str, path: str
) -> None:
    """Every answer has a documented status, type and shape."""
    operation = schemathesis.openapi.from_dict(document)[path][method]
    right = operation.as_strategy(GenerationMode.POSITIVE)
    strategy = right
    if document["paths"][path][method.lower()].get("requestBody"):
        strategy = st.one_of(right, operation.as_strategy(GenerationMode.NEGATIVE))

    @many(25)
    @given(strategy, st.sampled_from(MODELS))
    def one(case: "schemathesis.Case[Any]", model: str) -> None:
        if isinstance(case.body, dict) and "model" in case.body:
            # Otherwise, almost all requests would name a model that does not exist.
            case.body["model"] = model
        target.cases += 1
        case.call_and_validate(running.url, session=session, checks=CHECKS, timeout=60)

    with requests.Session() as session:
        session.trust_env = False
        one()
    target.check_health()
