"""Internal errors are reported to the client without details, and logged with a traceback."""

import errno
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from copilot_proxy.middleware import access
from copilot_proxy.relay.model_resolver import ModelResolver
from copilot_proxy.relay.relay import Relay
from copilot_proxy.relay.reply import Reply
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize("stream", [False, True])
def test_before_the_answer(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stream: bool,
) -> None:
    """A bug before the first byte causes a 500 in OpenAI's format that SDKs do not retry."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the inner workings")

    monkeypatch.setattr(Relay, "answer", broken)
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json={**CHAT, "stream": stream})

    error = answer.json()["error"]
    assert (500, "internal_error") == (answer.status_code, error["code"])
    assert "false" == answer.headers["x-should-retry"]
    assert "inner workings" not in answer.text
    assert any(r.levelno == logging.ERROR and r.exc_info for r in caplog.records)


def test_in_mid_stream(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug mid-stream causes an error event, not a closed connection."""
    original = Reply.events

    async def broken(self: Reply, write: Any) -> AsyncIterator[list[dict[str, Any]]]:
        async for chunks in original(self, write):
            yield chunks
            raise ZeroDivisionError

    monkeypatch.setattr(Reply, "events", broken)
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.post("/v1/chat/completions", json={**CHAT, "stream": True})

    *_, error, done = [line for line in answer.text.splitlines() if line]
    assert "data: [DONE]" == done
    assert "internal_error" == json.loads(error.removeprefix("data: "))["error"]["code"]
    assert "internal_error" == proxy.wait_for_record().error


def test_in_a_route(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in another route is reported the same way."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ModelResolver, "catalogue", broken)
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        answer = client.get("/v1/models")

    assert (500, "internal_error") == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/api/chat", "/v1beta/models/m:generateContent"])
def test_without_free_file_descriptors(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
) -> None:
    """If the code of an API cannot be read now, the client may try again."""

    def full(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "api.py")

    monkeypatch.setattr(access, "client_api", full)
    with Proxy(settings_at(simulator, ollama=True)) as proxy, proxy.client() as client:
        answer = client.post(path, json={})

    error = answer.json()["error"]
    assert (503, "server_busy", "1") == (
        answer.status_code,
        error["code"],
        answer.headers["retry-after"],
    )
    assert "Too many open files" in error["message"]
    assert not any(record.exc_info for record in caplog.records)
