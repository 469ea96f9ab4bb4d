"""Clients' small jobs, such as titles, go to the small model that the user has configured."""

from typing import Any, Final

import pytest

from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.ledger.test_requests import rows

TITLE = "You are a title generator. You output ONLY a thread title. Nothing else."
QWEN = "Generate a concise, sentence-case title (3-7 words) that captures what it is about."
CODEX = "Generate a concise, single-line task title of at most 60 characters."
USER = {"role": "user", "content": "Generate a title for this conversation:\n"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OPENCODE = "opencode/1.18.33 ai-sdk/provider-utils/4.0.1"
BIG = "claude-opus-4.5"


def settings_with(simulator: Simulator, **flags: Any) -> Settings:
    return settings_at(simulator, ledger=True, small_model="gpt-mini", **flags)


JOBS: Final[list[tuple[str, str, dict[str, Any]]]] = [
    ("chat/completions", OPENCODE, {"messages": [{"role": "system", "content": TITLE}, USER]}),
    ("messages", OPENCODE, {"system": [{"type": "text", "text": TITLE}], "messages": [USER]}),
    ("messages", "Kilo-Code/7.7.9", {"system": TITLE, "messages": [USER]}),
    ("responses", "codex_exec/0.171.0", {"input": [{**USER, "content": CODEX}]}),
    ("responses", "codex_exec/0.171.0", {"instructions": CODEX, "input": "hi"}),
    ("chat/completions", "QwenCode/0.24.4", {"messages": [USER, {**USER, "content": QWEN}]}),
]
ROUTING = "You are a specialized Task Routing AI. Your sole function is to analyze the request."
CONTENTS = [{"role": "user", "parts": [{"text": "Say hello"}]}]
LISTED_TOOLS = {"type": "additional_tools", "role": "developer", "tools": [
    {"type": "function", "name": "f", "parameters": {"type": "object"}}
]}  # fmt: skip
OTHERS = [
    ("responses", "codex_exec/0.171.0", {"input": [LISTED_TOOLS, {**USER, "content": CODEX}]}),
    ("chat/completions", "curl/8", JOBS[0][2]),
    ("chat/completions", OPENCODE, {**JOBS[0][2], "tools": [TOOL]}),
    ("chat/completions", OPENCODE, {"messages": [USER]}),
    ("chat/completions", OPENCODE,
     {"messages": [{"role": "system", "content": TITLE}, {**USER, "content": "word " * 300_000}]}),
]  # fmt: skip


def ask(proxy: Proxy, path: str, agent: str, body: dict[str, Any]) -> Any:
    more = {"max_tokens": 50} if path == "messages" else {}
    with proxy.client() as client:
        return client.post(
            f"/v1/{path}", json={"model": BIG, **more, **body}, headers={"user-agent": agent}
        )


@pytest.mark.parametrize(("path", "agent", "body"), JOBS)
def test_a_small_job(simulator: Simulator, path: str, agent: str, body: dict[str, Any]) -> None:
    """The newest small model answers, as the note and the ledger show."""
    settings = settings_with(simulator)
    with Proxy(settings) as proxy:
        answer = ask(proxy, path, agent, body)

    assert 200 == answer.status_code, answer.text
    [row] = rows(settings)
    assert (BIG, True) == (row["model_asked"], row["model"].endswith("mini"))
    note = f"small job (title): changed model to {row['model']}"
    assert note in answer.headers["x-copilot-proxy-notes"]
    assert note in row["notes_json"]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("small", "job"), [("claude-haiku", JOBS[1]), ("gpt-5.1", JOBS[4])])
def test_the_answer_has_the_name_in_the_request(
    simulator: Simulator, small: str, job: tuple[str, str, dict[str, Any]], is_stream: bool
) -> None:
    """Clients that compare the model's name, such as Claude Code, see the name that they sent."""
    path, agent, body = job
    with Proxy(settings_at(simulator, small_model=small)) as proxy:
        answer = ask(proxy, path, agent, {**body, "stream": is_stream})

    assert f"changed model to {small}" in answer.headers["x-copilot-proxy-notes"]
    assert path == answer.headers["x-copilot-proxy-route"]
    assert f'"model":"{BIG}"' in answer.text
    assert f'"model":"{small}' not in answer.text


@pytest.mark.parametrize(("path", "agent", "body"), OTHERS)
def test_requests_that_are_not_small_jobs(
    simulator: Simulator, path: str, agent: str, body: dict[str, Any]
) -> None:
    """Other clients, requests with tools, other prompts, and very long input are unaffected."""
    settings = settings_with(simulator)
    with Proxy(settings) as proxy:
        answer = ask(proxy, path, agent, body)

    [row] = rows(settings)
    assert BIG == row["model"]
    assert "small job" not in answer.headers.get("x-copilot-proxy-notes", "")


@pytest.mark.parametrize("flags", [{"small_model": None}, {"small_model": "kimi-99"}])
def test_no_small_model(simulator: Simulator, flags: dict[str, Any]) -> None:
    """Without the setting, or without the model, nothing changes."""
    settings = settings_at(simulator, ledger=True, **{k: v for k, v in flags.items() if v})
    with Proxy(settings) as proxy:
        assert 200 == ask(proxy, *JOBS[0]).status_code

    assert BIG == rows(settings)[0]["model"]


def test_gemini_cli_chooses_a_model(simulator: Simulator) -> None:
    """Gemini CLI's question about a task's difficulty goes to the small model.

    This works even if it names a model that the account does not have.
    """
    settings = settings_with(simulator)
    body = {"systemInstruction": {"parts": [{"text": ROUTING}]}, "contents": CONTENTS}
    path = "/v1beta/models/gemini-9.5-flash-lite:generateContent"
    agent = {"user-agent": "GeminiCLI-tui/0.61.0/gemini-9-pro (linux; x64; terminal)"}
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post(path, json=body, headers=agent)
        other = client.post(path, json={"contents": CONTENTS}, headers=agent)

    assert 404 == other.status_code
    assert "small job (routing): changed model to " in answer.headers["x-copilot-proxy-notes"]
    assert rows(settings)[0]["model"].endswith("mini")
