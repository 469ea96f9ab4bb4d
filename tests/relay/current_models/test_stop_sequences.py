"""Stop sequences end the answer on every client API, whatever API the model is on."""

import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.relay import reply
from copilot_proxy.relay.costs import cost_of
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.faults import Faults
from tests import grammars
from tests.conftest import Proxy, clear_environment, settings_at
from tests.matrix_clients import EVERY_CLIENT, TOOL, Ask, Client
from tests.selection import every_value

MODELS: Final = {
    "gpt-6.2-sol": "responses",
    "gemini-4-argon": "chat_completions",
    "claude-opus-5.5": "messages",
}
"""Models that are each served on one API."""
GPT: Final = "gpt-6.2-sol"
STOP: Final = "4 5 6"
"""A stop sequence that arrives in several pieces of text."""
SHOWN: Final = "1 2 3 "
PATHS: Final = {
    "chat_completions": ("stop",),
    "messages": ("stop_sequences",),
    "gemini": ("generationConfig", "stopSequences"),
    "ollama": ("options", "stop"),
}
CLIENT: Final = {client.api: client for client in EVERY_CLIENT if client.api in PATHS}
EACH: Final = pytest.mark.parametrize("client", CLIENT.values(), ids=lambda client: client.api)
STREAMED: Final = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(catalogue="2026-11", pace=0) as running:
        yield running


