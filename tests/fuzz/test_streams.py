"""For any Copilot response with status 200, the client receives a valid answer or an error."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.fuzz.checks import check_answer
from tests.fuzz.conftest import TIMEOUT, Target, many, server_for
from tests.fuzz.streams import answers, recorded
from tests.fuzz.upstream import MODELS, RawUpstream, raw_upstream
from tests.matrix_clients import EVERY_CLIENT, Ask

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture(scope="module")
def simulator(clean_module: None) -> Iterator[Simulator]:
    """A simulator that provides the token and the valid answers that these tests modify."""
    with Simulator(catalogue="2026-03", pace=0) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def upstream() -> Iterator[RawUpstream]:
    with raw_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(simulator: Simulator, upstream: RawUpstream) -> Iterator[Proxy]:
    """A server with a broken Copilot API."""
    with server_for(simulator, copilot_api_url=upstream.url) as proxy:
        yield proxy


@pytest.mark.parametrize("api", MODELS)
@pytest.mark.parametrize("client", EVERY_CLIENT, ids=lambda client: client.api)
def test_answers(
    target: Target, upstream: RawUpstream, simulator: Simulator, client: Any, api: str
) -> None:
    """A stream follows its grammar and ends with a finish reason or an error, without a retry."""
    good = recorded(simulator)[api]
    model, _ = MODELS[api]

    @many(100)
    @given(answers(good), st.booleans())
    def one(answer: bytes, stream: bool) -> None:
        upstream.answer = answer
        before = upstream.asked
        ask = Ask(model, client.user("Hi"), tools=True, stream=stream)
        body = client.body(ask)
        response = target.post(client.path_of(ask), json.dumps(body).encode(), {})
        check_answer(client, response, passed_on=api == client.api)
        assert before + 1 == upstream.asked

    one()
    upstream.answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + good[0]
    target.check_health(model)
