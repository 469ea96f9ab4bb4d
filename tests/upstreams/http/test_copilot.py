"""Calls to Copilot: expired tokens, failed connections, and retries."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from copilot_proxy.composition import make_services
from copilot_proxy.errors import BrokenResponse, NotSignedIn, UpstreamRefusal, UpstreamUnreachable
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.relay import Relay
from copilot_proxy.routes.services import Services
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.conftest import Proxy, settings_at
from tests.ports import free_port
from tests.servers import serving

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


@asynccontextmanager
async def services(simulator: Simulator, **flags: object) -> AsyncIterator[Services]:
    made = make_services(settings_at(simulator, **flags), report=lambda _: None)
    try:
        yield made
    finally:
        await made.aclose()


async def ask(relay: Relay) -> str:
    async with relay.answer(
        CHAT_COMPLETIONS, CHAT, RequestRecord("id", "chat_completions")
    ) as reply:
        completion = await reply.whole()
    return str(completion["choices"][0]["message"]["content"])


def count_calls(simulator: Simulator, path: str = "/chat/completions") -> int:
    return sum(r.path == path for r in simulator.state.requests)


async def test_token_expires(simulator: Simulator) -> None:
    """A token that Copilot refuses is renewed once, without the client noticing."""
    async with services(simulator) as made:
        await ask(made.relay)
        simulator.state.expire_tokens()

        assert "Hello" in await ask(made.relay)

    assert 2 == simulator.state.exchanges
    assert 3 == count_calls(simulator)


async def test_token_expires_under_load(simulator: Simulator) -> None:
    """Concurrent requests with an expired token share one exchange."""
    async with services(simulator) as made:
        await ask(made.relay)
        simulator.state.expire_tokens()

        answers = await asyncio.gather(*(ask(made.relay) for _ in range(30)))

    assert all("Hello" in answer for answer in answers)
    assert 2 == simulator.state.exchanges


async def test_first_requests_make_one_exchange(simulator: Simulator) -> None:
    """Concurrent first requests share one exchange and one model list."""
    async with services(simulator) as made:
        await asyncio.gather(*(ask(made.relay) for _ in range(50)))

    assert 1 == simulator.state.exchanges
    assert 1 == count_calls(simulator, "/models")


@pytest.mark.parametrize("fault", ["token_expired", "authentication_failed"])
async def test_new_token_is_refused_too(simulator: Simulator, fault: str) -> None:
    """If the renewed token is also refused, the error is returned after two tries."""
    simulator.state.faults.on(fault, path="/chat/completions")
    async with services(simulator) as made:
        with pytest.raises(UpstreamRefusal) as raised:
            await ask(made.relay)

    assert 401 == raised.value.status
    assert "copilot-proxy login" in (raised.value.hint or "")
    assert 2 == count_calls(simulator)


async def test_one_request_that_is_always_refused(simulator: Simulator) -> None:
    """A request that is always refused causes few exchanges, and other requests still work."""
    async with services(simulator) as made:
        await ask(made.relay)
        for _ in range(20):
            simulator.state.faults.on("authentication_failed", path="/chat/completions", times=2)
            with pytest.raises(UpstreamRefusal) as raised:
                await ask(made.relay)
            simulator.state.faults.clear()
            assert "Hello" in await ask(made.relay)

    assert 401 == raised.value.status
    assert 6 == simulator.state.exchanges


async def test_a_token_that_is_refused_without_an_exchange(simulator: Simulator) -> None:
    """If Copilot refuses the GitHub token itself, the error tells the user to sign in."""
    token = simulator.state.issue_oauth_token("Ov23li8tweQw6odWQebz")
    simulator.state.faults.on("authentication_failed", path="/chat/completions")
    async with services(simulator, github_token=token) as made:
        with pytest.raises(UpstreamRefusal) as raised:
            await ask(made.relay)

    assert 401 == raised.value.status
    assert "copilot-proxy login" in (raised.value.hint or "")


async def test_a_failed_renewal_does_not_affect_other_requests(simulator: Simulator) -> None:
    """A single refusal does not withdraw a token that still works."""
    async with services(simulator) as made:
        await ask(made.relay)
        simulator.state.faults.on("exchange_500")
        for _ in range(3):
            simulator.state.faults.on("authentication_failed", path="/chat/completions", times=1)
            with pytest.raises(UpstreamRefusal) as raised:
                await ask(made.relay)
            assert "Hello" in await ask(made.relay)

    assert (503, "github_unavailable") == (raised.value.status, raised.value.code)
    assert 2 == count_calls(simulator, "/copilot_internal/v2/token")


@pytest.mark.parametrize(("fault", "value"), [("foreign_item_id", "401"), ("authorize_url", None)])
async def test_not_every_401_renews_the_token(
    simulator: Simulator, fault: str, value: str | None
) -> None:
    """A 401 about the request itself or an agent's sign-in does not renew the token."""
    simulator.state.faults.on(fault, path="/chat/completions", value=value)
    async with services(simulator) as made:
        with pytest.raises(UpstreamRefusal):
            await ask(made.relay)

    assert (1, 1) == (simulator.state.exchanges, count_calls(simulator))


