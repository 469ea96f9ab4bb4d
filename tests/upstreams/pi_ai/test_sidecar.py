"""The sidecar, a child process for many exchanges: starts, crashes, restarts and shutdown."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from copilot_proxy.errors import BrokenResponse, RequestError, UpstreamUnreachable
from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
from copilot_proxy.upstreams.pi_ai.sidecar_process import WINDOW, SidecarCommand, SidecarExchange

CHILD = Path(__file__).parent / "child.py"
PING_INTERVAL = 0.25
"""Seconds between pings, enough for a busy machine; the child is killed after three intervals."""


def command(*flags: str) -> SidecarCommand:
    return SidecarCommand([sys.executable, str(CHILD), *flags], {"PATH": os.environ["PATH"]})


@pytest.fixture
async def sidecar() -> AsyncIterator[Sidecar]:
    sidecar = Sidecar("child", command)
    yield sidecar
    await sidecar.aclose()


async def events(exchange: SidecarExchange) -> list[Any]:
    """Return all events until the end."""
    found = []
    while messages := await exchange.read():
        found += [msgspec.json.decode(one.event) for one in messages]
    return found


async def echo(sidecar: Sidecar, text: str) -> Any:
    async with sidecar.exchange({"what": "echo", "text": text}) as exchange:
        return await events(exchange)


async def begun(sidecar: Sidecar, exchange: SidecarExchange) -> int:
    """Return the process id once the child has answered."""
    (message,) = await exchange.read()
    pid: int = msgspec.json.decode(message.event)["pid"]
    assert sidecar.pid == pid
    return pid


async def waiting(exchange: SidecarExchange, count: int) -> None:
    """Wait until this many messages have arrived."""
    while exchange.waiting < count:  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0.001)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_nothing_runs_until_it_is_needed(sidecar: Sidecar) -> None:
    """The child is started by the first request."""
    assert sidecar.pid is None


async def test_many_exchanges_at_once(sidecar: Sidecar) -> None:
    """Each of many concurrent exchanges in one child receives its own answer."""
    texts = [f"{i} \u2028\u2029\x85\n🦊 {'x' * i * 1000}" for i in range(40)]

    received = await asyncio.gather(*(echo(sidecar, text) for text in texts))

    assert [[{"said": text}] for text in texts] == received


async def test_a_long_line(sidecar: Sidecar) -> None:
    """An event of one megabyte is read like any other."""
    assert [{"said": "x" * 1_000_000}] == await echo(sidecar, "x" * 1_000_000)


async def test_a_client_that_leaves_while_it_starts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A cancelled start leaves no process, and the next request starts another process."""
    monkeypatch.setattr("copilot_proxy.upstreams.pi_ai.sidecar_process._EXIT_TIMEOUT", 0.1)
    slow = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True); time.sleep(60)"
    commands = [command(), SidecarCommand([sys.executable, "-c", slow], {})]
    sidecar = Sidecar("child", lambda: commands.pop())
    asking = asyncio.create_task(echo(sidecar, "Hi"))
    while not caplog.records:  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0.001)
    pid = int(caplog.records[0].getMessage().removeprefix("child: "))

    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert is_gone(pid)
    assert [{"said": "Hi"}] == await echo(sidecar, "Hi")
    await sidecar.aclose()


async def test_a_slow_reader_stops_the_child(sidecar: Sidecar) -> None:
    """The child sends no more than its window until the events are read."""
    count = 5 * WINDOW
    async with sidecar.exchange({"what": "flood", "count": count}) as exchange:
        await waiting(exchange, WINDOW)
        assert [{"said": "Hi"}] == await echo(sidecar, "Hi")
        assert WINDOW == exchange.waiting

        assert list(range(count)) == [event["number"] for event in await events(exchange)]


