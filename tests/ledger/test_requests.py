"""Every request to the server is in the ledger, with Copilot's exact charge."""

import json
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.cost.estimated_tokens import TOKENS_PER_EVENT
from copilot_proxy.ledger.database import open_for_reading
from copilot_proxy.ledger.verification import verify
from copilot_proxy.relay.costs import cost_of, sized
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.settings import Settings
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at

STORY = "Tell me a story of 100 words"
USER = [{"role": "user", "content": STORY}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": USER, "stream_options": {"include_usage": True}},
    "/v1/responses": {"input": STORY},
    "/v1/messages": {"messages": USER, "max_tokens": 500},
}
WORD = re.compile(rb'"(?:content|delta|text)": ?"[^"]')
MODELS = ("claude-opus-5", "gpt-5.5", "gpt-5-mini")
"""One model on each of Copilot's APIs, so each is native for one client and translated for two."""


@pytest.fixture
def settings(simulator: Simulator) -> Settings:
    return settings_at(simulator, ledger=True)


def rows(settings: Settings) -> list[dict[str, Any]]:
    """Return the ledger's rows, or an empty list if the ledger does not exist yet."""
    database = open_for_reading(settings.ledger_file)
    if database is None:
        return []
    with closing(database):
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM requests ORDER BY id")]


def body_for(path: str, model: str, *, stream: bool) -> dict[str, Any]:
    body = {"model": model, "stream": stream, **BODIES[path]}
    if not stream:
        body.pop("stream_options", None)
    return body


def test_the_sum_is_exact(simulator: Simulator, settings: Settings) -> None:
    """The sum covers all APIs, streamed or not, native or translated, and concurrent clients."""
    cases = [
        (path, model, stream) for path in BODIES for model in MODELS for stream in (False, True)
    ] * 2
    with Proxy(settings) as proxy, proxy.client() as client:

        def ask(case: tuple[str, str, bool]) -> None:
            path, model, stream = case
            answer = client.post(path, json=body_for(path, model, stream=stream))
            assert 200 == answer.status_code
            assert stream or float(answer.headers["x-copilot-proxy-cost"]) > 0

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, cases))

    charged = [one.charged for one in simulator.state.requests if one.charged is not None]
    found = rows(settings)
    assert len(cases) == len({row["request_id"] for row in found}) == len(found)
    assert sum(charged) == sum(row["nano_aiu"] for row in found)
    assert sorted(charged) == sorted(row["nano_aiu"] for row in found)
    assert {"reported"} == {row["cost_source"] for row in found}
    assert {"ok"} == {row["outcome"] for row in found}
    assert {row["finish_reason"] for row in found} == {"stop", "end_turn", "completed"}
    assert {*BODIES} == {f"/v1/{row['api'].replace('chat_c', 'chat/c')}" for row in found}
    for row in found:
        assert row["upstream_id"]
        assert row["quota_entitlement"] == 1500
        assert "story" not in json.dumps(row, default=str)
    with closing(sqlite3.connect(settings.ledger_file)) as database:
        assert ([], []) == verify(database)[1:]
        assert (sum(charged),) == database.execute("SELECT sum(nano_aiu) FROM sums").fetchone()


def read_a_word(answer: httpx.Response) -> None:
    """Read until the first word, since the first events may not contain any words."""
    received = b""
    for data in answer.iter_bytes():
        received += data
        if WORD.search(received):
            return
    raise AssertionError(received)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("model", MODELS)
def test_left_early(simulator: Simulator, settings: Settings, path: str, model: str) -> None:
    """If the client disconnects early, the cost is estimated, and marked as an estimate."""
    simulator.state.faults.on("stall_mid_stream")
    simulator.state.middle = 20  # events, so that some of them have text
    with Proxy(settings) as proxy, proxy.client() as client:
        with client.stream("POST", path, json=body_for(path, model, stream=True)) as answer:
            read_a_word(answer)
        proxy.wait_for_record()

    (row,) = rows(settings)
    assert ("client_left", "estimated") == (row["outcome"], row["cost_source"])
    assert row["input_tokens"] > 0
    assert row["output_tokens"] > 0
    assert row["nano_aiu"] > 0


