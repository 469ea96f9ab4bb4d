"""Tokens without a recognizable format are masked because their values are known."""

import json
import secrets
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from copilot_proxy.settings import load_settings
from tests.http_server import HttpServer
from tests.secrets.marks import Marks, files
from tests.secrets.mirror import Mirror
from tests.secrets.test_answers import ask_everything, dumped, running
from tests.selection import every_value

FORMS = {
    "opaque": "aZ09" + secrets.token_urlsafe(30),
    "JWT": ".".join(secrets.token_urlsafe(20) for _ in range(3)) + "==",
    "odd characters": "k/" + secrets.token_hex(18) + "+/=;~",
}


class Exchange(HttpServer):
    """GitHub's token exchange, which issues `token`."""

    def __init__(self, token: str) -> None:
        self._token = token
        super().__init__()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with the token."""
        content = json.dumps(
            {"token": self._token, "expires_at": time.time() + 1800, "refresh_in": 1500}
        ).encode()
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@every_value
@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "json"), (401, "text"), (403, "html"), (429, "nested"), (500, "json"), (200, "event")],
)
@pytest.mark.parametrize("form", FORMS)
def test_copilot_echoes_an_opaque_token(
    folder: Path, capsys: pytest.CaptureFixture[str], form: str, status: int, kind: str
) -> None:
    """Neither Copilot's token, nor GitHub's, nor the API key appears in any output."""
    marks = Marks()
    token = marks.add("Copilot's token", FORMS[form])
    own = marks.new("GitHub's token", "opaque.")
    key = marks.new("the API key", "local/")
    with Exchange(token) as github, Mirror(status, kind) as mirror:
        settings = load_settings(
            {
                "github_url": github.url,
                "github_api_url": github.url,
                "copilot_api_url": mirror.url,
                "github_token": own,
                "api_key": key,
                "dump_dir": dumped(folder),
            }
        )
        with running(settings, folder, "text") as server:
            places = ask_everything(server, (form, status), authorization=f"Bearer {key}")

    assert f"Bearer {token}" in mirror.tokens
    out, err = capsys.readouterr()
    assert [] == marks.found({**places, "stdout": out, "stderr": err, **files(folder)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "written"
