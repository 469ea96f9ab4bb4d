"""The Copilot language server, which editors run, works with the simulator in place of Copilot."""

import os
import subprocess
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import pytest

from copilot_proxy.simulator import SIMULATED_TOKEN
from tests.official.conftest import MODULES, PLATFORM, Copilot, Home, needed
from tests.official.language_client import LanguageClient
from tests.pictures import PNG
from tests.selection import sample

PROGRAM = MODULES / "@github" / f"copilot-language-server-{PLATFORM}" / "copilot-language-server"
ENDPOINTS = {
    "claude-opus-5.5": "/v1/messages",
    "gpt-6.1-sol": "/responses",
    "gemini-4-carbon": "/chat/completions",
    "kimi-k3": "/chat/completions",
    "mai-code-2-flash": "/responses",
    "grok-4.7": "/responses",
}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "inputSchema": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city"}},
        "required": ["city"],
    },
}
IMAGE = {"type": "image_url", "imageUrl": {"url": f"data:image/png;base64,{PNG}"}}
NUMBERS: Final = count()

pytestmark = needed(PROGRAM)


@pytest.fixture(scope="module")
def editor(home: Home, running: Copilot) -> Iterator[LanguageClient]:
    """A signed-in editor with a tool."""
    process = subprocess.Popen(
        [str(PROGRAM), "--stdio"],
        env=home.environ(
            GH_COPILOT_TOKEN=SIMULATED_TOKEN,
            GH_COPILOT_API_URL=running.url,
            GH_COPILOT_SERVER_URL=running.url,
        ),
        cwd=home.work,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    client = LanguageClient(process)
    client.handlers = {
        "workspace/configuration": lambda params: [None] * len(params["items"]),
        "conversation/invokeClientTool": lambda params: [
            {"content": [{"value": f"It is sunny in {params['input']['city']}."}]},
            None,
        ],
        "conversation/invokeClientToolConfirmation": lambda params: [{"result": "accept"}, None],
    }
    try:
        _set_up(client, home)
        yield client
    finally:
        process.kill()
        process.wait(60)
        client.close()


def _set_up(client: LanguageClient, home: Home) -> None:
    client.request(
        "initialize",
        {
            "processId": os.getpid(),
            "capabilities": {"workspace": {"workspaceFolders": True}},
            "workspaceFolders": [{"uri": home.work.as_uri(), "name": "work"}],
            "initializationOptions": {
                "editorInfo": {"name": "Neovim", "version": "0.11.4"},
                "editorPluginInfo": {"name": "copilot.lua", "version": "2.0.0"},
            },
        },
    )
    client.notify("initialized", {})
    quiet = {"settings": {"telemetry": {"telemetryLevel": "off"}}}
    client.notify("workspace/didChangeConfiguration", quiet)
    assert "OK" == client.request("checkStatus", {})["status"]
    client.request("conversation/registerTools", {"tools": [WEATHER]})


def ask(editor: LanguageClient, home: Home, model: str, prompt: Any) -> str:
    """Return the text of the answer in a new conversation with an agent."""
    token = f"conversation-{next(NUMBERS)}"
    editor.request(
        "conversation/create",
        {
            "workDoneToken": token,
            "turns": [{"request": prompt}],
            "capabilities": {"allSkills": False, "skills": []},
            "source": "panel",
            "computeSuggestions": False,
            "model": model,
            "chatMode": "Agent",
            "needToolCallConfirmation": True,
            "workspaceFolders": [{"uri": home.work.as_uri(), "name": "work"}],
        },
    )
    reports = [
        params["value"]
        for method, params in editor.notes
        if method == "$/progress" and params["token"] == token
    ]
    assert [] == [report["error"] for report in reports if report.get("error")]
    rounds = [one for report in reports for one in report.get("editAgentRounds") or []]
    return "".join(one.get("reply") or "" for one in rounds)


def test_models(editor: LanguageClient) -> None:
    """The model list is complete; an entry without a required field would empty it."""
    models = {one["id"] for one in editor.request("copilot/models", {})}

    assert set(ENDPOINTS) == models & set(ENDPOINTS)


@pytest.mark.parametrize("model", sample(ENDPOINTS, alike=ENDPOINTS.get))
def test_tool(editor: LanguageClient, home: Home, copilot: Copilot, model: str) -> None:
    """A model of each vendor calls the editor's tool, and answers with its result."""
    answer = ask(editor, home, model, "Call get_weather for Paris")

    assert f"playing {model}. get_weather answered: It is sunny in Paris." in answer
    path = ENDPOINTS[model]
    assert [("POST", path, 200, "user"), ("POST", path, 200, "agent")] == copilot.calls()


@pytest.mark.parametrize("model", sample(ENDPOINTS, alike=ENDPOINTS.get))
def test_image(editor: LanguageClient, home: Home, copilot: Copilot, model: str) -> None:
    """An image reaches a model of each vendor."""
    prompt = [{"type": "text", "text": "What is this?"}, IMAGE]

    assert "I see 1 image." in ask(editor, home, model, prompt)
    assert [200] == [status for _, _, status, _ in copilot.calls()]


def test_auto(editor: LanguageClient, home: Home, copilot: Copilot) -> None:
    """Copilot chooses the model, and that model answers."""
    assert "Say hello" in ask(editor, home, "auto", "Say hello")
    assert "/models/session" == copilot.calls()[0][1]