def test_one_estimate_for_all(simulator: Simulator, settings: Settings) -> None:
    """The cost of an incomplete answer is estimated from earlier complete answers, and the ledger,
    the log and everything else that reports the cost show the same estimate."""
    path = "/v1/chat/completions"
    body = body_for(path, "gpt-5-mini", stream=True)
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post(path, json=body)
        simulator.state.faults.on("stall_mid_stream")
        simulator.state.middle = 20
        with client.stream("POST", path, json=body) as answer:
            read_a_word(answer)
        whole, cut = proxy.wait_for_record(), proxy.wait_for_record(2)

    assert whole.usage is not None
    size = whole.usage["completion_tokens"] / whole.events
    assert (size, True) == (cut.tokens_per_event, size != TOKENS_PER_EVENT)
    assert rows(settings)[1]["nano_aiu"] == cost_of(cut).nano


def test_left_early_without_a_price(tmp_path: Path) -> None:
    """For a model without a price, the previous answer shows what Copilot charges."""
    path = "/v1/chat/completions"
    with Simulator(catalogue="2026-03", pace=0) as simulator:
        settings = settings_at(simulator, ledger=True, home_dir=str(tmp_path))
        with Proxy(settings) as proxy, proxy.client() as client:
            body = {"model": "gpt-4o", "messages": USER, "stream": True}
            for number, is_complete in enumerate([False, True, False], 1):
                if not is_complete:
                    simulator.state.faults.on("stall_mid_stream", times=1)
                with client.stream("POST", path, json=body) as answer:
                    chunks = answer.iter_bytes()
                    next(chunks)
                    assert not is_complete or list(chunks)
                proxy.wait_for_record(number)

    found = rows(settings)
    assert ["unknown", "reported", "estimated"] == [row["cost_source"] for row in found]
    assert 0 < found[2]["nano_aiu"] < found[1]["nano_aiu"]


def test_left_before_the_counts(tmp_path: Path) -> None:
    """Gemini's chunks have zero usage from the start, so the prompt is estimated."""
    with Simulator(pace=0) as simulator:
        simulator.state.faults.on("stall_mid_stream")
        settings = settings_at(simulator, ledger=True, home_dir=str(tmp_path))
        path = "/v1/chat/completions"
        body = {"model": "gemini-3.8-flash", "messages": USER, "stream": True}
        with Proxy(settings) as proxy, proxy.client() as client:
            with client.stream("POST", path, json=body) as answer:
                next(answer.iter_bytes())
            proxy.wait_for_record()

    (row,) = rows(settings)
    assert ("client_left", "estimated") == (row["outcome"], row["cost_source"])
    assert row["input_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_without_counts(simulator: Simulator, settings: Settings, path: str, stream: bool) -> None:
    """A complete answer without token counts is estimated, about as long as it really was."""
    body = body_for(path, "gpt-5-mini", stream=stream)
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post(path, json=body)
        simulator.state.faults.on("usage_nowhere")
        assert "x-copilot-proxy-cost" not in client.post(path, json=body).headers

    counted, estimated = rows(settings)
    assert ("ok", "estimated") == (estimated["outcome"], estimated["cost_source"])
    ratio = estimated["output_tokens"] / counted["output_tokens"]
    assert 0.5 < ratio < 2
    assert estimated["nano_aiu"] > 0


TEXT = "It follows the conventions. " * 40


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": TEXT}]}]},
        {"content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn"},
        {"content": [{"type": "tool_use", "input": {"text": TEXT}}], "usage": {"input_tokens": 0}},
    ],
)
def test_the_size_of_an_answer(answer: dict[str, Any]) -> None:
    """An answer without counts is estimated from its text, in each of Copilot's formats."""
    made = RequestRecord("r", "messages", attempts=1, model="gpt-5-mini")
    assert sized(made, answer) is answer
    cost = cost_of(made)
    assert "estimated" == cost.source
    assert cost.tokens is not None
    assert 0 <= cost.tokens.output - len(TEXT) // 4 < 20


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("model", MODELS)
def test_nobody_waited(simulator: Simulator, settings: Settings, path: str, model: str) -> None:
    """If the client of an answer that is not streamed leaves, the answer is assumed to be as long
    as the model's earlier ones, but not longer than the request allows."""
    limit = {"/v1/responses": "max_output_tokens"}.get(path, "max_tokens")
    body = {**body_for(path, model, stream=False), limit: 900}
    with Proxy(settings) as proxy, proxy.client() as client:
        simulator.state.faults.on("stall_before_headers")
        leave(client, path, body)
        proxy.wait_for_record(1)
        simulator.state.faults.clear()
        client.post(path, json=body)
        simulator.state.faults.on("stall_before_headers")
        leave(client, path, body)
        proxy.wait_for_record(3)

    first, counted, later = rows(settings)
    for row, output in ((first, 900), (later, counted["output_tokens"])):
        assert ("client_left", "estimated") == (row["outcome"], row["cost_source"])
        assert output == row["output_tokens"]


