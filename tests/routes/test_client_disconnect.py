"""How an answer in the making is ended when its client leaves, turn by turn of the loop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from copilot_proxy.routes.streaming import run_until_disconnect


class Client:
    """Leaves when it is told to."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()

    async def receive(self) -> Any:
        """What uvicorn gives an application."""
        await self.leaves.wait()
        return {"type": "http.disconnect"}


class Work:
    """Goes on until it is cancelled, and then cleans up until it may end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cleaning = asyncio.Event()
        self.may_end = asyncio.Event()
        self.was_cleaned = False

    async def __call__(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            self.cleaning.set()
            await self.may_end.wait()
            self.was_cleaned = True


@pytest.fixture
async def client() -> Client:
    return Client()


@pytest.fixture
async def work() -> Work:
    return Work()


async def outcome(
    client: Client, work: Work, during: Callable[[asyncio.Task[None]], Awaitable[None]]
) -> tuple[asyncio.Task[None], bool]:
    """The task that waited for `work`, and whether that has cleaned up to its end; `during` is
    what happens meanwhile."""

    async def wait() -> None:
        await run_until_disconnect(work(), client.receive)
        here = asyncio.current_task()
        assert here is not None
        assert 0 == here.cancelling()
        await asyncio.sleep(0)  # would raise if a cancellation were left over

    task = asyncio.create_task(wait())
    await work.begun.wait()
    await during(task)
    work.may_end.set()
    await asyncio.wait({task}, timeout=5)
    return task, work.was_cleaned


async def test_leaving_ends_the_work_and_nothing_else(client: Client, work: Work) -> None:
    """Its clean-up is awaited, and whoever waited goes on as if it had ended by itself."""

    async def leave(_: asyncio.Task[None]) -> None:
        client.leaves.set()
        await work.cleaning.wait()

    task, was_cleaned = await outcome(client, work, leave)

    assert (True, False) == (was_cleaned, task.cancelled())
    assert task.exception() is None


async def test_leaving_disturbs_no_clean_up(client: Client, work: Work) -> None:
    """A server that ends has cancelled the answer already: that goes its way, and is told."""

    async def cancel_and_leave(task: asyncio.Task[None]) -> None:
        task.cancel()
        await work.cleaning.wait()
        client.leaves.set()
        for _ in range(5):
            await asyncio.sleep(0)

    task, was_cleaned = await outcome(client, work, cancel_and_leave)

    assert (True, True) == (was_cleaned, task.cancelled())


@pytest.mark.parametrize("turns", range(6))
async def test_leaving_while_a_timeout_inside_ends(client: Client, turns: int) -> None:
    """The work would go on after its timeout, for nobody: it is ended, whenever the client went."""
    cleaning, was_left = asyncio.Event(), asyncio.Event()

    async def impatient() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                try:
                    await asyncio.Event().wait()
                finally:
                    cleaning.set()
                    for _ in range(3):
                        await asyncio.sleep(0)
        await asyncio.Event().wait()

    task = asyncio.create_task(run_until_disconnect(impatient(), client.receive, was_left.set))
    await cleaning.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    client.leaves.set()
    async with asyncio.timeout(5):
        await task

    assert was_left.is_set()


async def test_being_cancelled_after_the_client_has_left(client: Client, work: Work) -> None:
    """The one who cancels learns that it worked, whoever was first."""
    work.may_end.set()

    async def leave_and_cancel(task: asyncio.Task[None]) -> None:
        client.leaves.set()
        await asyncio.sleep(0)
        task.cancel()

    task, was_cleaned = await outcome(client, work, leave_and_cancel)

    assert (True, True) == (was_cleaned, task.cancelled())


async def test_what_goes_wrong_is_told(client: Client) -> None:
    """A failure of the work is nobody else's, and nothing waits for the client any longer."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await run_until_disconnect(fail(), client.receive)
    await asyncio.sleep(0)
    assert before == asyncio.all_tasks()
