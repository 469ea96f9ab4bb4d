"""Clients never notice that Copilot tokens expire."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from copilot_proxy.simulator import Simulator
from tests.auth.accounts import Time
from tests.conftest import NO_TLS, Proxy, settings_at
from tests.selection import amount, every_value

PATH = "/v1/chat/completions"
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
EXCHANGE = "/copilot_internal/v2/token"
MANY = amount(in_ci=200, elsewhere=60)


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def proxy(simulator: Simulator, now: Time) -> Iterator[Proxy]:
    """A server whose clocks are set by the test."""
    with Proxy(settings_at(simulator), clock=now.clock) as running:
        yield running


@asynccontextmanager
async def many(proxy: Proxy) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a limit on connections."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=proxy.url, limits=limits, timeout=60, trust_env=False, verify=NO_TLS
    ) as client:
        yield client


def count_calls(simulator: Simulator, path: str) -> int:
    return sum(request.path == path for request in simulator.state.requests)


async def test_many_first_requests_make_one_exchange(proxy: Proxy, simulator: Simulator) -> None:
    """All first requests share one token and one model list, and all are answered."""
    async with many(proxy) as client:
        answers = await asyncio.gather(
            *(client.post(PATH, json={**CHAT, "stream": n % 2 == 0}) for n in range(MANY))
        )

    assert {200} == {answer.status_code for answer in answers}
    assert (1, 1) == (count_calls(simulator, EXCHANGE), count_calls(simulator, "/models"))
    assert MANY == count_calls(simulator, "/chat/completions")


async def test_expiry_in_mid_load_fails_no_request(proxy: Proxy, simulator: Simulator) -> None:
    """When Copilot refuses the token under load, one exchange renews it for all requests."""
    workers = 10  # fewer than the requests between two expiries, so that none meets both
    statuses: list[int] = []

    async def work(client: httpx.AsyncClient, number: int) -> None:
        for _ in range(MANY // workers):
            answer = await client.post(PATH, json={**CHAT, "stream": number % 2 == 0})
            assert "Hello" in answer.text
            statuses.append(answer.status_code)
            if len(statuses) in (MANY // 3, MANY * 2 // 3):
                simulator.state.expire_tokens()

    async with many(proxy) as client:
        await asyncio.gather(*(work(client, number) for number in range(workers)))

    assert [200] * MANY == statuses
    assert 3 == count_calls(simulator, EXCHANGE)


async def test_a_token_that_expires_fails_no_request(
    proxy: Proxy, simulator: Simulator, now: Time
) -> None:
    """The token is renewed ahead of time by one exchange, while requests continue."""
    async with many(proxy) as client:
        for _ in range(12):
            answers = await asyncio.gather(*(client.post(PATH, json=CHAT) for _ in range(10)))
            assert {200} == {answer.status_code for answer in answers}
            now.advance(300)

    # An hour, with tokens that must be renewed after 24 minutes.
    assert count_calls(simulator, EXCHANGE) in (2, 3)


@pytest.mark.parametrize(
    ("fault", "exchanges"),
    [("forbidden", 2), ("feature_not_authorized", 2), ("terms_of_service", 1)],
)
def test_changed_permissions_apply_to_the_next_request(
    proxy: Proxy, simulator: Simulator, now: Time, fault: str, exchanges: int
) -> None:
    """After a 403, the next request has a new token, unless GitHub has blocked the account."""
    with proxy.client() as client:
        client.post(PATH, json=CHAT)
        now.advance(60)
        simulator.state.faults.on(fault, path="/chat/completions", times=2)
        answers = [client.post(PATH, json=CHAT) for _ in range(3)]

    assert [403, 403, 200] == [answer.status_code for answer in answers]
    assert exchanges == count_calls(simulator, EXCHANGE)
    used = [r for r in simulator.state.requests if r.path == "/chat/completions"]
    tokens = [request.headers["authorization"] for request in used]
    assert tokens[0] == tokens[1]
    assert (exchanges == 1) == (tokens[1] == tokens[2])


def test_a_lost_seat_is_explained(proxy: Proxy, simulator: Simulator, now: Time) -> None:
    """After a 403 without a reason, clients get the reason from GitHub."""
    with proxy.client() as client:
        client.post(PATH, json=CHAT)
        now.advance(60)
        simulator.state.faults.on("forbidden", path="/chat/completions")
        simulator.state.faults.on("exchange_403")
        codes = [client.post(PATH, json=CHAT).json()["error"]["code"] for _ in range(2)]

    assert [None, "no_copilot_access"] == codes


async def test_a_revoked_login_is_reported_once(
    proxy: Proxy, simulator: Simulator, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request receives a clear error, GitHub is called once, and the log has one line."""
    async with many(proxy) as client:
        await client.post(PATH, json=CHAT)
        simulator.state.revoke()
        simulator.state.expire_tokens()
        simulator.state.recorder.clear()
        together = [client.post(PATH, json={**CHAT, "stream": n % 2 == 0}) for n in range(50)]
        answers = await asyncio.gather(*together)
        first = count_calls(simulator, EXCHANGE), count_calls(simulator, "/chat/completions")
        for _ in range(50):
            answers.append(await client.post(PATH, json=CHAT))
            now.advance(1)
        health = (await client.get("/health")).json()

    assert {401} == {answer.status_code for answer in answers}
    assert {"github_token_refused"} == {answer.json()["error"]["code"] for answer in answers}
    assert all("copilot-proxy login" in answer.json()["error"]["hint"] for answer in answers)
    assert 1 == first[0]
    assert first == (count_calls(simulator, EXCHANGE), count_calls(simulator, "/chat/completions"))
    assert "no" == health["signed_in"]
    assert 1 == len(warnings(caplog))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the log lines that are not about requests."""
    found = [r for r in caplog.records if r.levelno >= logging.WARNING]
    return [r.getMessage() for r in found if r.name.startswith("copilot_proxy")]


def test_requests_work_while_github_is_down_for_an_hour(
    simulator: Simulator, now: Time, caplog: pytest.LogCaptureFixture
) -> None:
    """A valid token stays in use; attempts and log lines become less frequent."""
    simulator.state.expires_in = 3 * 3600
    with Proxy(settings_at(simulator), clock=now.clock) as proxy, proxy.client() as client:
        client.post(PATH, json=CHAT)
        simulator.state.github_down = True
        now.advance(1500)
        for _ in range(120):
            assert 200 == client.post(PATH, json=CHAT).status_code
            now.advance(30)
        down = len(warnings(caplog))
        simulator.state.github_down = False
        now.advance(301)
        client.post(PATH, json=CHAT)
        assert 200 == client.post(PATH, json=CHAT).status_code
        assert "yes" == client.get("/health").json()["signed_in"]

    assert 10 <= down <= 25
    simulator.state.recorder.wait_for(lambda r: r.path == EXCHANGE and r.status == 200)


JUMPS = [
    pytest.param(0, 8 * 3600, id="the machine slept"),
    pytest.param(8 * 3600, 0, id="the clock was put back meanwhile"),
    pytest.param(8 * 3600, 8 * 3600, id="no requests"),
    pytest.param(5, -8 * 3600, id="the clock was put back"),
    pytest.param(0, 0, id="the virtual machine stood still"),
]


@every_value
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("monotonic", "wall"), JUMPS)
def test_a_clock_that_jumps_is_not_noticed(
    proxy: Proxy, simulator: Simulator, now: Time, monotonic: float, wall: float, stream: bool
) -> None:
    """After eight hours of sleep, the next request is answered."""
    with proxy.client() as client:
        client.post(PATH, json=CHAT)
        simulator.state.expire_tokens()
        now.monotonic += monotonic
        now.wall += wall
        answers = [client.post(PATH, json={**CHAT, "stream": stream}) for _ in range(3)]

    assert [200] * 3 == [answer.status_code for answer in answers]
    assert 2 == count_calls(simulator, EXCHANGE)


def test_pauses_end_during_a_sleep(proxy: Proxy, simulator: Simulator, now: Time) -> None:
    """Pauses that began before a laptop went to sleep are over when it wakes up."""
    with proxy.client() as client:
        client.post(PATH, json=CHAT)
        simulator.state.github_down = True
        now.advance(1900)
        while count_calls(simulator, EXCHANGE) < 6:
            now.advance(3)
            assert 502 == client.post(PATH, json=CHAT).status_code
        assert 502 == client.post(PATH, json=CHAT).status_code
        simulator.state.github_down = False
        now.wall += 8 * 3600

        assert 200 == client.post(PATH, json=CHAT).status_code
