"""An upstream that echoes tokens, which must not reach any answer, log line or file."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.logs.log_file import LogFile
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.secrets.marks import Marks, files, sent
from tests.secrets.mirror import Mirror
from tests.selection import covering, share

TURNS = [{"role": "user", "content": "Hi"}]
ASKED: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/chat/completions", {"model": "gpt-4o", "messages": TURNS}),
    ("POST", "/v1/chat/completions", {"model": "gpt-4o", "messages": TURNS, "stream": True}),
    ("POST", "/v1/responses", {"model": "gpt-5-mini", "input": "Hi"}),
    ("POST", "/v1/responses", {"model": "gpt-5-mini", "input": "Hi", "stream": True}),
    ("POST", "/v1/messages", {"model": "claude-sonnet-4.5", "max_tokens": 9, "messages": TURNS}),
    (
        "POST",
        "/v1/messages",
        {"model": "claude-sonnet-4.5", "max_tokens": 9, "messages": TURNS, "stream": True},
    ),
    ("POST", "/v1/messages/count_tokens", {"model": "claude-sonnet-4.5", "messages": TURNS}),
    (
        "POST",
        "/v1beta/models/gpt-4o:streamGenerateContent",
        {"contents": [{"parts": [{"text": "Hi"}]}]},
    ),
    ("POST", "/v1/embeddings", {"model": "text-embedding-3-small", "input": "Hi"}),
    ("POST", "/api/chat", {"model": "gpt-4o", "messages": TURNS}),
    ("POST", "/api/generate", {"model": "gpt-5-mini", "prompt": "Hi", "stream": False}),
    ("POST", "/api/embed", {"model": "text-embedding-3-small", "input": "Hi"}),
    ("POST", "/api/show", {"model": "gpt-4o"}),
    ("GET", "/api/tags", None),
    ("GET", "/v1/models", None),
    ("GET", "/v1/models/gpt-4o", None),
    ("GET", "/health", None),
]
ECHOES = [
    *((status, "json") for status in (400, 401, 402, 403, 404, 408, 413, 421, 422, 429, 466)),
    *((status, "text") for status in (400, 401, 403, 415, 429, 500, 503)),
    *((status, "html") for status in (200, 403, 502)),
    *((status, "nested") for status in (400, 500, 529)),
    (200, "broken"),
    (200, "json"),
    (200, "event"),
    (302, "redirect"),
]
EXCHANGES = [
    *((status, kind) for status in (200, 401, 403, 404, 429, 500) for kind in ("github", "html")),
    (200, "exchange"),
    (302, "redirect"),
]


class Logged(Proxy):
    """A server that logs requests as `serve` does."""

    reporter = Reporter()

    def _report(self, record: RequestRecord) -> None:
        self.reporter(record)
        super()._report(record)


@contextmanager
def running(settings: Settings, folder: Path, form: str) -> Iterator[Logged]:
    """A server with all logs and dumps enabled."""
    file = LogFile(folder / "proxy.log", max_bytes=10_000_000, count=1)
    with logging_to_stderr(form, Reporter(), file), Logged(settings) as server:
        yield server
    file.close()


def ask_everything(server: Proxy, key: object, **headers: str) -> dict[str, bytes]:
    """Return the server's answers to all kinds of requests, with headers.

    Outside CI, only a third of the kinds is used, chosen by `key`.
    """
    places = {}
    with server.client(headers=headers) as client:
        for number, (method, path, body) in enumerate(share(ASKED, key, 3)):
            answer = client.request(method, path, json=body)
            places[f"answer {number} of {path}"] = whole(answer)
    return places


def whole(answer: httpx.Response) -> bytes:
    return repr(answer.headers.raw).encode() + b"\n" + answer.content


def dumped(folder: Path) -> Path:
    return folder / "dumps"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.mark.parametrize(
    ("status", "kind", "form"),
    covering(
        ((*echo, form) for echo, form in product(ECHOES, ("text", "json"))),
        itemgetter(0),
        itemgetter(1, 2),
    ),
)
def test_copilot_echoes_its_token(
    simulator: Simulator,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    status: int,
    kind: str,
    form: str,
) -> None:
    """No token reaches the client when Copilot echoes it in headers, messages, events or URLs."""
    marks = Marks()
    key = marks.new("the API key", "key-")
    with Mirror(status, kind) as mirror:
        settings = settings_at(
            simulator, ollama=True, copilot_api_url=mirror.url, api_key=key, dump_dir=dumped(folder)
        )
        with running(settings, folder, form) as server:
            places = ask_everything(server, (status, kind), authorization=f"Bearer {key}")
    marks.learn(simulator)
    for token in mirror.tokens:
        marks.learn_token(token)
    out, err = capsys.readouterr()
    others = {f"what Copilot got, {number}": one for number, one in enumerate(mirror.others)}
    assert not {"/chat/completions", "/responses"}.isdisjoint(mirror.paths)
    assert len(marks.known) >= 5
    written: dict[str, bytes | str] = {"stdout": out, "stderr": err, **files(folder)}
    assert [] == marks.found({**places, **written, **sent(simulator), **others})


@pytest.mark.parametrize(
    ("status", "kind", "whose"),
    covering(
        ((*exchange, whose) for exchange, whose in product(EXCHANGES, ("server", "caller"))),
        itemgetter(0),
        itemgetter(1, 2),
    ),
)
def test_github_echoes_its_token(
    folder: Path, capsys: pytest.CaptureFixture[str], status: int, kind: str, whose: str
) -> None:
    """No token reaches the client when GitHub echoes it in the exchange."""
    marks = Marks()
    own = marks.new("the server's token", "gho_")
    callers = marks.new("the caller's token", "ghu_")
    with Mirror(status, kind) as mirror:
        settings = settings_of(mirror, own, dump_dir=dumped(folder))
        headers = {"authorization": f"Bearer {callers}"} if whose == "caller" else {}
        with running(settings, folder, "text") as server:
            places = ask_everything(server, (status, kind), **headers)
    out, err = capsys.readouterr()
    others = {f"what GitHub got, {number}": one for number, one in enumerate(mirror.others)}
    assert mirror.paths
    assert [] == marks.found({**places, "out": out, "err": err, **files(folder), **others})


def settings_of(mirror: Mirror, token: str, **more: object) -> Settings:
    from copilot_proxy.settings import load_settings

    return load_settings(
        {
            "github_url": mirror.url,
            "github_api_url": mirror.url,
            "github_token": token,
            **more,
        }
    )
