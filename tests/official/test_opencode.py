"""opencode's own Copilot provider, github-copilot, works with the simulator.

Starting opencode takes as long as a thousand other tests, so these tests run only in CI.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from copilot_proxy.simulator.state import FOREIGN_TOKEN
from tests.official.conftest import CPU, MODULES, PLATFORM, Copilot, Home, await_line, needed
from tests.pictures import PNG
from tests.ports import free_port
from tests.selection import only_in_ci

PROGRAM = MODULES / f"opencode-{PLATFORM}{'-baseline' if CPU == 'x64' else ''}" / "bin" / "opencode"
COMMAND = 'Call the bash tool with "echo tool-$((40+2))"'
ENDPOINTS = {
    "claude-opus-5.5": "/v1/messages",
    "gpt-6.1-sol": "/responses",
    "gemini-4-carbon": "/chat/completions",
    "kimi-k3": "/chat/completions",
    "mai-code-2-flash": "/responses",
    "grok-4.7": "/responses",
}
IMAGE = {
    "type": "file",
    "mime": "image/png",
    "filename": "dot.png",
    "url": f"data:image/png;base64,{PNG}",
}

pytestmark = needed(PROGRAM)


@pytest.fixture(scope="module")
def opencode(home: Home) -> Iterator[httpx.Client]:
    """The API of a running, signed-in opencode, which uses Copilot's real host names."""
    data = home.path / ".local" / "share" / "opencode"
    data.mkdir(parents=True)
    account = {"type": "oauth", "refresh": FOREIGN_TOKEN, "access": FOREIGN_TOKEN, "expires": 0}
    (data / "auth.json").write_text(json.dumps({"github-copilot": account}))
    port = free_port()
    switches = ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE")
    environ = {f"OPENCODE_DISABLE_{name}": "1" for name in switches}
    log = home.path / "log"
    output = log.open("wb")
    process = subprocess.Popen(
        [str(PROGRAM), "serve", "--port", str(port)],
        env=home.environ(OPENCODE_PERMISSION='{"bash": "allow"}', **environ),
        cwd=home.work,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        url = await_line(log, process, r"listening on (http://\S+)")
        with httpx.Client(base_url=url, trust_env=False, timeout=250) as client:
            yield client
    finally:
        process.terminate()
        process.wait(60)
        output.close()


def ask(opencode: httpx.Client, model: str, text: str, *parts: Any) -> str:
    """Return the text of the answer to a prompt, in a new session."""
    session = opencode.post("/session", json={"title": "A test"}).json()
    prompt = {
        "model": {"providerID": "github-copilot", "modelID": model},
        "parts": [{"type": "text", "text": text}, *parts],
    }
    answer = opencode.post(f"/session/{session['id']}/message", json=prompt).json()
    assert "error" not in answer["info"], answer["info"]["error"]
    return "".join(part["text"] for part in answer["parts"] if part["type"] == "text")


@only_in_ci
@pytest.mark.parametrize("model", ENDPOINTS)
def test_answer(opencode: httpx.Client, copilot: Copilot, model: str) -> None:
    """A model of each vendor answers on its API."""
    assert ask(opencode, model, "Say hello").endswith("You said: Say hello")
    assert [("POST", ENDPOINTS[model], 200, "user")] == copilot.calls()


@only_in_ci
@pytest.mark.parametrize("model", ENDPOINTS)
def test_command(opencode: httpx.Client, copilot: Copilot, model: str) -> None:
    """A model of each vendor runs a command, and answers with its output."""
    answer = ask(opencode, model, COMMAND)

    assert f"playing {model}. bash answered: tool-42" in answer
    path = ENDPOINTS[model]
    assert [("POST", path, 200, "user"), ("POST", path, 200, "agent")] == copilot.calls()


@only_in_ci
@pytest.mark.parametrize("model", ENDPOINTS)
def test_image(opencode: httpx.Client, copilot: Copilot, model: str) -> None:
    """An image reaches a model of each vendor."""
    answer = ask(opencode, model, "What is this?", IMAGE)

    assert "I see 1 image." in answer
    (request,) = [one for one in copilot.requests() if one["method"] == "POST"]
    assert (200, True) == (request["status"], request["vision"])
