"""One log line a day reports data from Copilot that this version does not know."""

import json
import logging
from typing import Any

import pytest

from copilot_proxy.formats.drift import Unknown
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.fuzz.upstream import MODELS, raw_upstream

DAY = 24 * 60 * 60
A, B = Unknown("responses event", "response.paused"), Unknown("model field", "billing.surcharge")


def record(*unknown: Unknown) -> RequestRecord:
    return RequestRecord("an-id", "chat_completions", unknown=list(unknown))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines about unknown data."""
    found = [one.getMessage() for one in caplog.records if "does not know" in one.getMessage()]
    caplog.clear()
    return found


def test_one_line_a_day(caplog: pytest.LogCaptureFixture) -> None:
    """The first report is logged immediately; later ones are counted, and logged the next day."""
    caplog.set_level(logging.INFO)
    now = 0.0
    reporter = Reporter(clock=lambda: now)
    reporter(record())
    assert [] == lines(caplog)
    reporter(record(A, A))
    assert [
        "Copilot sent values that this version does not know: responses event response.paused "
        "(2). Check for a newer version."
    ] == lines(caplog)
    for _ in range(3):
        reporter(record(A, B))
    now = DAY - 1.0
    reporter(record(B))
    assert [] == lines(caplog)
    now = float(DAY)
    reporter(record())
    (line,) = lines(caplog)
    assert "model field billing.surcharge (4), responses event response.paused (3)." in line
    now = 3.0 * DAY
    reporter(record())
    assert [] == lines(caplog)


def test_the_line_is_short(caplog: pytest.LogCaptureFixture) -> None:
    """Only some of the names are shown, and memory use is limited."""
    caplog.set_level(logging.INFO)
    Reporter()(record(*(Unknown("error code", f"code_{n}") for n in range(1000))))
    (line,) = lines(caplog)
    assert "other names (800), error code code_0 (1), " in line
    assert ", and 181 more. Check" in line


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The event is `drift`, with all names."""
    reporter = Reporter()
    with logging_to_stderr("json", reporter):
        reporter(record(A))
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert ("drift", ["responses event response.paused (1)"]) == (last["event"], last["unknown"])


EVENTS: dict[str, list[Any]] = {
    "messages": [
        {"type": "message_start", "message": {"id": "m", "content": [], "usage": {}}},
        {"type": "message_paused"},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ],
    "responses": [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.paused"},
        {"type": "response.completed", "response": {"id": "r", "status": "completed"}},
    ],
    "chat_completions": [
        {"mood": "a secret", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    ],
}
NAMES = {
    "messages": Unknown("messages event", "message_paused"),
    "responses": Unknown("responses event", "response.paused"),
    "chat_completions": Unknown("chat_completions field", "mood"),
}
REQUESTS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
}


@pytest.mark.parametrize("path", REQUESTS)
@pytest.mark.parametrize("api", EVENTS)
def test_an_unknown_event_is_recorded(simulator: Simulator, api: str, path: str) -> None:
    """With every client API and model API, the request succeeds, and its record names the event."""
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in EVENTS[api]) + "data: [DONE]\n\n"
    with raw_upstream() as upstream:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        upstream.answer = (head + text).encode()
        settings = settings_at(simulator, copilot_api_url=upstream.url)
        with Proxy(settings) as proxy, proxy.client() as client:
            body = {"model": MODELS[api][0], "stream": True, **REQUESTS[path]}
            assert 200 == client.post(path, json=body).status_code
            assert NAMES[api] in proxy.wait_for_record().unknown
            assert "a secret" not in str(proxy.records[0].unknown)


def test_an_unknown_list_and_code_are_recorded(simulator: Simulator) -> None:
    """Unknown fields of a model list are recorded once, with the request that loaded the list."""
    simulator.state.catalogue[0]["surcharge"] = 1
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        for _ in range(2):
            client.post(
                "/v1/chat/completions",
                json={"model": "default", **REQUESTS["/v1/chat/completions"]},
            )
        proxy.wait_for_record(2)
    known = Unknown("model field", "surcharge")
    assert [1, 0] == [one.unknown.count(known) for one in proxy.records]
