"""How a running answer ends when its client disconnects, tested at each step of the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from copilot_proxy.routes.disconnects import run_until_disconnect


class Client:
    """A client that disconnects when `leaves` is set."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()

    async def receive(self) -> Any:
        """Return messages as uvicorn sends them to the application."""
        await self.leaves.wait()
        return {"type": "http.disconnect"}


class Work:
    """Runs until it is cancelled, and then cleans up until `may_end` is set."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cleaning = asyncio.Event()
        self.may_end = asyncio.Event()
        self.was_cleaned = False

    async def __call__(self) -> None:
        try:
            self.started.set()
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
    """Run `work` until the client disconnects, and `during` concurrently.

    Returns the task that ran it, and whether the cleanup was completed.
    """

    async def wait() -> None:
        await run_until_disconnect(work(), client.receive)
        current = asyncio.current_task()
        assert current is not None
        assert 0 == current.cancelling()
        await asyncio.sleep(0)  # raises if a cancellation is still pending

    task = asyncio.create_task(wait())
    await work.started.wait()
    await during(task)
    work.may_end.set()
    await asyncio.wait({task}, timeout=60)
    return task, work.was_cleaned


async def test_a_disconnect_only_ends_the_work(client: Client, work: Work) -> None:
    """The cleanup is awaited, and the waiting task continues normally."""

    async def leave(_: asyncio.Task[None]) -> None:
        client.leaves.set()
        await work.cleaning.wait()

    task, was_cleaned = await outcome(client, work, leave)

    assert (True, False) == (was_cleaned, task.cancelled())
    assert task.exception() is None


async def test_a_disconnect_does_not_interrupt_the_clean_up(client: Client, work: Work) -> None:
    """If a shutdown has already cancelled the answer, its cleanup still runs to the end."""

    async def cancel_and_leave(task: asyncio.Task[None]) -> None:
        task.cancel()
        await work.cleaning.wait()
        client.leaves.set()
        for _ in range(5):
            await asyncio.sleep(0)

    task, was_cleaned = await outcome(client, work, cancel_and_leave)

    assert (True, True) == (was_cleaned, task.cancelled())


@pytest.mark.parametrize("turns", range(6))
async def test_a_disconnect_while_an_inner_timeout_ends(client: Client, turns: int) -> None:
    """The work ends even if the client disconnects while an inner timeout is being handled."""
    cleaning, was_left = asyncio.Event(), asyncio.Event()

    async def work_with_timeout() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                try:
                    await asyncio.Event().wait()
                finally:
                    cleaning.set()
                    for _ in range(3):
                        await asyncio.sleep(0)
        await asyncio.Event().wait()

    task = asyncio.create_task(
        run_until_disconnect(work_with_timeout(), client.receive, was_left.set)
    )
    await cleaning.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    client.leaves.set()
    async with asyncio.timeout(60):
        await task

    assert was_left.is_set()


async def test_a_cancellation_after_a_disconnect(client: Client, work: Work) -> None:
    """A task that is cancelled after the disconnect counts as cancelled."""
    work.may_end.set()

    async def leave_and_cancel(task: asyncio.Task[None]) -> None:
        client.leaves.set()
        await asyncio.sleep(0)
        task.cancel()

    task, was_cleaned = await outcome(client, work, leave_and_cancel)

    assert (True, True) == (was_cleaned, task.cancelled())


async def test_errors_are_raised(client: Client) -> None:
    """An error in the work is raised, and no task continues to wait for the client."""

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        await run_until_disconnect(fail(), client.receive)
    await asyncio.sleep(0)
    assert before == asyncio.all_tasks()
