"""Cooldowns: Copilot's refusals are remembered for a while, and repeated without a call."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.auth.hosts import host_of
from copilot_proxy.masking import Secret
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from copilot_proxy.simulator.faults import MODEL_PATHS
from tests.auth.accounts import Time
from tests.conftest import NO_TLS, Proxy, settings_at

USER = [{"role": "user", "content": "Hello"}]
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": USER}
PATH = "/v1/chat/completions"
ASKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "chat": (PATH, CHAT, "gpt-4.1"),
    "responses": ("/v1/responses", {"model": "gpt-5-mini", "input": "Hello"}, "gpt-4o"),
    "messages": (
        "/v1/messages",
        {"model": "claude-sonnet-4.5", "max_tokens": 99, "messages": USER},
        "claude-haiku-4.5",
    ),
}
EMBED = {"model": "text-embedding-3-small", "input": "Hello"}


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def proxy(simulator: Simulator, now: Time) -> Iterator[Proxy]:
    """A server whose clocks the test moves."""
    with Proxy(settings_at(simulator), clock=now.clock) as running:
        yield running


@pytest.fixture
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    with proxy.client() as made:
        yield made


def count_calls(simulator: Simulator) -> int:
    """Return how many requests have reached Copilot."""
    return sum(
        r.path in (*MODEL_PATHS, "/v1/messages/count_tokens") for r in simulator.state.requests
    )


def once(simulator: Simulator, name: str, value: object = None, times: int = 1) -> None:
    """Make Copilot refuse only the next request."""
    simulator.state.faults.on(name, value=value, times=times)


def cooldowns(client: httpx.Client) -> list[Any]:
    health = client.get("/health").json()
    assert "ok" == health["status"]
    found: list[Any] = health["cooldowns"]
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", list(ASKS))
def test_a_limit_is_repeated_until_it_is_over(
    client: httpx.Client, simulator: Simulator, now: Time, api: str, stream: bool
) -> None:
    """The same refusal is repeated with the remaining time, and with its status even for streams.

    Other models are not affected, and the same model is called again when the limit is over.
    """
    path, body, other = ASKS[api]
    body = {**body, "stream": stream}
    once(simulator, "rate_limited", 30)
    first = client.post(path, json=body)
    now.advance(12)
    again = client.post(path, json=body)

    assert (429, "30") == (first.status_code, first.headers["retry-after"])
    assert (429, "18") == (again.status_code, again.headers["retry-after"])
    assert 1 == count_calls(simulator)
    error, repeated = first.json()["error"], again.json()["error"]
    assert "The request was not sent" in again.text
    for key in error.keys() - {"hint", "request_id", "message"}:
        assert error[key] == repeated[key]
    assert error["message"].partition(" (")[0] in repeated["message"]

    assert 200 == client.post(path, json={**body, "model": other}).status_code
    now.advance(18)
    assert 200 == client.post(path, json=body).status_code
    assert 3 == count_calls(simulator)


@pytest.mark.parametrize("fault", ["error_chunk", "error_first_chunk"])
@pytest.mark.parametrize("asked", ["gpt-4o", "gpt-5.4"])
@pytest.mark.parametrize("api", list(ASKS))
def test_a_limit_in_an_event_starts_a_cooldown(
    client: httpx.Client, simulator: Simulator, api: str, asked: str, fault: str
) -> None:
    """On every API, translated or not, Copilot may refuse a stream after its status."""
    path, body, _ = ASKS[api]
    body = {**body, "model": asked, "stream": True}
    once(simulator, fault, "user_model_rate_limited", times=3)
    answers = [client.post(path, json=body) for _ in range(4)]

    assert all("rate_limit" in answer.text for answer in answers)
    assert (429, "10") == (answers[-1].status_code, answers[-1].headers["retry-after"])
    assert "limit applies to the model" in answers[-1].json()["error"]["hint"]
    assert 3 == count_calls(simulator)
    assert 200 == client.post(path, json={**body, "model": "gpt-4.1"}).status_code


def test_a_limit_of_the_account_stops_every_model(
    client: httpx.Client, simulator: Simulator, now: Time
) -> None:
    """The limit applies to every API, including embeddings.

    Tokens are still estimated, which costs nothing.
    """
    client.get("/v1/models")
    once(simulator, "user_global_rate_limited", 60)
    assert 429 == client.post(PATH, json=CHAT).status_code
    answers = [
        client.post(path, json={**body, "model": model})
        for path, body, other in ASKS.values()
        for model in (body["model"], other)
    ]
    answers.append(client.post("/v1/embeddings", json=EMBED))
    estimate = client.post("/v1/messages/count_tokens", json=ASKS["messages"][1])

    assert {(429, "60")} == {(a.status_code, a.headers["retry-after"]) for a in answers}
    assert 200 == estimate.status_code
    assert "estimated input_tokens" in estimate.headers["x-copilot-proxy-notes"]
    assert 1 == count_calls(simulator)
    assert [
        {"scope": "account", "model": None, "code": "user_global_rate_limited", "retry_in": 60}
    ] == cooldowns(client)
    now.advance(60)
    assert [] == cooldowns(client)
    assert 200 == client.post(PATH, json=CHAT).status_code


def test_a_wait_in_the_body(client: httpx.Client, simulator: Simulator) -> None:
    """A wait in the body counts like a wait in the header, and reaches the client in the header."""
    once(simulator, "rate_limited_body", 25)
    first = client.post(PATH, json=CHAT)
    client.post(PATH, json=CHAT)

    assert "25" == first.headers["retry-after"]
    assert 1 == count_calls(simulator)


def test_a_wait_until_a_date(client: httpx.Client, simulator: Simulator) -> None:
    """Retry-After may be a date; a date more than a month away is treated as a month."""
    once(simulator, "rate_limited", "Sat, 01 Jan 2101 00:00:00 GMT")
    client.post(PATH, json=CHAT)
    again = client.post(PATH, json=CHAT)

    assert 3600 * 24 * 30 < int(again.headers["retry-after"]) <= 3600 * 24 * 31
    assert "false" == again.headers["x-should-retry"]
    assert 1 == count_calls(simulator)


def test_one_probe_per_hour(client: httpx.Client, simulator: Simulator, now: Time) -> None:
    """During a limit that lasts days, one request per hour is sent to Copilot."""
    once(simulator, "user_weekly_rate_limited", 180000)
    client.post(PATH, json=CHAT)
    now.advance(3599)
    answer = client.post(PATH, json=CHAT)
    assert ("176401", "false") == (
        answer.headers["retry-after"],
        answer.headers["x-should-retry"],
    )
    assert 1 == count_calls(simulator)
    now.advance(1)

    assert 200 == client.post(PATH, json=CHAT).status_code
    assert [] == cooldowns(client)


@pytest.mark.parametrize("seconds", [20, 7200])
def test_openais_sdk(
    proxy: Proxy, client: httpx.Client, simulator: Simulator, seconds: int
) -> None:
    """The SDK raises RateLimitError with the wait, and does not sleep for hours."""
    once(simulator, "rate_limited", seconds)
    client.post(PATH, json=CHAT)
    retries = 0 if seconds < 60 else 2
    http = openai.DefaultHttpxClient(verify=NO_TLS)
    with (
        openai.OpenAI(
            base_url=f"{proxy.url}/v1", api_key="x", max_retries=retries, http_client=http
        ) as sdk,
        pytest.raises(openai.RateLimitError) as raised,
    ):
        sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])

    assert str(seconds) == raised.value.response.headers["retry-after"]
    assert "rate_limit_exceeded" == raised.value.code
    assert 1 == count_calls(simulator)


@pytest.mark.parametrize("seconds", [20, 7200])
def test_anthropics_sdk(
    proxy: Proxy, client: httpx.Client, simulator: Simulator, seconds: int
) -> None:
    """Anthropic's SDK raises its error with the wait."""
    path, body, _ = ASKS["messages"]
    once(simulator, "rate_limited", seconds)
    client.post(path, json=body)
    retries = 0 if seconds < 60 else 2
    http = anthropic.DefaultHttpxClient(verify=NO_TLS)
    with (
        anthropic.Anthropic(
            base_url=proxy.url, api_key="x", max_retries=retries, http_client=http
        ) as sdk,
        pytest.raises(anthropic.RateLimitError) as raised,
        sdk.messages.stream(
            model="claude-sonnet-4.5", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        ),
    ):
        pass

    assert str(seconds) == raised.value.response.headers["retry-after"]
    assert 1 == count_calls(simulator)


