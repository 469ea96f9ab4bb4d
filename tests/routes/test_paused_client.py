"""A client that is not reading when the first event of its stream arrives."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from copilot_proxy.asgi import BODY_WRITER
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.gemini.api import GEMINI
from copilot_proxy.formats.gemini.request import JSON_ARRAY
from copilot_proxy.relay.reply import EventWriter
from copilot_proxy.routes.streaming import EventStream


class Paused:
    """A `BodyWriter` whose client does not read."""

    def is_ready(self) -> bool:
        return False

    def write(self, data: bytes) -> bool:
        return False


class Reply:
    """A reply with an empty beginning and two events."""

    headers: dict[str, str] = {}  # noqa: RUF012

    def fail(self, error: CopilotProxyError) -> list[dict[str, Any]]:
        raise error

    async def whole(self) -> dict[str, Any]:
        raise NotImplementedError

    async def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        yield []
        for events in ([{"first": 1}], [{"second": 2}]):
            if writer is None or not writer.write(events):
                yield events


def test_an_array_keeps_its_beginning() -> None:
    """Gemini's array begins with a bracket, which must not be lost if the event is sent later."""

    @asynccontextmanager
    async def open_reply() -> AsyncIterator[Reply]:
        yield Reply()

    async def work() -> bytes:
        sent: list[bytes] = []

        async def send(message: Any) -> None:
            sent.append(message.get("body", b""))

        async def receive() -> Any:
            await asyncio.Event().wait()

        array = GEMINI.stream_format({JSON_ARRAY: True})
        stream = EventStream(open_reply, array, lambda _: [], grace=9, keep_alive=9)
        await stream({"state": {BODY_WRITER: Paused()}}, receive, send)
        return b"".join(sent)

    assert [{"first": 1}, {"second": 2}] == json.loads(asyncio.run(work()))
