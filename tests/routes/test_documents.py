"""PDFs on each route of a running server: what reaches Copilot, and what refusals look like."""

import json
from typing import Final

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.pdfs import PDF, PDF_URL

SOURCE: Final = {"type": "base64", "media_type": "application/pdf", "data": PDF}
PARTS: Final = {
    "/v1/chat/completions": {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF_URL}},
    "/v1/responses": {"type": "input_file", "filename": "a.pdf", "file_data": PDF_URL},
    "/v1/messages": {"type": "document", "source": SOURCE},
}
EACH_PATH = pytest.mark.parametrize("path", list(PARTS))


def body(path: str, model: str) -> Json:
    """Return a request to `path` with a PDF."""
    turns = [{"role": "user", "content": [PARTS[path]]}]
    if path == "/v1/responses":
        return {"model": model, "input": turns}
    return {"model": model, "messages": turns, "max_tokens": 50}


@EACH_PATH
def test_claude_reads_pdfs(proxy: Proxy, simulator: Simulator, path: str) -> None:
    """Every client can send a PDF to Claude, which receives it on Messages, not as images."""
    with proxy.client() as client:
        answer = client.post(path, json=body(path, "claude-sonnet-4.5"))

    assert 200 == answer.status_code, answer.text
    assert "messages" == answer.headers["x-copilot-proxy-route"]
    asked = simulator.state.requests[-1]
    assert ("/v1/messages", False) == (asked.path, asked.vision)
    assert PDF in json.dumps(asked.body)


@EACH_PATH
@pytest.mark.parametrize(
    ("model", "upstream", "vision"),
    [("gpt-5-mini", "/responses", False), ("gemini-3.5-flash", "/chat/completions", True)],
)
def test_other_apis(
    proxy: Proxy, simulator: Simulator, path: str, model: str, upstream: str, vision: bool
) -> None:
    """GPT gets files on Responses; Gemini gets them as images, which need the vision header."""
    with proxy.client() as client:
        answer = client.post(path, json=body(path, model))

    assert 200 == answer.status_code, answer.text
    asked = next(r for r in simulator.state.requests if r.path == upstream)
    assert vision == asked.vision
    assert PDF in json.dumps(asked.body)


@EACH_PATH
def test_refusals(proxy: Proxy, simulator: Simulator, path: str) -> None:
    """A model without PDF support is not called; the error has the client's format and a hint."""
    with proxy.client() as client:
        answer = client.post(path, json=body(path, "gpt-4o"))

    error = answer.json()["error"]
    assert (400, "unsupported_value") == (answer.status_code, error["code"])
    assert "gpt-4o does not accept PDFs" in error["message"]
    assert "use a model that accepts PDFs: Claude" in error["hint"]
    assert ("param" in error) == (path != "/v1/messages")
    assert not [r for r in simulator.state.requests if r.method == "POST" and r.body]
