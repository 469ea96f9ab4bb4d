"""Model names in requests, and what the client learns about the model that answered."""

from typing import Any

import pytest

from copilot_proxy.model_names import FAMILY_NAMES
from copilot_proxy.simulator import Simulator
from tests.catalogues import entry
from tests.conftest import Proxy
from tests.selection import crossed

USER = [{"role": "user", "content": "Hello"}]
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/responses": {"input": "Hello"},
    "/v1/messages": {"messages": USER, "max_tokens": 99},
    "/v1/messages/count_tokens": {"messages": USER},
}
ENDPOINTS = {
    "gpt-9-luna": ["/responses"],
    "claude-haiku-9": ["/v1/messages"],
    "gemini-9-flash": ["/chat/completions"],
}
BUILT_IN = {
    "gpt-4o-mini": "gpt-9-luna",
    "claude-3-5-haiku-latest": "claude-haiku-9",
    "gemini-1.5-flash": "gemini-9-flash",
}


@pytest.fixture(autouse=True)
def account(simulator: Simulator) -> Simulator:
    """An account with one model on each of Copilot's APIs."""
    simulator.state.catalogue = [
        {**entry(f"{name} lightweight low 10 50"), "supported_endpoints": endpoints}
        for name, endpoints in ENDPOINTS.items()
    ]
    return simulator


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize(("name", "answered"), BUILT_IN.items())
def test_a_name_that_a_client_has_built_in(
    proxy: Proxy, simulator: Simulator, path: str, name: str, answered: str
) -> None:
    """On every API, another model of the same size answers, and the notes name it."""
    with proxy.client() as client:
        answer = client.post(path, json={"model": name, **REQUESTS[path]})

    assert 200 == answer.status_code, answer.text
    missing = f"this account does not have {name}"
    if name in FAMILY_NAMES:
        missing = f"this account has no {name} model"
    note = f"changed model: {missing}; {answered} answered"
    assert note in answer.headers["x-copilot-proxy-notes"]
    if "count" not in path:
        assert answered == simulator.state.requests[-1].body["model"]


@crossed(name=["haiku", "claude-haiku-9-20290101", "gpt-9-luna"], path=REQUESTS)
def test_a_correct_name_needs_no_note(proxy: Proxy, path: str, name: str) -> None:
    """A family, an id and another spelling of the id all lead to the model that they name."""
    with proxy.client() as client:
        answer = client.post(path, json={"model": name, **REQUESTS[path]})

    assert 200 == answer.status_code, answer.text
    assert "changed model" not in answer.headers.get("x-copilot-proxy-notes", "")


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize(
    ("name", "successor"),
    [("claude-haiku-8", "claude-haiku-9"), ("claude-haiku-4-5-20251001", "claude-haiku-9")],
)
def test_a_model_that_is_gone(
    proxy: Proxy, simulator: Simulator, path: str, name: str, successor: str
) -> None:
    """On every API, the error names the successor and has the client's format; nothing is sent."""
    with proxy.client() as client:
        answer = client.post(path, json={"model": name, **REQUESTS[path]})

    error = answer.json()["error"]
    assert (404, "model_not_found") == (answer.status_code, error["code"])
    assert ("messages" in path) is ("type" in answer.json())
    assert f"Use its successor {successor}." in error["hint"]
    assert "POST" not in [r.method for r in simulator.state.requests if "token" not in r.path]
