"""The reply to a warm-up request, made without calling Copilot."""

import time
from collections.abc import AsyncGenerator

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.responses.api import RESPONSES
from copilot_proxy.formats.responses.warm_up import warm_up_events
from copilot_proxy.formats.types import ClientEvent, ClientResponse, ResponsesRequest
from copilot_proxy.relay.reply import BeforeLast, EventWriter


class WarmUpReply:
    """A reply without output, whose response the client can continue."""

    def __init__(
        self, request: ResponsesRequest, request_id: str, before_last: BeforeLast | None = None
    ) -> None:
        self._request = request
        self._before_last = before_last
        self._request_id = request_id
        self._events = warm_up_events(request, int(time.time()))

    @property
    def headers(self) -> dict[str, str]:
        return {}

    def fail(self, error: CopilotProxyError) -> list[ClientEvent]:
        """Return the events that report `error`."""
        return RESPONSES.fail(self._request, error, self._request_id)

    async def whole(self) -> ClientResponse:
        """Return the response."""
        events = [event async for batch in self.events() for event in batch]
        response: ClientResponse = events[-1]["response"]
        return response

    async def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[ClientEvent], None]:
        """Yield the events in a single list."""
        if self._before_last is not None:
            await self._before_last(self._events[-1])
        yield self._events