@pytest.mark.parametrize(
    "fault",
    [
        "quota_exceeded",
        "forbidden",
        "api_version_466",
        "rate_limited",
        "server_error_500",
        "bad_gateway",
        "timeout_408",
        "too_large_413",
        "cut_before_headers",
    ],
)
async def test_other_requests_are_not_retried(simulator: Simulator, fault: str) -> None:
    """Requests that may have been billed or were refused are not retried."""
    simulator.state.faults.on(fault, path="/chat/completions")
    async with services(simulator) as made:
        with pytest.raises((UpstreamRefusal, UpstreamUnreachable, BrokenResponse)):
            await ask(made.relay)

    assert (1, 1) == (simulator.state.exchanges, count_calls(simulator))


async def test_revoked_login(simulator: Simulator) -> None:
    """A revoked sign-in causes one clear error, without repeated exchanges."""
    async with services(simulator) as made:
        await ask(made.relay)
        simulator.state.revoke()
        simulator.state.expire_tokens()
        for _ in range(10):
            with pytest.raises(NotSignedIn) as raised:
                await ask(made.relay)

    assert "copilot-proxy login" in (raised.value.hint or "")
    tries = [r for r in simulator.state.requests if r.path == "/copilot_internal/v2/token"]
    assert len(tries) <= 3


async def test_a_refused_connection(simulator: Simulator) -> None:
    """The error for a refused connection names the host, and says that nothing was sent."""
    port = free_port()
    async with services(simulator, copilot_api_url=f"http://127.0.0.1:{port}") as made:
        with pytest.raises(UpstreamUnreachable) as raised:
            await ask(made.relay)

    assert (502, False) == (raised.value.status, raised.value.sent)
    assert str(port) in raised.value.message


async def test_a_silent_upstream(simulator: Simulator) -> None:
    """A silent upstream causes a timeout, before and during an answer."""
    async with services(simulator, read_timeout="1") as made:
        simulator.state.faults.on("stall_before_headers", path="/chat/completions", times=1)
        with pytest.raises(UpstreamUnreachable) as raised:
            await ask(made.relay)
        assert (504, "false") == (raised.value.status, raised.value.headers["x-should-retry"])

        simulator.state.faults.on("stall_mid_stream", path="/chat/completions")
        record = RequestRecord("id", "chat_completions")
        with pytest.raises(BrokenResponse):
            asked = {**CHAT, "stream": True}
            async with made.relay.answer(CHAT_COMPLETIONS, asked, record) as reply:
                async for _ in reply.events():
                    pass


async def test_models_are_kept(simulator: Simulator) -> None:
    """The list is cached, loaded again for unknown models, and kept if loading fails."""
    async with services(simulator) as made:
        await made.upstream.catalogue()
        await made.upstream.catalogue()
        assert 1 == count_calls(simulator, "/models")

        simulator.state.faults.on("models_500")
        first = await made.upstream.catalogue()
        assert first is await made.upstream.catalogue(max_age=0.0)
    assert 2 == count_calls(simulator, "/models")


@pytest.mark.parametrize("fault", ["models_garbage", "models_html"])
async def test_broken_list_of_models(simulator: Simulator, fault: str) -> None:
    """A malformed model list is an upstream error."""
    simulator.state.faults.on(fault)
    async with services(simulator) as made:
        with pytest.raises((BrokenResponse, UpstreamRefusal)):
            await made.upstream.catalogue()


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", ""])
def test_callers_own_token(simulator: Simulator, scheme: str) -> None:
    """A GitHub token in a request is used for that request, even without a sign-in."""
    settings = load_settings({"github_url": simulator.url, "github_api_url": simulator.url})
    own = simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")
    with Proxy(settings) as proxy, proxy.client() as client:
        with_token = [
            client.post("/v1/chat/completions", json=CHAT, headers={"authorization": scheme + own})
            for _ in range(3)
        ]
        without = client.post("/v1/chat/completions", json=CHAT)

    assert [200] * 3 == [answer.status_code for answer in with_token]
    assert (401, "not_signed_in") == (without.status_code, without.json()["error"]["code"])
    assert (1, 1) == (simulator.state.exchanges, count_calls(simulator, "/models"))