@pytest.mark.parametrize("fault", ["forbidden", "terms_of_service", "feature_not_authorized"])
def test_refusals_without_a_wait(
    client: httpx.Client, simulator: Simulator, now: Time, fault: str
) -> None:
    """After three refusals without a wait, pauses of ten and then twenty seconds follow."""
    simulator.state.faults.on(fault)
    counts = []
    for _ in range(45):
        assert 403 == client.post(PATH, json={**CHAT, "stream": True}).status_code
        now.advance(1)
        counts.append(count_calls(simulator))

    assert [1, 2, 3] == counts[:3]
    assert [12, 32] == [second for second in range(3, 45) if counts[second] > counts[second - 1]]
    simulator.state.faults.clear()
    now.advance(60)
    assert 200 == client.post(PATH, json=CHAT).status_code


async def test_one_of_fifty_requests_is_the_probe(
    proxy: Proxy, simulator: Simulator, now: Time
) -> None:
    """One probe is sent, and other requests are refused until it ends.

    If the probe's client disconnects, another probe is sent.
    """
    once(simulator, "forbidden", times=3)
    async with httpx.AsyncClient(
        base_url=proxy.url, trust_env=False, timeout=60, verify=NO_TLS
    ) as client:
        for _ in range(3):
            await client.post(PATH, json=CHAT)
        now.advance(10)
        once(simulator, "stall_before_headers")
        simulator.state.recorder.clear()
        probe = asyncio.create_task(client.post(PATH, json=CHAT))
        stalled = await simulator.state.recorder.wait_for_async(lambda r: r.path in MODEL_PATHS)
        others = await asyncio.gather(*(client.post(PATH, json=CHAT) for _ in range(50)))

        assert [403] * 50 == [answer.status_code for answer in others]
        assert all("retry-after" in answer.headers for answer in others)
        assert 1 == count_calls(simulator)

        probe.cancel()
        await simulator.state.recorder.wait_for_async(lambda r: r is stalled and r.done.is_set())
        await asyncio.to_thread(proxy.wait_for_record, 54)
        assert 200 == (await client.post(PATH, json=CHAT)).status_code


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("authentication_failed", 401, "authentication_error"),
        ("misdirected_421", 400, "invalid_request_error"),
    ],
)
def test_a_token_that_copilot_refuses_makes_no_storm(
    client: httpx.Client, simulator: Simulator, now: Time, fault: str, status: int, code: str
) -> None:
    """If renewal does not help, Copilot is called only occasionally, for any model."""
    simulator.state.faults.on(fault)
    for number in range(100):
        body = {**CHAT, "model": ("gpt-4o", "gpt-4.1")[number % 2]}
        assert status == client.post(PATH, json=body).status_code
        now.advance(0.05)

    assert 6 == count_calls(simulator)  # three requests, each retried with a new token
    assert simulator.state.exchanges <= 4
    assert [{"scope": "account", "model": None, "code": code, "retry_in": 6}] == cooldowns(client)
    simulator.state.faults.clear()
    now.advance(10)
    assert 200 == client.post(PATH, json=CHAT).status_code


