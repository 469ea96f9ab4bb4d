"""Verifying a new sign-in."""

import socket

import httpx
import pytest

from copilot_proxy.auth.credential import Credential
from copilot_proxy.auth.github import GitHub
from copilot_proxy.auth.verification import Verification, fetch_login, verify
from copilot_proxy.errors import NoCopilotAccess, NotSignedIn, UpstreamError
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.conftest import settings_for
from tests.auth.scripted_server import HTML, Answer, ScriptedServer

MONA = Credential(Secret(SIMULATED_TOKEN))


class Pauses(list[float]):
    """A sleep that only records its duration."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def github(client: httpx.AsyncClient, settings: Settings) -> GitHub:
    """The simulator's GitHub."""
    return GitHub(client, settings)


async def test_a_valid_sign_in_is_verified(github: GitHub, simulator: Simulator) -> None:
    """A sign-in reports login, plan, host and the number of usable models."""
    chat = {"capabilities": {"type": "chat"}, "model_picker_enabled": True}
    simulator.state.catalogue = [
        {"id": "a", **chat},
        {"id": "a", **chat},
        {"id": "b", **chat, "policy": {"state": "disabled"}},
        {"id": "hidden", "capabilities": {"type": "chat"}},
        {"id": "c", "capabilities": {"type": "embeddings"}},
        {"id": "d", "capabilities": {"type": "completion"}},
    ]

    assert Verification("mona", "Pro", simulator.url, 1) == await verify(github, MONA)


async def test_the_headers_of_the_model_list(github: GitHub, simulator: Simulator) -> None:
    """The request for the model list has the Copilot token and the intent that GitHub expects."""
    await verify(github, MONA)
    sent = next(one for one in simulator.state.requests if one.path == "/models").headers

    assert "model-access" == sent["openai-intent"]
    assert sent["authorization"].startswith("Bearer tid=")


async def test_a_brief_failure_of_github_is_retried(github: GitHub, simulator: Simulator) -> None:
    """A brief failure of GitHub does not cause the sign-in to fail."""
    simulator.state.faults.on("exchange_500", times=2)
    pauses = Pauses()
    await verify(github, MONA, sleep=pauses)

    assert [1.0, 3.0] == pauses


async def test_a_lasting_failure_is_reported(github: GitHub, simulator: Simulator) -> None:
    """After four failed attempts, the error is reported."""
    simulator.state.github_down = True
    pauses = Pauses()
    with pytest.raises(UpstreamError):
        await verify(github, MONA, sleep=pauses)

    assert [1.0, 3.0, 5.0] == pauses


async def test_without_a_network_the_failure_is_reported_at_once(settings: Settings) -> None:
    """If a host name cannot be resolved, the command does not retry, since that would not help."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no name", request=request) from socket.gaierror()

    pauses = Pauses()
    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as offline:
        with pytest.raises(UpstreamError, match="could not be resolved"):
            await verify(GitHub(offline, settings), MONA, sleep=pauses)

    assert [] == pauses


@pytest.mark.parametrize(("trouble", "kind"), [("block", NoCopilotAccess), ("revoke", NotSignedIn)])
async def test_a_refusal_is_not_retried(
    github: GitHub, simulator: Simulator, trouble: str, kind: type[Exception]
) -> None:
    """A refusal of the account is reported without further attempts."""
    getattr(simulator.state, trouble)()
    pauses = Pauses()
    with pytest.raises(kind):
        await verify(github, MONA, sleep=pauses)

    assert [] == pauses
    assert 1 == len(simulator.state.requests)


WAIT = {"retry-after": "600"}


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer({"message": "no"}, 429, WAIT), "600"),
        (Answer({"message": "no"}, 429), None),
        (Answer("Whoa there!", 429, WAIT), "600"),
        (Answer({"message": "secondary rate limit"}, 403, WAIT), "600"),
        (Answer({"message": "no"}, 403, WAIT), "600"),
        (Answer({"message": "down for repair"}, 503, WAIT), "600"),
        (Answer("", 503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}), "0"),
        (Answer({"message": "no"}, 422), None),
        (Answer("[" * 9000), None),
        (Answer(HTML), None),
    ],
    ids=str,
)
async def test_a_rate_limit_is_not_retried(
    client: httpx.AsyncClient, answer: Answer, wait: str | None
) -> None:
    """A rate limit is reported immediately, with the time to wait."""
    pauses = Pauses()
    with ScriptedServer(answer) as server, pytest.raises(UpstreamError) as raised:
        await verify(GitHub(client, settings_for(server.url)), MONA, sleep=pauses)

    assert [] == pauses
    assert ["/copilot_internal/v2/token"] == server.paths
    assert wait == raised.value.headers.get("retry-after")


EXCHANGE = {
    "token": "tid=1;exp=2:ff",
    "expires_at": 1,
    "refresh_in": 1500,
    "sku": "max_monthly_subscriber_quota",
}


@pytest.mark.parametrize(
    ("user", "login"), [(Answer({"login": "mona"}), "mona"), (Answer(status=500), None)]
)
@pytest.mark.parametrize(
    "models", [Answer(status=500), Answer(HTML), Answer({"data": 1}), Answer("[" * 9000)]
)
async def test_a_successful_exchange_is_enough(
    client: httpx.AsyncClient, user: Answer, login: str | None, models: Answer
) -> None:
    """A successful exchange verifies the sign-in; other data may remain unknown."""
    with ScriptedServer(Answer(EXCHANGE), Answer(status=500), user, models) as server:
        github = GitHub(client, settings_for(server.url, COPILOT_API_URL=server.url))
        proof = await verify(github, MONA)

    assert Verification(login, "Max", server.url, None) == proof


async def test_the_login_may_stay_unknown(github: GitHub, simulator: Simulator) -> None:
    """The login may remain unknown, since it only appears in a message."""
    assert "mona" == await fetch_login(github, MONA)
    simulator.state.revoke()
    assert await fetch_login(github, MONA) is None
