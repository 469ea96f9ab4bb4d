"""The relay explains refusals for which Copilot gives no reason."""

import json
from typing import Any

import pytest

from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.errors import UpstreamRefusal
from copilot_proxy.formats.upstream_errors import parse_error_response
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.relay import Relay
from tests.formats.routes import APIS, every_client
from tests.formats.rules.asking import body_of
from tests.relay.test_reply import Upstream


class Refusing:
    """An upstream that has one Gemini model, and refuses every request with a bare 400."""

    fixed_api = None

    async def catalogue(self, auth: Any = None, *, max_age: float = 0.0) -> Catalogue:
        return self.cached_catalogue()

    def cached_catalogue(self, auth: Any = None) -> Catalogue:
        return parse_models(
            [{"id": "gemini-4-neon", "vendor": "Google", "capabilities": {"type": "chat"}}]
        )

    async def send(self, call: Any) -> Any:
        raise parse_error_response(400, {}, b"Bad Request\n")


@every_client
@pytest.mark.anyio
async def test_a_bare_refusal_names_the_tool(client: str) -> None:
    """Every client learns which tool, and which part of it, Copilot has probably refused."""
    upstream: Any = Refusing()
    relay = Relay(upstream, default_model="gemini-4-neon", report=lambda record: None)
    schema = {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}]}}}
    body = {"model": "gemini-4-neon", **body_of(client, tool="read.file", schema=schema)}
    request = APIS[client].parse(json.dumps(body).encode())

    with pytest.raises(UpstreamRefusal) as caught:
        async with relay.answer(APIS[client], request, RequestRecord("r", client)):
            pass

    assert (
        "Copilot refused the request without giving a reason. The likely cause is 'oneOf' in "
        "parameters.properties.a of the tool 'read.file'." == caught.value.message
    )


class Embedding(Refusing):
    """An upstream that accepts requests, and refuses them in its answer."""

    def __init__(self) -> None:
        error = {"message": "No.", "code": "rate_limited"}
        self.response = Upstream(body={"error": error})

    def cached_catalogue(self, auth: Any = None) -> Catalogue:
        return parse_models([{"id": "embed", "capabilities": {"type": "embeddings"}}])

    async def send(self, call: Any) -> Any:
        return self.response


@pytest.mark.anyio
async def test_embeddings_that_are_refused_in_the_answer() -> None:
    """The upstream learns about the refusal, so that it can pause."""
    upstream: Any = Embedding()
    relay = Relay(upstream, default_model="gemini-4-neon", report=lambda record: None)
    request = {"model": "embed", "input": ["Hi"]}

    with pytest.raises(UpstreamRefusal) as caught:
        await relay.embeddings(request, RequestRecord("r", "embeddings"))

    assert [caught.value] == upstream.response.refusals
