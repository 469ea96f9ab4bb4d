"""Keep-alives around the last event of a stream."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from copilot_proxy.cli.server_runner import new_event_loop
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.client_api import StreamFormat
from copilot_proxy.routes.streaming import EventStream

KEEP_ALIVE = 0.02
FORMAT = StreamFormat(b"text/plain", lambda event: event["text"].encode(), b"", b" ")


class Reply:
    """Replies with one event, sent when `may_come` is set; ending the call takes a while."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.may_come = asyncio.Event()

    def fail(self, error: CopilotProxyError) -> list[dict[str, Any]]:
        raise error

    async def whole(self) -> dict[str, Any]:
        raise NotImplementedError

    async def events(self, write: object = None) -> AsyncGenerator[list[dict[str, Any]], None]:
        await self.may_come.wait()
        yield [{"text": "the last line\n"}]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Reply"]:
        yield self
        await asyncio.sleep(5 * KEEP_ALIVE)


async def sent(reply: Reply, on_keep_alive: Callable[[], Coroutine[Any, Any, None]]) -> list[bytes]:
    """Return the pieces of the stream; `on_keep_alive` is called when a keep-alive is sent."""
    pieces: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] != "http.response.body":
            return
        if message["body"] == FORMAT.keep_alive:
            await on_keep_alive()
        pieces.append(message["body"])

    async def receive() -> Any:
        await asyncio.Event().wait()

    stream = EventStream(
        reply.opened, FORMAT, lambda _: [], grace=KEEP_ALIVE, keep_alive=KEEP_ALIVE
    )
    await stream({"state": {}}, receive, send)
    return pieces


def run(work: Callable[[], Coroutine[Any, Any, list[bytes]]]) -> list[bytes]:
    """Run `work` on the server's event loop."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work())


def test_nothing_follows_the_last_event() -> None:
    """A client that reads lines would mistake a keep-alive after the last event for an event."""

    async def work() -> list[bytes]:
        reply = Reply()

        async def come() -> None:
            reply.may_come.set()

        return await sent(reply, come)

    *kept_alive, last, end = run(work)
    assert {b" "} == set(kept_alive)
    assert (b"the last line\n", b"") == (last, end)


def test_a_blocked_event_loop() -> None:
    """A keep-alive that becomes due before an event is not sent after that event."""

    async def work() -> list[bytes]:
        reply, may_end = Reply(), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []

        async def hold_up() -> None:
            may_end.set()
            await asyncio.sleep(0)  # until the keep-alive has ended; the event is next
            time.sleep(2 * KEEP_ALIVE)  # noqa: ASYNC251  # nothing else runs meanwhile

        async def come() -> None:
            if not tasks:
                reply.may_come.set()
                for _ in range(10):  # until the event waits for this keep-alive
                    await asyncio.sleep(0)
                tasks.append(asyncio.create_task(hold_up()))
                await may_end.wait()

        return await sent(reply, come)

    *_, last, end = run(work)
    assert (b"the last line\n", b"") == (last, end)
