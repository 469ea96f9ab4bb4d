"""Turns a reply with a summary into the reply to a compaction request."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Final

from copilot_proxy.formats.responses.compaction import compaction_response
from copilot_proxy.formats.responses.response_events import TERMINAL, item_events
from copilot_proxy.formats.types import ClientEvent, ClientResponse, ResponsesEvent
from copilot_proxy.relay.reply import EventWriter, ReplySource

_ENDS: Final = (TERMINAL["completed"], TERMINAL["incomplete"])
_PASSED: Final = ("response.created", "response.in_progress", TERMINAL["failed"], "error")
"""The types of events that are passed on unchanged; most others concern the summary's text."""


class CompactedReply:
    """A reply whose only output is a compaction item, which replaces the summary."""

    def __init__(self, reply: ReplySource) -> None:
        self._reply = reply
        self._number = 0
        self.fail = reply.fail

    @property
    def headers(self) -> dict[str, str]:
        return self._reply.headers

    async def whole(self) -> ClientResponse:
        """Return the response. Raises `UpstreamError`, including for an incomplete summary."""
        return compaction_response(await self._reply.whole())

    async def events(
        self, writer: EventWriter | None = None
    ) -> AsyncGenerator[list[ClientEvent], None]:
        """Yield the events of the response; raises the same errors as `whole`."""
        async with aclosing(self._reply.events()) as batches:
            async for batch in batches:
                if events := [*self._compacted(batch)]:
                    yield events

    def _compacted(self, events: Iterable[ResponsesEvent]) -> Iterator[ResponsesEvent]:
        for event in events:
            for one in _replacement(event):
                yield {**one, "sequence_number": self._number}
                self._number += 1


def _replacement(event: ResponsesEvent) -> list[ResponsesEvent]:
    if event["type"] in _PASSED:
        return [event]
    if event["type"] not in _ENDS:
        return []
    response = compaction_response(event["response"])
    return [*item_events(0, response["output"][0]), {**event, "response": response}]
