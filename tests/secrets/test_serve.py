"""The server as a process: all of its output, from the start to a second Ctrl+C."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.auth.hosts import host_of
from copilot_proxy.masking import Secret
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.conftest import NO_TLS
from tests.secrets.marks import Marks, files, sent
from tests.secrets.test_answers import ASKED, TURNS, whole
from tests.selection import sample

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

KEY = "COPILOT_PROXY_API_KEY"
WRONG_BODIES = [b"", b"{", b"[]", b'{"model": 1}', b"\xff", b'{"model":"nope","messages":[]}']
FAULTS = {
    "token_expired": "gpt-4.1",
    "bad_gateway_html": "claude-haiku-4.5",
    "gzip": "gpt-4o",
    "rate_limited_body": "gemini-3.1-pro-preview",
}
"""Faults, each with a separate model, since a refusal may start a cooldown."""


@contextlib.contextmanager
def served(home: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Yield a server process and its URL; its output goes to files in `home`."""
    out, err = home / "stdout", home / "stderr"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [sys.executable, "-m", "copilot_proxy", "serve", "--port", "0", "--debug", *flags],
            stdout=to_out,
            stderr=to_err,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield process, wait_for(r"http://127\.0\.0\.1:\d+(?=/v1)", err)
    finally:
        process.kill()
        process.wait(60)


def wait_for(pattern: str, file: Path) -> str:
    """Wait until `pattern` occurs in `file`, and return the match."""
    until = time.monotonic() + 60
    while not (found := re.search(pattern, file.read_text())):
        assert time.monotonic() < until, file.read_text()
        time.sleep(0.02)
    return found[0]


def family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def seen_by_others(pid: int) -> dict[str, bytes]:
    """Return what other programs can read of a process.

    This includes the command line and the environment, but not the variables set for the server.
    """
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    ours = [one for one in environment if not one.startswith(KEY.encode() + b"=")]
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    return {f"the command line of {pid}": command, f"the environment of {pid}": b"\0".join(ours)}


def ask(url: str, simulator: Simulator, keys: list[str], wrong: str) -> dict[str, bytes]:
    """Send valid and invalid requests of all kinds; return the answers."""
    places: dict[str, bytes] = {}

    def note(what: str, answer: httpx.Response) -> None:
        places[f"{what} ({len(places)})"] = whole(answer)

    with httpx.Client(base_url=url, timeout=60, trust_env=False, verify=NO_TLS) as client:
        for key in keys:
            client.headers["authorization"] = f"Bearer {key}"
            for method, path, body in ASKED:
                note(path, client.request(method, path, json=body))
        for wrong_body in WRONG_BODIES:
            for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages"):
                note(f"{path} {wrong_body!r}", client.post(path, content=wrong_body))
        for path in ("/", "/health", "/schema", "/schema/openapi.json", "/nowhere", "/v1/models/x"):
            note(path, client.get(path, params={"key": keys[0]}))
        note("DELETE", client.delete("/v1/models"))
        for fault, model in FAULTS.items():
            simulator.state.faults.on(fault, times=1)
            for stream in (False, True):
                asked = {"model": model, "messages": TURNS, "stream": stream}
                note(fault, client.post("/v1/chat/completions", json=asked))
        for headers in (
            {"authorization": f"Bearer {wrong}"},
            {"x-api-key": wrong, "authorization": ""},
            {"authorization": wrong, "origin": "https://evil.example", "cookie": f"key={wrong}"},
            {"host": "evil.example"},
        ):
            note("refused", client.get("/v1/models", headers=headers))
    return places


def interrupt(process: subprocess.Popen[bytes], url: str, key: str, err: Path) -> bytes:
    """Press Ctrl+C twice during an answer; return what was received."""
    asked = {"model": "gpt-4o", "messages": TURNS, "stream": True}
    headers = {"x-api-key": key}
    address = f"{url}/v1/chat/completions"
    options: dict[str, Any] = {"headers": headers, "timeout": 60, "verify": NO_TLS}
    with httpx.stream("POST", address, json=asked, **options) as answer:
        pieces = answer.iter_bytes()
        came = next(pieces)
        process.send_signal(signal.SIGINT)
        wait_for("Finishing 1 open request", err)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(httpx.HTTPError):
            came += b"".join(pieces)
    assert process.wait(60) == 130
    return came


@pytest.mark.parametrize(
    ("workers", "form"),
    sample([(1, "text"), (1, "json"), (2, "text"), (2, "json")], alike=lambda case: case[0]),
)
def test_a_server_keeps_its_secrets(
    simulator: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    workers: int,
) -> None:
    """No answer, log, dump, command line or environment contains keys or tokens.

    This includes tokens from the exchange, but not variables that the user has set.
    """
    marks = Marks()
    key, named = marks.new("the API key"), marks.new("a named key")
    wrong = marks.new("a wrong key")
    keys = list(marks.known)
    home = tmp_path / "home"
    token = marks.add("the token", simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98"))
    for name in ("GITHUB_URL", "GITHUB_API_URL"):
        monkeypatch.setenv(f"COPILOT_PROXY_{name}", simulator.url)
    host = host_of(load_settings())
    FileStore(home).save(Credential(Secret(token), host, "mona"))
    (home / "config.toml").write_text(f'[api_keys]\nlaptop = "{named}"\n')
    monkeypatch.setenv(KEY, key)
    flags = ["--log-format", form, "--workers", str(workers)]
    flags += ["--log-file", str(tmp_path / "log" / "a.log"), "--dump-dir", str(tmp_path / "dumps")]
    with served(home, *flags) as (process, url):
        places = ask(url, simulator, [key, named], wrong)
        pids = family(process.pid)
        for pid in pids:
            places |= seen_by_others(pid)
        simulator.state.faults.clear()
        simulator.state.faults.on("stall_mid_stream")
        cut = places["the answer that was cut"] = interrupt(process, url, named, home / "stderr")
    marks.learn(simulator)
    assert len(pids) >= (3 if workers > 1 else 1)
    assert any("dumps" in place for place in files(tmp_path))
    assert b"server_stopped" in cut
    assert json.loads((home / "credentials.json").read_text())["token"] == token
    written = files(tmp_path, but=("credentials.json", "config.toml"))
    assert [] == marks.found({**places, **written, **sent(simulator)})
    shown = {
        f"what Copilot got, {n}": str(r.headers) for n, r in enumerate(simulator.state.requests)
    }
    assert not [one for one in marks.found(shown) if one.startswith(tuple(keys))]
    assert KEY in os.environ