async def test_leaving_cancels_the_exchange(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """An exchange that is left early is cancelled in the child; a complete exchange is not."""
    await echo(sidecar, "whole")
    async with sidecar.exchange({"what": "begin"}) as exchange:
        await exchange.read()
    await sidecar.aclose()

    assert ["child: dropped 2"] == [record.getMessage() for record in caplog.records]


async def test_a_crash_fails_open_exchanges(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """When the child dies, open exchanges fail, and the next exchange starts a new child."""
    async with (
        sidecar.exchange({"what": "begin"}) as one,
        sidecar.exchange({"what": "begin"}) as two,
    ):
        pid = await begun(sidecar, one)
        await begun(sidecar, two)
        os.kill(pid, signal.SIGKILL)
        for exchange in (one, two):
            with pytest.raises(BrokenResponse, match="exited in the middle") as caught:
                await exchange.read()
            assert "upstream_broken" == caught.value.code

    async with sidecar.exchange({"what": "begin"}) as exchange:
        assert pid != await begun(sidecar, exchange)
    assert "The child process exited; open requests: 2" in caplog.text


@pytest.mark.parametrize(
    "request_",
    [{"what": "garbage"}, {"what": "long", "size": 33 * 1024 * 1024}],
    ids=["garbage", "long"],
)
async def test_malformed_output_restarts_the_child(
    sidecar: Sidecar, request_: dict[str, Any]
) -> None:
    """After malformed output, the child is restarted."""
    async with sidecar.exchange(request_) as exchange:
        with pytest.raises(BrokenResponse, match="sent an invalid message"):
            await exchange.read()

    assert [{"said": "Hi"}] == await echo(sidecar, "Hi")


async def test_output_before_a_crash_is_read_first(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """Output from before a crash is read before the error."""
    async with sidecar.exchange({"what": "begin"}) as exchange:
        await waiting(exchange, 1)
        assert sidecar.pid is not None
        os.kill(sidecar.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while "The child process exited" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

        assert 1 == len(await exchange.read())
        with pytest.raises(BrokenResponse):
            await exchange.read()


async def test_repeated_crashes_pause_restarts(sidecar: Sidecar) -> None:
    """After repeated crashes, restarts are delayed, and requests receive a Retry-After."""
    for _ in range(2):
        async with sidecar.exchange({"what": "die"}) as exchange:
            with pytest.raises(BrokenResponse):
                await exchange.read()

    with pytest.raises(UpstreamUnreachable, match="died several times") as caught:
        await echo(sidecar, "Hi")

    assert (503, "1") == (caught.value.status, caught.value.headers["retry-after"])


async def test_an_answer_resets_the_count_of_crashes(sidecar: Sidecar) -> None:
    """An answer resets the count of crashes."""
    for _ in range(4):
        async with sidecar.exchange({"what": "die"}) as exchange:
            with pytest.raises(BrokenResponse):
                await exchange.read()
        assert [{"said": "Hi"}] == await echo(sidecar, "Hi")


@pytest.mark.parametrize(
    "broken",
    [
        command("--fail"),
        SidecarCommand(["/nonexistent/node"], {}),
        SidecarCommand([sys.executable, "-c", ""], {}),
    ],
)
async def test_a_child_that_does_not_start(broken: SidecarCommand) -> None:
    """A failed start is reported with a hint."""
    sidecar = Sidecar("child", lambda: broken)
    try:
        with pytest.raises(UpstreamUnreachable, match="The child process cannot be used") as caught:
            await echo(sidecar, "Hi")
    finally:
        await sidecar.aclose()

    assert caught.value.hint
    assert not caught.value.sent


async def test_a_damaged_installation() -> None:
    """The hint names the repair command, even while restarts are paused."""
    sidecar = Sidecar("child", lambda: replace(command("--damaged"), repair_hint="Mend it"))
    try:
        for _ in range(4):
            with pytest.raises(UpstreamUnreachable, match="files are missing or damaged") as caught:
                await echo(sidecar, "Hi")
            assert "Mend it" == caught.value.hint
    finally:
        await sidecar.aclose()


async def test_a_child_that_hangs_is_killed() -> None:
    """A child that does not answer pings is killed, and open exchanges fail."""
    sidecar = Sidecar("child", command, ping_interval=PING_INTERVAL)
    try:
        async with sidecar.exchange({"what": "stall"}) as exchange:
            with pytest.raises(BrokenResponse, match="stopped responding"):
                await exchange.read()
        assert [{"said": "Hi"}] == await echo(sidecar, "Hi")
    finally:
        await sidecar.aclose()


async def test_a_suspended_child_is_kept() -> None:
    """A child that was suspended together with the server is kept."""
    sidecar = Sidecar("child", command, ping_interval=PING_INTERVAL)
    try:
        async with sidecar.exchange({"what": "begin"}) as exchange:
            pid = await begun(sidecar, exchange)
            time.sleep(4 * PING_INTERVAL)  # noqa: ASYNC251  # nothing runs here meanwhile, no ping is sent
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3 * PING_INTERVAL):
                    await exchange.read()
            assert pid == sidecar.pid
    finally:
        await sidecar.aclose()


async def test_messages_after_the_end_are_ignored(sidecar: Sidecar) -> None:
    """Messages about finished or unknown exchanges are ignored."""
    async with sidecar.exchange({"what": "ghosts"}) as exchange:
        assert [{"said": "all"}] == await events(exchange)
        assert [{"said": "Hi"}] == await echo(sidecar, "Hi")
        assert [] == await exchange.read()


async def test_a_body_that_cannot_be_encoded_is_a_client_error(sidecar: Sidecar) -> None:
    """A body nested too deeply is a client error, and other exchanges work."""
    deep: list[Any] = []
    for _ in range(500_000):
        deep = [deep]

    with pytest.raises(RequestError, match="nested too deeply"):
        async with sidecar.exchange({"what": "echo", "text": deep}):
            pass
    assert [{"said": "Hi"}] == await echo(sidecar, "Hi")


async def test_an_idle_child_is_kept() -> None:
    """An idle child that answers pings is kept."""
    sidecar = Sidecar("child", command, ping_interval=PING_INTERVAL)
    try:
        async with sidecar.exchange({"what": "begin"}) as exchange:
            pid = await begun(sidecar, exchange)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5 * PING_INTERVAL):
                    await exchange.read()
            assert pid == sidecar.pid
            assert [{"said": "Hi"}] == await echo(sidecar, "Hi")
    finally:
        await sidecar.aclose()


async def test_stderr_is_in_the_log_without_secrets(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """The child's stderr is logged as warnings, masked and truncated."""
    caplog.set_level(logging.WARNING)
    text = f"Bearer tid=secretsecret;exp=1 and {'x' * 5000}"
    async with sidecar.exchange({"what": "words", "text": text}) as exchange:
        await exchange.read()
    await sidecar.aclose()

    (record,) = [one for one in caplog.records if "Bearer" in one.getMessage()]
    assert "secretsecret" not in record.getMessage()
    assert len(record.getMessage()) < 2100


async def test_the_environment_of_the_child(sidecar: Sidecar) -> None:
    """The child receives only the environment that the command sets."""
    async with sidecar.exchange({"what": "environment"}) as exchange:
        (message,) = await exchange.read()

    received = msgspec.json.decode(message.event)
    assert set(received["environ"]) <= {"PATH", "LC_CTYPE"}
    assert [str(CHILD)] == received["arguments"]


async def test_closing_ends_the_child(sidecar: Sidecar) -> None:
    """Closing ends the child, fails open exchanges, and starts no other child."""
    async with sidecar.exchange({"what": "begin"}) as exchange:
        pid = await begun(sidecar, exchange)
        await sidecar.aclose()
        with pytest.raises(BrokenResponse):
            await exchange.read()
    assert is_gone(pid)
    with pytest.raises(UpstreamUnreachable, match="shut down"):
        await echo(sidecar, "Hi")


async def test_a_child_that_ignores_the_end_is_killed(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that ignores the request to end is killed."""
    monkeypatch.setattr("copilot_proxy.upstreams.pi_ai.sidecar_process._EXIT_TIMEOUT", 0.1)
    async with sidecar.exchange({"what": "begin"}) as exchange:
        pid = await begun(sidecar, exchange)
        async with sidecar.exchange({"what": "stall"}):
            await sidecar.aclose()
    assert is_gone(pid)
