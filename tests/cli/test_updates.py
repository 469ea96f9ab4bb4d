"""The notice about a newer version, with the real pip and a local package index."""

import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.cli import updates
from copilot_proxy.cli.updates import latest_version, show_update

PAGE = b"""<!DOCTYPE html><html><body>
<a href="g_copilot_proxy-0.0.1-py3-none-any.whl">g_copilot_proxy-0.0.1-py3-none-any.whl</a>
<a href="g_copilot_proxy-98.7.6-py3-none-any.whl">g_copilot_proxy-98.7.6-py3-none-any.whl</a>
</body></html>"""


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/simple/g-copilot-proxy/" else 404)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package index that pip is configured to use."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        for name in [one for one in os.environ if one.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state file of a released version that runs on a terminal."""
    monkeypatch.setenv("COPILOT_PROXY_HOME_DIR", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(updates, "is_interactive", lambda: True)
    monkeypatch.setattr(updates, "_is_released", lambda: True)
    return tmp_path / "update.json"


def test_pip_finds_the_newest_version(index: None) -> None:
    """The version comes from the index that the user has configured."""
    assert "98.7.6" == latest_version()


def test_it_is_found_in_the_background_and_shown_once(
    index: None, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command looks up the version, and the next one shows it, at most once a day."""
    show_update("status")
    assert "" == capsys.readouterr().err
    deadline = time.monotonic() + 60
    while "latest" not in json.loads(file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)

    show_update("status")
    shown = capsys.readouterr().err
    assert "Version 98.7.6 of g-copilot-proxy is available" in shown
    assert "Upgrade with:" in shown
    show_update("status")
    assert "" == capsys.readouterr().err


@pytest.mark.parametrize("reason", ["no terminal", "setting", "CI", "serve", "checkout"])
def test_it_is_silent(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    """Without a terminal, in CI and so on, nothing is shown, looked up or written."""
    if reason == "no terminal":
        monkeypatch.setattr(updates, "is_interactive", lambda: False)
    elif reason == "setting":
        monkeypatch.setenv("COPILOT_PROXY_UPDATE_CHECK", "false")
    elif reason == "CI":
        monkeypatch.setenv("CI", "true")
    elif reason == "checkout":
        monkeypatch.setattr(updates, "_is_released", lambda: False)
    monkeypatch.setattr(updates, "_start", None)
    show_update("serve" if reason == "serve" else "status")

    assert "" == capsys.readouterr().err
    assert not file.exists()


@pytest.mark.parametrize("latest", ["0.0.1", "99.0rc1", "", None, 7])
def test_only_newer_releases_count(
    file: Path, capsys: pytest.CaptureFixture[str], latest: object
) -> None:
    file.write_text(json.dumps({"checked": time.time(), "latest": latest}))
    show_update("status")
    assert "" == capsys.readouterr().err