def test_an_earlier_answer_does_not_end_the_cooldown(
    client: httpx.Client, proxy: Proxy, simulator: Simulator
) -> None:
    """An answer to an earlier request does not end the cooldown."""
    once(simulator, "stall_before_headers", 0.4)
    with proxy.client() as slow, asyncio.Runner() as runner:

        async def both() -> list[httpx.Response]:
            early = asyncio.create_task(asyncio.to_thread(slow.post, PATH, json=CHAT))
            await simulator.state.recorder.wait_for_async(lambda r: r.path in MODEL_PATHS)
            once(simulator, "rate_limited", 30)
            late = await asyncio.to_thread(client.post, PATH, json=CHAT)
            return [await early, late]

        early, late = runner.run(both())

    assert (200, 429) == (early.status_code, late.status_code)
    assert 429 == client.post(PATH, json=CHAT).status_code
    assert 2 == count_calls(simulator)


def test_invalid_requests_cause_no_cooldown(client: httpx.Client, simulator: Simulator) -> None:
    """An invalid request causes no cooldown."""
    for fault in ("invalid_request_body", "prompt_too_long", "too_large_413", "filtered_422"):
        once(simulator, fault, times=5)
        for _ in range(5):
            assert client.post(PATH, json=CHAT).status_code in (400, 413)

    assert 20 == count_calls(simulator)
    assert 200 == client.post(PATH, json=CHAT).status_code


