"""Tools that only vendors' servers run are never silently missing from an answer."""

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.matrix_clients import SCHEMA, TOOL
from tests.selection import every_value

MODELS = ("gpt-6.2-sol", "claude-sonnet-4.6", "claude-opus-5.5", "gemini-4-argon", "kimi-k3")
PATHS = {"responses": "/v1/responses", "messages": "/v1/messages"}
OWN = {
    "responses": {"type": "function", "name": TOOL, "parameters": SCHEMA},
    "messages": {"name": TOOL, "input_schema": SCHEMA},
}
SEARCH = {
    "responses": {"type": "web_search"},
    "messages": {"type": "web_search_20250305", "name": "web_search"},
}


def body_of(api: str, model: str, tools: list[Json]) -> Json:
    hello = [{"role": "user", "content": "Hi"}]
    turns = {"input": hello} if api == "responses" else {"messages": hello, "max_tokens": 99}
    return {"model": model, "tools": tools, **turns}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("api", PATHS)
def test_a_client_that_offers_a_search_next_to_its_tools(
    http: httpx.Client, api: str, model: str
) -> None:
    """Coding agents offer searches by default, so these are dropped with a note."""
    answer = http.post(PATHS[api], json=body_of(api, model, [OWN[api], SEARCH[api]]))

    assert 200 == answer.status_code, answer.text
    assert "web_search" in answer.headers["x-copilot-proxy-notes"]


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("api", "tools", "name"),
    [
        ("responses", [SEARCH["responses"]], "web_search"),
        ("responses", [OWN["responses"], {"type": "code_interpreter"}], "code_interpreter"),
        ("responses", [OWN["responses"], {"type": "mcp", "server_label": "x"}], "mcp"),
        ("messages", [SEARCH["messages"]], "web_search"),
        ("messages", [OWN["messages"], {"type": "code_execution_20260120"}], "code_execution"),
        ("messages", [OWN["messages"], {"type": "mcp_toolset"}], "mcp_toolset"),
    ],
)
def test_a_client_that_relies_on_a_tool(
    http: httpx.Client, api: str, tools: list[Json], name: str, model: str
) -> None:
    """The request is refused, since an answer without the search or the code would be made up."""
    answer = http.post(PATHS[api], json=body_of(api, model, tools))

    assert 400 == answer.status_code, answer.text
    assert f"Copilot does not run the tool '{name}'" in answer.text


def test_counting_needs_no_tool_that_runs(http: httpx.Client) -> None:
    """Claude Code can count the tokens of a single tool, even a tool that Copilot does not run."""
    body = body_of("messages", "claude-opus-5.5", [SEARCH["messages"]])
    del body["max_tokens"]

    assert http.post("/v1/messages/count_tokens", json=body).json()["input_tokens"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_search_results_are_still_known(
    http: httpx.Client, simulator: Simulator, model: str
) -> None:
    """A conversation that began with Anthropic continues, with its server tool results as text."""
    found = {"type": "web_search_result", "title": "Moon", "encrypted_content": "sealed"}
    blocks = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "moon"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [found]},
        {"type": "text", "text": "It is full."},
    ]
    turns = [
        {"role": "user", "content": "Search"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "Thanks"},
    ]

    answer = http.post("/v1/messages", json={"model": model, "max_tokens": 99, "messages": turns})

    assert 200 == answer.status_code, answer.text
    sent = str(simulator.state.requests[-1].body)
    assert all(word in sent for word in ('"query":"moon"', '"title":"Moon"', "It is full."))
    assert "sealed" not in sent
    assert "server_tool_use blocks to text" in answer.headers["x-copilot-proxy-notes"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "block", [{"type": "container_upload", "file_id": "f"}, {"type": "brand_new"}]
)
def test_user_content_is_never_left_out(http: httpx.Client, block: Json, model: str) -> None:
    """A file or a block that no model can read is refused, with its place in the request."""
    content = [{"type": "text", "text": "Read it"}, block]
    body = {"model": model, "max_tokens": 99, "messages": [{"role": "user", "content": content}]}

    answer = http.post("/v1/messages", json=body)

    assert 400 == answer.status_code, answer.text
    if block["type"] == "container_upload":
        assert "no containers" in answer.text