def test_callers_copilot_token(simulator: Simulator) -> None:
    """A Copilot token in a request is used without an exchange."""
    token, expires = simulator.state.issue_copilot_token()
    assert expires > time.time()
    before = simulator.state.exchanges
    settings = settings_at(simulator, copilot_api_url=simulator.url)
    with Proxy(settings) as proxy, proxy.client() as client:
        answers = [
            client.post(
                "/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {token}"}
            )
            for _ in range(2)
        ]

    assert [200, 200] == [answer.status_code for answer in answers]
    assert before == simulator.state.exchanges
    assert f"Bearer {token}" == simulator.state.requests[-1].headers["authorization"]
    assert 1 == count_calls(simulator, "/models")


def test_callers_token_is_not_used_with_a_key(simulator: Simulator) -> None:
    """If the server has an API key, the header is only compared with the key."""
    own = simulator.state.issue_oauth_token("Iv1.b507a08c87ecfe98")
    with Proxy(settings_at(simulator, api_key=own)) as proxy, proxy.client() as client:
        answer = client.post(
            "/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {own}"}
        )

    assert 200 == answer.status_code
    exchange = next(r for r in simulator.state.requests if "v2/token" in r.path)
    assert SIMULATED_TOKEN in exchange.headers["authorization"]


@pytest.mark.parametrize("key", ["sk-anything", "unused", "ghp_personal0000000000000000"])
def test_any_other_key_is_ignored(proxy: Proxy, key: str) -> None:
    """Any other key is ignored, and the server's sign-in is used."""
    with proxy.client() as client:
        answer = client.post(
            "/v1/chat/completions", json=CHAT, headers={"authorization": f"Bearer {key}"}
        )

    assert 200 == answer.status_code


def test_the_intent_says_what_a_request_is_for(simulator: Simulator) -> None:
    """Lists of models, conversations and embeddings each have an intent of their own."""
    embed = {"model": "text-embedding-3-small", "input": "Hello"}
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        client.post("/v1/chat/completions", json=CHAT).raise_for_status()
        client.post("/v1/embeddings", json=embed).raise_for_status()

    requests = [r for r in simulator.state.requests if "openai-intent" in r.headers]
    assert {
        "/models": "model-access",
        "/chat/completions": "conversation-panel",
        "/embeddings": "copilot-panel",
    } == {request.path: request.headers["openai-intent"] for request in requests}


@pytest.mark.parametrize("fault", [None, "no_done"])
def test_a_stream_is_read_to_its_end(
    simulator: Simulator, fault: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection of a complete stream is reused."""
    monkeypatch.setattr("copilot_proxy.upstreams.http.response._DRAIN_TIMEOUT", 60.0)
    if fault is not None:
        simulator.state.faults.on(fault)
    with Proxy(settings_at(simulator)) as proxy, proxy.client() as client:
        for _ in range(5):
            answer = client.post("/v1/chat/completions", json={**CHAT, "stream": True})
            assert 200 == answer.status_code
        done = [r for r in simulator.state.requests if r.path == "/chat/completions"]
        assert all(record.done.wait(60) for record in done)

    assert ["complete"] * 5 == [record.finished for record in done]


async def test_a_refusal_whose_body_never_ends(simulator: Simulator) -> None:
    """A refusal whose body never ends is reported by its status."""
    answered = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 402 Payment Required\r\ncontent-length: 100\r\n\r\n")
        await writer.drain()
        await answered.wait()
        writer.close()

    async with (
        serving(stall) as port,
        services(simulator, copilot_api_url=f"http://127.0.0.1:{port}") as made,
    ):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(UpstreamRefusal) as raised:
            patch.setattr("copilot_proxy.upstreams.http.copilot._ERROR_BODY_TIMEOUT", 0.05)
            await ask(made.relay)
        answered.set()

    assert ("insufficient_quota", 402) == (raised.value.code, raised.value.upstream_status)
