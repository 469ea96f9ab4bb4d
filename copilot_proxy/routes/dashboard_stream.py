"""The live stream of the dashboard, as server-sent events."""

import asyncio
from typing import Final

from copilot_proxy.asgi import Receive, Scope, Send
from copilot_proxy.dashboard.feed import Feed
from copilot_proxy.formats.sse import CONTENT_TYPE, KEEP_ALIVE
from copilot_proxy.routes.disconnects import run_until_disconnect
from copilot_proxy.routes.streaming import STREAM_HEADERS

_COMMENT_INTERVAL: Final = 20.0
"""Seconds of silence after which a comment is sent, which reveals whether the page has been
closed."""
_HEADERS: Final = ((b"content-type", CONTENT_TYPE), *STREAM_HEADERS)


class DashboardStream:
    """An ASGI application that sends changes until the page is closed or the server stops."""

    def __init__(self, feed: Feed, key: str | None) -> None:
        self._feed = feed
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["state"]["context"].method == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await run_until_disconnect(self._respond(send), receive, scope=scope)

    async def _respond(self, send: Send) -> None:
        page = await self._feed.subscribe(self._key)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
            while message := await _next(page):
                await send({"type": "http.response.body", "body": message, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._feed.unsubscribe(self._key, page)


async def _next(page: "asyncio.Queue[bytes]") -> bytes:
    try:
        async with asyncio.timeout(_COMMENT_INTERVAL):
            return await page.get()
    except TimeoutError:
        return KEEP_ALIVE
