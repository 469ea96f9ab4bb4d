"""Kimi numbers the calls of every answer from 0, but clients receive distinct ids."""

import httpx
import pytest

from copilot_proxy.formats.types import Json
from tests.matrix_clients import NATIVE as CLIENTS
from tests.matrix_clients import TOOL, Ask, Client


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.api)
def test_every_call_of_a_conversation_has_its_own_id(
    http: httpx.Client, client: Client, stream: bool
) -> None:
    """Claude Code matches results by id alone, and would otherwise call the same tool forever."""
    turns: list[Json] = []
    ids = []
    for city in ("Paris", "Rome", "Oslo"):
        turns += client.user(f'Call {TOOL} for "{city}"')
        body = client.body(Ask("kimi-k3", turns, tools=True, stream=stream))
        answer = http.post(client.path, json=body)
        assert 200 == answer.status_code, answer.text

        said = client.read(client.fold(answer.text) if stream else answer.json())

        (call,) = said.calls
        ids.append(call.id)
        turns += [*said.turns, *client.results([(call.id, f"sunny in {city}")])]

    assert 3 == len(set(ids)), ids