def test_counting_tokens_does_not_block_answers(client: httpx.Client, simulator: Simulator) -> None:
    """A refusal on one API does not block another."""
    path, body, _ = ASKS["messages"]
    simulator.state.faults.on("forbidden", path="/v1/messages/count_tokens")
    counted = [client.post(f"{path}/count_tokens", json=body).status_code for _ in range(6)]

    assert [403] * 6 == counted
    assert 3 == count_calls(simulator)
    assert 200 == client.post(path, json=body).status_code


def test_unknown_model_names_are_not_shown(client: httpx.Client, simulator: Simulator) -> None:
    """`/health` does not show unknown model names sent by clients."""
    simulator.state.faults.on("models_500")
    once(simulator, "rate_limited", 60)
    assert 429 == client.post(PATH, json={**CHAT, "model": "project-x"}).status_code
    assert [{"scope": "model", "model": None, "code": "rate_limited", "retry_in": 60}] == cooldowns(
        client
    )


def test_it_is_logged_once(
    client: httpx.Client, proxy: Proxy, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A cooldown is logged once; request lines say that Copilot was not called."""
    once(simulator, "user_model_rate_limited", 30)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            client.post(PATH, json=CHAT)

    lines = [r for r in caplog.records if r.name.startswith("copilot_proxy.upstreams")]
    assert [
        "Copilot refused requests for the model gpt-4o (user_model_rate_limited); none will be "
        "sent for 30 s."
    ] == [line.getMessage() for line in lines]
    records = [proxy.wait_for_record(number) for number in range(1, 6)]
    assert [(False, "chat_completions"), *[(True, None)] * 4] == [
        (record.local, record.route) for record in records
    ]
    assert {"rate_limit_exceeded"} == {record.error for record in records}
    assert [
        {"scope": "model", "model": "gpt-4o", "code": "user_model_rate_limited", "retry_in": 30}
    ] == cooldowns(client)


def test_cooldowns_are_per_account(client: httpx.Client, simulator: Simulator) -> None:
    """Cooldowns apply to one account; /health shows only the server's."""
    own = {"authorization": f"Bearer {simulator.state.issue_oauth_token('Iv1.b507a08c87ecfe98')}"}
    once(simulator, "user_global_rate_limited", 30)
    first = client.post(PATH, json=CHAT, headers=own)
    again = client.post(PATH, json=CHAT, headers=own)

    assert (429, 429) == (first.status_code, again.status_code)
    assert 200 == client.post(PATH, json=CHAT).status_code
    assert 2 == count_calls(simulator)
    assert [] == cooldowns(client)


def test_a_new_sign_in_ends_the_cooldowns(simulator: Simulator, now: Time) -> None:
    """A new `copilot-proxy login` ends the old account's cooldowns within seconds."""
    settings = load_settings({"github_url": simulator.url, "github_api_url": simulator.url})
    store = FileStore(settings.data_dir)
    store.save(Credential(Secret(SIMULATED_TOKEN), host=host_of(settings)))
    with Proxy(settings, clock=now.clock) as proxy, proxy.client() as client:
        once(simulator, "user_weekly_rate_limited", 180000)
        assert 429 == client.post(PATH, json=CHAT).status_code
        now.advance(11)
        assert 429 == client.post(PATH, json=CHAT).status_code
        token = simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")
        store.save(Credential(Secret(token), host=host_of(settings)))
        now.advance(11)

        assert 200 == client.post(PATH, json=CHAT).status_code
        assert [] == cooldowns(client)
        assert 200 == client.post(PATH, json=CHAT).status_code
    assert 2 == simulator.state.exchanges
    assert 3 == count_calls(simulator)


def test_the_openapi_document_describes_it(client: httpx.Client) -> None:
    """The OpenAPI document describes the cooldowns of /health."""
    shapes = client.get("/schema/openapi.json").json()["components"]["schemas"]
    cooldown = next(shape for name, shape in shapes.items() if name.endswith("Cooldown"))

    assert {"scope", "model", "code", "retry_in"} == set(cooldown["properties"])