@pytest.fixture
def failing(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Yield the simulator's faults, which happen after the stop sequence and before the end."""
    monkeypatch.setattr(simulator.state, "middle", 60)
    yield simulator.state.faults
    simulator.state.faults.clear()


@pytest.fixture(scope="module")
def proxy(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with pytest.MonkeyPatch.context() as patch:
        clear_environment(patch, tmp_path_factory.mktemp("home"))
        with Proxy(settings_at(simulator, ollama=True)) as running:
            yield running


@pytest.fixture(scope="module")
def http(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.client() as http:
        yield http


def asked(client: Client, model: str, text: str, stops: list[str], **more: Any) -> tuple[str, Json]:
    """Return the path and the body of a request with stop sequences."""
    ask = Ask(model, client.user(text), **more)
    body = dict(client.body(ask))
    *holders, name = PATHS[client.api]
    holder = body
    for one in holders:
        holder = holder.setdefault(one, {})
    holder[name] = stops
    return client.path_of(ask), body


def answered(
    http: httpx.Client, client: Client, model: str, text: str, stops: list[str], **more: Any
) -> tuple[Json, str]:
    """Return the whole answer to a request with stop sequences, and the notes."""
    path, body = asked(client, model, text, stops, **more)
    answer = http.post(path, json=body)
    assert 200 == answer.status_code, answer.text
    whole = client.fold(answer.text) if more.get("stream") else answer.json()
    return whole, answer.headers.get("x-copilot-proxy-notes", "")


@every_value
@EACH
@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_ends_at_a_stop_sequence(
    http: httpx.Client, client: Client, model: str, stream: bool
) -> None:
    body, notes = answered(http, client, model, "Count to 9", [STOP, "unseen"], stream=stream)

    said = client.read(body)
    applied_here = MODELS[model] == "responses"
    assert SHOWN.strip() == said.text.strip()
    assert applied_here == (f"applied {'.'.join(PATHS[client.api])} on this server" in notes)
    assert said.prompt > 0 < said.answered
    if client.api != "messages":
        assert client.stopped == said.finish
    elif MODELS[model] == "chat_completions":
        # Copilot's answer does not say that a stop sequence ended it.
        assert ("end_turn", None) == (said.finish, body["stop_sequence"])
    else:
        assert ("stop_sequence", STOP) == (said.finish, body["stop_sequence"])


@EACH
@STREAMED
def test_an_answer_without_the_stop_sequence_is_whole(
    http: httpx.Client, client: Client, stream: bool
) -> None:
    """The end of the answer, which could begin a stop sequence, is not lost."""
    body, _ = answered(http, client, GPT, "Count to 9", ["8 9 10", "9 0"], stream=stream)

    said = client.read(body)
    assert ("1 2 3 4 5 6 7 8 9", client.stopped) == (said.text, said.finish)


@EACH
@STREAMED
def test_calls_after_a_stop_sequence_are_dropped(
    http: httpx.Client, client: Client, stream: bool
) -> None:
    """A call after a stop sequence is dropped, since the text comes first."""
    text = f'Say what you are going to do, then call {TOOL} for "Paris"'
    body, _ = answered(http, client, GPT, text, ["look"], tools=True, stream=stream)
    without, _ = answered(http, client, GPT, text, ["unseen"], tools=True, stream=stream)

    said = client.read(without)
    assert ("I will look that up.", [TOOL]) == (said.text, [call.name for call in said.calls])
    said = client.read(body)
    assert ("I will ", []) == (said.text, said.calls)


@STREAMED
@pytest.mark.parametrize("model", MODELS)
def test_completions(http: httpx.Client, model: str, stream: bool) -> None:
    """Stop sequences work on OpenAI's old API, where they are used most."""
    body = {"model": model, "prompt": "Count to 9", "stop": STOP, "stream": stream}

    answer = http.post("/v1/completions", json=body)

    frames = grammars.frames(answer.text)[:-1] if stream else [answer.text]
    choices = [json.loads(frame.removeprefix("data: "))["choices"][0] for frame in frames]
    assert SHOWN.strip() == "".join(choice["text"] for choice in choices).strip()
    assert "stop" == choices[-1]["finish_reason"]


@pytest.mark.parametrize("model", ["gemini-4-argon", "claude-sonnet-4.6"])
def test_more_stop_sequences_than_the_model_accepts(
    http: httpx.Client, simulator: Simulator, model: str
) -> None:
    """Copilot gets the first four, except blank ones for Claude; the server applies the rest."""
    client = CLIENT["chat_completions"]

    body, notes = answered(http, client, model, "Count to 9", [*"abcde", " 3"])

    assert "1 2" == client.read(body).text
    assert list("abcd") == simulator.state.requests[-1].body["stop"]
    assert "applied some stop sequences on this server" in notes


def test_repeated_stop_sequences_count_once(http: httpx.Client, simulator: Simulator) -> None:
    """Repetitions are dropped, since Copilot refuses more than four stop sequences."""
    client = CLIENT["chat_completions"]

    body, _ = answered(http, client, "gemini-4-argon", "Count to 9", [" 3", *"aaaaa"])

    assert "1 2" == client.read(body).text
    assert [" 3", "a"] == simulator.state.requests[-1].body["stop"]


def test_a_blank_stop_sequence_ends_an_answer_of_claude(http: httpx.Client) -> None:
    body, _ = answered(http, CLIENT["chat_completions"], "claude-opus-5.5", "Count to 9", [" "])

    assert "1" == CLIENT["chat_completions"].read(body).text


def test_endless_stop_sequences_are_refused(http: httpx.Client) -> None:
    path, body = asked(CLIENT["gemini"], GPT, "Hi", ["x" * 10_001])

    answer = http.post(path, json=body)

    assert 400 == answer.status_code
    assert "more than 10,000 characters" in answer.text


def test_a_model_that_continues_is_cancelled(
    proxy: Proxy, http: httpx.Client, failing: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client receives a complete answer, and the ledger records an estimate."""
    monkeypatch.setattr(reply, "_END_TIMEOUT", 0.01)
    client = CLIENT["chat_completions"]
    path, body = asked(client, GPT, "Count to 99", [STOP], stream=True)
    failing.on("stall_mid_stream")
    count = len(proxy.records)

    answer = http.post(path, json=body | {"stream_options": {"include_usage": True}})

    assert answer.text.rstrip().endswith("data: [DONE]")
    assert '"finish_reason":"stop"' in answer.text
    assert '"error"' not in answer.text
    record = proxy.wait_for_record(count + 1)
    cost = cost_of(record)
    assert (None, False, "estimated") == (record.error, record.client_gone, cost.source)
    assert cost.nano
    assert cost.nano > 0
    assert cost.tokens is not None
    assert cost.tokens.output > 3


@pytest.mark.parametrize("fault", ["error_chunk", "cut_mid_stream", "failed"])
def test_a_failure_after_the_stop_sequence_is_ignored(
    http: httpx.Client, failing: Faults, fault: str
) -> None:
    failing.on(fault)

    body, _ = answered(http, CLIENT["messages"], GPT, "Count to 99", [STOP], stream=True)

    assert ("stop_sequence", STOP) == (body["stop_reason"], body["stop_sequence"])
