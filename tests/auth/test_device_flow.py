"""Waiting for the approval of a sign-in, with a simulated clock."""

import asyncio

import httpx
import pytest

from copilot_proxy.auth.device_flow import Waiting, wait_for_approval
from copilot_proxy.auth.github import DeviceCode, GitHub, Pending
from copilot_proxy.errors import (
    BrokenResponse,
    CopilotProxyError,
    LoginFailed,
    UpstreamRefusal,
    UpstreamUnreachable,
)
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings
from copilot_proxy.simulator.server import Simulator

TOKEN = Secret("ghu_abc")
DOWN = UpstreamUnreachable(
    "github.com could not be reached.", hint="Check the network.", sent=False
)


class Script:
    """Plays GitHub with scripted answers, a clock, and a sleep that only moves the clock."""

    def __init__(self, *answers: Secret | Pending | CopilotProxyError, takes: float = 0) -> None:
        self.answers = list(answers)
        self.takes = takes
        self.now = 1000.0
        self.slept: list[float] = []
        self.reports: list[Waiting] = []

    async def poll(self, device_code: Secret) -> Secret | Pending:
        self.now += self.takes
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CopilotProxyError):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def wait(self, expires_in: float = 899, interval: float = 5) -> Secret:
        code = DeviceCode(
            Secret("d"), "A-B", "https://github.com/login/device", expires_in, interval
        )
        return await wait_for_approval(
            self, code, report=self.reports.append, sleep=self.sleep, clock=lambda: self.now
        )


async def test_polls_wait_a_second_longer_than_github_asks() -> None:
    """Polls wait one second longer than GitHub's interval, so a fast clock causes no slow_down."""
    script = Script(Pending(), Pending(), TOKEN)

    assert TOKEN == await script.wait()
    assert [6.0, 6.0, 6.0] == script.slept


async def test_slow_down_sets_the_new_interval_from_its_body() -> None:
    """The interval in a slow_down applies to all later polls."""
    script = Script(Pending(interval=10, slower=True), Pending(), TOKEN)
    await script.wait()

    assert [6.0, 11.0, 11.0] == script.slept


async def test_slow_down_without_an_interval_adds_five_seconds() -> None:
    """A slow_down without an interval adds five seconds (RFC 8628)."""
    script = Script(Pending(slower=True), Pending(slower=True), TOKEN)
    await script.wait()

    assert [6.0, 11.0, 16.0] == script.slept


async def test_slow_down_never_shortens_the_interval() -> None:
    """An interval below the current one is ignored."""
    script = Script(Pending(interval=1, slower=True), TOKEN)
    await script.wait()

    assert [6.0, 6.0] == script.slept


async def test_polling_ends_when_the_code_expires() -> None:
    """The last poll is made when the code expires."""
    script = Script(Pending())
    with pytest.raises(LoginFailed, match="expired before the sign-in was approved") as caught:
        await script.wait(expires_in=15)

    assert [6.0, 6.0, 3.0] == script.slept
    assert "copilot-proxy login" in str(caught.value.hint)


async def test_the_time_that_polls_take_counts() -> None:
    """The duration of polls counts toward the lifetime of the code."""
    script = Script(Pending(), takes=10)
    with pytest.raises(LoginFailed):
        await script.wait(expires_in=20)

    assert [6.0, 4.0] == script.slept


async def test_network_errors_do_not_end_polling() -> None:
    """A network error is reported, and polling continues."""
    script = Script(
        DOWN, BrokenResponse("Something that is not GitHub answered."), Pending(), TOKEN
    )

    assert TOKEN == await script.wait()
    assert [None, DOWN.message, "Something that is not GitHub answered.", None] == [
        report.last_error for report in script.reports
    ]


async def test_if_all_polls_fail_the_network_error_is_reported() -> None:
    """If all polls fail, the network error is reported in addition to the expiry of the code."""
    script = Script(DOWN)
    with pytest.raises(LoginFailed, match=r"github\.com could not be reached") as caught:
        await script.wait(expires_in=10)

    assert "Check the network." == caught.value.hint


LIMITED = UpstreamRefusal("Slow.", upstream_status=429, status=429, headers={"retry-after": "60"})


async def test_retry_after_is_honored() -> None:
    """A Retry-After is reported immediately, and the next poll waits for it."""
    script = Script(LIMITED, Pending(), TOKEN)

    assert TOKEN == await script.wait()
    assert [6.0, 60.0, 6.0] == script.slept
    assert [None, "Slow.", None] == [report.last_error for report in script.reports]


async def test_retry_after_beyond_the_life_of_the_code_ends_the_wait() -> None:
    """A Retry-After beyond the lifetime of the code ends the wait immediately."""
    script = Script(LIMITED)
    with pytest.raises(UpstreamRefusal, match="Slow"):
        await script.wait(expires_in=66)

    assert [6.0] == script.slept


@pytest.mark.parametrize("code", ["expired_token", "access_denied"])
async def test_a_denial_ends_polling_at_once(code: str) -> None:
    """No further poll is made after a denial."""
    script = Script(Pending(), LoginFailed("no", code=code), TOKEN)
    with pytest.raises(LoginFailed, match="no"):
        await script.wait()

    assert 2 == len(script.slept)


async def test_the_time_left_is_reported() -> None:
    """The remaining time is reported before every pause."""
    script = Script(Pending(), TOKEN)
    await script.wait(expires_in=100)

    assert [Waiting(100.0), Waiting(94.0)] == script.reports


async def test_the_wait_can_be_cancelled() -> None:
    """Ctrl-C ends the wait immediately, even if the next poll is not due."""
    code = DeviceCode(Secret("d"), "A-B", "https://github.com/login/device", 899, 5)
    task = asyncio.create_task(wait_for_approval(Script(Pending()), code))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_whole_sign_in(
    client: httpx.AsyncClient, settings: Settings, simulator: Simulator
) -> None:
    """A sign-in succeeds after pending polls, errors of every kind and a slow_down."""
    simulator.state.device_flow = [
        "pending", "slow_down", "drop", "html", "http_500", "missing_fields", "ok",
    ]  # fmt: skip
    github = GitHub(client, settings)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    token = await wait_for_approval(github, await github.device_code(), sleep=sleep)

    assert token.reveal().startswith("ghu_")
    assert [6.0, 6.0] + [11.0] * 5 == pauses