def leave(client: httpx.Client, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.post(path, json=body, timeout=0.5)


@pytest.mark.parametrize(
    ("fault", "value", "expected"),
    [
        ("quota_exceeded", None, ("refused_upstream", "free", 0)),
        ("cut_before_headers", None, ("broken", "unknown", None)),
        ("cut_mid_stream", None, ("broken", "estimated", True)),
        ("server_error_500", None, ("refused_upstream", "unknown", None)),
        # The token exchange is never billed, and Copilot was not called.
        ("exchange_500", None, ("refused_upstream", "free", 0)),
        ("exchange_missing_fields", None, ("broken", "free", 0)),
        ("github_down", None, ("broken", "free", 0)),
    ],
)
def test_failures(
    simulator: Simulator, settings: Settings, fault: str, value: Any, expected: tuple[Any, ...]
) -> None:
    """A refusal costs nothing; a failure may have cost something, so its cost is unknown."""
    simulator.state.faults.on(fault, value=value)
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post(
            "/v1/chat/completions", json=body_for("/v1/chat/completions", "gpt-5-mini", stream=True)
        )

    row = rows(settings)[0]
    nano = row["nano_aiu"]
    assert expected == (row["outcome"], row["cost_source"], nano if not nano else nano > 0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fault", ["error_first_chunk", "error_chunk"])
def test_an_error_event(simulator: Simulator, settings: Settings, fault: str, model: str) -> None:
    """A request that ends with an error event does not count as refused, whether or not the answer
    is translated, since Copilot had already accepted the request."""
    simulator.state.faults.on(fault)
    path = "/v1/messages"
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post(path, json=body_for(path, model, stream=True))

    (row,) = rows(settings)
    assert "broken" == row["outcome"]
    assert row["cost_source"] in ("estimated", "unknown")


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5-mini"])
@pytest.mark.parametrize("path", BODIES)
def test_a_used_up_quota_in_an_event(
    simulator: Simulator, settings: Settings, path: str, model: str
) -> None:
    """A request that the used-up quota refuses is free, even if Copilot says so in an event. If
    part of an answer came before it, that part may have been charged."""
    with Proxy(settings) as proxy, proxy.client() as client:
        for fault in ("error_first_chunk", "error_chunk"):
            simulator.state.faults.clear()
            simulator.state.faults.on(fault, value="quota_exceeded")
            client.post(path, json=body_for(path, model, stream=True))

    first, later = rows(settings)
    assert ("free", 0) == (first["cost_source"], first["nano_aiu"])
    assert "estimated" == later["cost_source"]


def test_free_requests(settings: Settings) -> None:
    """Counting tokens is free, as are requests that never reach Copilot."""
    with Proxy(settings) as proxy, proxy.client() as client:
        counted = client.post(
            "/v1/messages/count_tokens", json={"model": "claude-opus-5", "messages": USER}
        )
        client.post("/v1/chat/completions", json={"model": "no-such-model", "messages": USER})
        client.post(
            "/v1beta/models/opus:countTokens", json={"contents": [{"parts": [{"text": "Hi"}]}]}
        )

    assert 200 == counted.status_code
    assert [
        ("count_tokens", "claude-opus-5", "ok", "free", 0),
        ("chat_completions", None, "refused_here", "free", 0),
        ("count_tokens", "claude-opus-5", "ok", "free", 0),
    ] == [
        (row["api"], row["model"], row["outcome"], row["cost_source"], row["nano_aiu"])
        for row in rows(settings)
    ]
    assert "no-such-model" == rows(settings)[1]["model_asked"]


def test_embeddings_without_a_price(settings: Settings) -> None:
    """Copilot does not report the cost of embeddings, so it is unknown, not zero."""
    with Proxy(settings) as proxy, proxy.client() as client:
        body = {"model": "text-embedding-3-small", "input": ["one", "two"]}
        client.post("/v1/embeddings", json=body)

    (row,) = rows(settings)
    assert (None, "unknown") == (row["nano_aiu"], row["cost_source"])
    assert row["input_tokens"] > 0


def test_the_sender_of_a_request(settings: Settings) -> None:
    """The client, project and session come from the base URL.

    If it lacks them, they come from the client's headers.
    """
    body = body_for("/v1/messages", "claude-opus-5", stream=False)
    headers = {"user-agent": "claude-cli/2.1.332", "x-claude-code-session-id": "s-1"}
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post("/v1/messages", json=body, headers=headers)
        client.post("/c/cron/p/reports/v1/messages", json=body)
        client.post("/c/cron/messages", json=body)
        client.post("/c/claude-code/s/run-1/v1/messages", json=body, headers=headers)
        client.post("/c/cron/p/reports/s/run-2/messages", json=body)
        client.post("/c/cron/p/octo%2Freports/s/run-3/messages", json=body)

    assert [
        ("claude-code", "2.1.332", "s-1", None),
        ("cron", None, None, "reports"),
        ("cron", None, None, None),
        ("claude-code", "2.1.332", "run-1", None),
        ("cron", None, "run-2", "reports"),
        ("cron", None, "run-3", "octo/reports"),
    ] == [
        (row["client"], row["client_version"], row["session"], row["project"])
        for row in rows(settings)
    ]


@pytest.mark.parametrize(
    ("plan", "quota_of_plan"),
    [("pro", (300, "premium requests")), ("pro_credits", (1500, "AI credits"))],
)
def test_the_remaining_quota(
    settings: Settings, simulator: Simulator, plan: str, quota_of_plan: tuple[int, str]
) -> None:
    """Every answer reports the remaining quota, and so does /health, without a call to GitHub."""
    simulator.state.plan = plan
    with Proxy(settings) as proxy, proxy.client() as client:
        assert client.get("/health").json()["quota"] is None
        answer = client.post(
            "/v1/chat/completions", json=body_for("/v1/chat/completions", "gpt-4o", stream=True)
        )
        quota = client.get("/health").json()["quota"]

    assert float(answer.headers["x-copilot-proxy-quota-left"]) == pytest.approx(quota["left"], 0.01)
    assert quota_of_plan == (quota["entitlement"], quota["unit"])


def test_without_a_ledger(simulator: Simulator, tmp_path: Path) -> None:
    """With `ledger = false`, nothing is written."""
    settings = settings_at(simulator, home_dir=str(tmp_path), ledger=False)
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post(
            "/v1/chat/completions", json=body_for("/v1/chat/completions", "gpt-4o", stream=False)
        )

    assert not settings.ledger_file.exists()


@pytest.mark.parametrize("prefix", ["/c/x", "/c/x/p/y"])
def test_a_named_client_needs_the_key(simulator: Simulator, prefix: str) -> None:
    """Naming a client in the base URL does not grant access, since the same checks apply."""
    settings = settings_at(simulator, api_key="a-key-0123456789")
    with Proxy(settings) as proxy, proxy.client() as client:

        def status(path: str, **headers: str) -> int:
            answer: httpx.Response = client.get(prefix + path, headers=headers)
            return answer.status_code

        assert 401 == status("/v1/models")
        assert 401 == status("/v1/models", authorization="Bearer wrong")
        assert 403 == status("/v1/models", host="evil.example")
        assert 403 == status("/health", origin="https://evil.example")
        assert 200 == status("/v1/models", authorization="Bearer a-key-0123456789")
        assert 200 == status("/health")


def test_charged_and_failed(simulator: Simulator, settings: Settings) -> None:
    """If an answer fails after Copilot has reported its cost, the ledger has that cost."""
    simulator.state.faults.on("failed", value="server_error")
    with Proxy(settings) as proxy, proxy.client() as client:
        client.post("/v1/responses", json=body_for("/v1/responses", "gpt-5.5", stream=True))

    (row,) = rows(settings)
    assert ("broken", "reported", True) == (row["outcome"], row["cost_source"], row["nano_aiu"] > 0)


def test_a_second_attempt(simulator: Simulator, settings: Settings) -> None:
    """A request that is refused on one API and answered on another is billed once."""
    simulator.state.faults.on("unsupported_api_for_model", times=1)
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post(
            "/v1/messages", json=body_for("/v1/messages", "claude-sonnet-4.6", stream=False)
        )

    (row,) = rows(settings)
    assert 200 == answer.status_code
    assert (2, "reported") == (row["attempts"], row["cost_source"])
    charged = [one.charged for one in simulator.state.requests if one.charged is not None]
    assert [row["nano_aiu"]] == charged
