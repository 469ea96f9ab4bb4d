"""The notes in a response name the client's own fields, and the real reason for each change."""

from collections.abc import Iterator

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at
from tests.matrix_clients import EVERY_CLIENT, Ask
from tests.pdfs import PDF

GPT, CLAUDE, OLD_CLAUDE = "gpt-6.2-sol", "claude-opus-5.5", "claude-haiku-4.5"
GEMINI, KIMI = "gemini-4-argon", "kimi-k3"
CLIENT = {client.api: client for client in EVERY_CLIENT}
SCHEMA = {"type": "object", "properties": {}}
NAMESPACE = {
    "type": "namespace",
    "name": "n",
    "description": "d",
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    ],
}
TO_PREFIXES = "changed namespaces to prefixes of tool names"
DEFERRED = [
    {"type": "function", "function": {"name": "f", "parameters": SCHEMA}, "defer_loading": True},
    {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "defer_loading": True}},
]
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
READ = [
    {"role": "user", "content": "Read"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "a",
                "content": [
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    }
                ],
            }
        ],
    },
]


def marked(**mark: str) -> Json:
    block = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral", **mark}}
    return {"messages": [{"role": "user", "content": [block]}]}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with pytest.MonkeyPatch.context() as patch:
        clear_environment(patch, tmp_path_factory.mktemp("notes"))
        with (
            Simulator(catalogue="2026-11", pace=0) as simulator,
            Proxy(settings_at(simulator)) as proxy,
            proxy.client() as http,
        ):
            yield http


@pytest.mark.parametrize(
    ("api", "model", "fields", "expected"),
    [
        ("responses", GPT, {"tools": [NAMESPACE]}, ""),
        ("responses", KIMI, {"tools": [NAMESPACE]}, TO_PREFIXES),
        ("responses", CLAUDE, {"tools": [NAMESPACE]}, TO_PREFIXES),
        ("responses", "gpt-5.3-codex", {"tools": [NAMESPACE]}, TO_PREFIXES),
        ("messages", CLAUDE, marked(ttl="2h"), "removed ttl 2h from cache_control"),
        ("messages", CLAUDE, marked(scope="global"), "removed scope from cache_control"),
        ("messages", CLAUDE, marked(ttl="1h"), ""),
        ("messages", GPT, BUDGET, "changed thinking.budget_tokens from 2000 to effort low: "),
        ("messages", KIMI, BUDGET, "changed thinking.budget_tokens from 2000 to effort low: "),
        ("messages", CLAUDE, BUDGET, "changed thinking to adaptive thinking with effort low: "),
        ("messages", GPT, {"thinking": {"type": "disabled"}},
         "changed thinking from disabled to effort low: "),
        ("messages", OLD_CLAUDE, {"thinking": {"type": "enabled"}, "max_tokens": 9000},
         "added thinking.budget_tokens of "),
        ("chat_completions", OLD_CLAUDE, {"reasoning_effort": "high", "max_tokens": 4000}, ""),
        ("chat_completions", OLD_CLAUDE, {"reasoning_effort": "hihg"},
         "changed reasoning_effort from hihg to medium: "),
        ("responses", OLD_CLAUDE, {"reasoning": {"effort": "hihg"}},
         "changed reasoning.effort from hihg to medium: "),
        *[("responses", model, {"text": {"verbosity": "low"}}, "dropped text.verbosity: ")
          for model in (CLAUDE, GEMINI)],
        ("messages", GEMINI, {"metadata": {"user_id": "u"}}, "dropped metadata.user_id: "),
        *[("gemini", model, {"generationConfig": {"seed": 7}}, "dropped generationConfig.seed: ")
          for model in (CLAUDE, GPT, GEMINI)],
        ("gemini", CLAUDE, {"generationConfig": {"topP": 0.5}}, "dropped generationConfig.topP: "),
        ("messages", GPT, {"messages": READ},
         "moved documents from tool results to a user message, where every model accepts them"),
        ("messages", GEMINI, {"messages": READ}, "moved documents from tool results"),
        *[("chat_completions", model, {"tools": [tool]}, "dropped defer_loading from tools")
          for model in (GPT, CLAUDE, OLD_CLAUDE, GEMINI, KIMI) for tool in DEFERRED],
        ("chat_completions", GPT, {"max_tokens": -1}, "dropped max_tokens: -1"),
        ("responses", CLAUDE, {"max_output_tokens": 10**9}, "changed max_output_tokens from 1000"),
        ("responses", GEMINI, {"max_output_tokens": 100}, ""),
    ],
)  # fmt: skip
def test_notes(http: httpx.Client, api: str, model: str, fields: Json, expected: str) -> None:
    """A change is explained in terms of the request; a change without effect has no note."""
    client = CLIENT[api]

    ask = Ask(model, client.user("Hi"))
    answer = http.post(client.path_of(ask), json=client.body(ask) | fields)

    assert 200 == answer.status_code, answer.text
    notes = answer.headers.get("x-copilot-proxy-notes", "")
    assert expected in notes if expected else notes == ""
