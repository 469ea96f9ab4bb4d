"""Lets Responses clients refer to earlier responses, which are kept in memory.

Work whose duration depends on the length of a conversation is done in a thread, item by item, so
that it does not block other requests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.plain_turns import PlainTurns
from copilot_proxy.formats.responses import remembered_items
from copilot_proxy.formats.responses.item_pages import PageQuery, item_page
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.response_events import TERMINAL
from copilot_proxy.formats.responses.response_store import (
    ITEM_OVERHEAD,
    MAX_ITEMS,
    MAX_SECONDS,
    Exchange,
    PlainItems,
    ResponseStore,
    StoredResponse,
)
from copilot_proxy.formats.sizes import size_text
from copilot_proxy.formats.types import (
    ClientEvent,
    Json,
    Response,
    ResponsesRequest,
)
from copilot_proxy.large_work import LARGE, run_if_large, run_in_turn
from copilot_proxy.relay.caller import Caller
from copilot_proxy.relay.reply import BeforeLast

_ENDS: Final = (TERMINAL["completed"], TERMINAL["incomplete"])
"""The final event types of responses that can be continued."""


@dataclass(frozen=True)
class ResumedRequest:
    """A request with all the items that it refers to, and the data to remember about it."""

    request: ResponsesRequest
    """The `input` is the entire conversation; `store` is True if the response will be
    remembered."""
    items: Sequence[bytes] | PlainItems
    """The new input, in its stored form; empty if the response will not be remembered."""
    previous: Exchange | None = None
    """The conversation before the request."""
    size: int = 0
    """The approximate size of the entire conversation in bytes."""
    repeated_size: int = 0
    """The maximum size in bytes of what the response can repeat from the request, such as tools."""
    web_socket: bytes = b""
    """The WebSocket that the request came from; b"" for HTTP requests."""

    @property
    def is_remembered(self) -> bool:
        """Whether the response will be remembered, even if only for the WebSocket."""
        return bool(self.request["store"] or self.web_socket)


class ResponseMemory:
    """The server's remembered responses; without a `store`, only those of WebSockets.

    Until it closes, a WebSocket can continue any of its responses, even those with ``store:
    false``. A conversation may have up to `limit` bytes. `workers` is the number of processes that
    answer requests, each with its own memory.
    """

    def __init__(self, store: ResponseStore | None, *, limit: int, workers: int = 1) -> None:
        self._is_on = store is not None
        self._store = ResponseStore(responses=0) if store is None else store
        self._web_sockets = ResponseStore()
        """The responses that only their WebSockets can access, by the ids of the WebSockets."""
        self._limit = limit
        self._why_not_found = _why_not_found(store, workers)

    async def resume(
        self,
        request: ResponsesRequest,
        caller: Caller,
        body_bytes: int,
        notes: list[str],
        web_socket: bytes = b"",
    ) -> ResumedRequest:
        """Return the request with earlier items prepended and references replaced by the items.

        `body_bytes` is the size of the body as received, `web_socket` the id of the WebSocket that
        it came from. Raises `RequestError` for anything that is not remembered (400 for the
        previous response, 404 for an item), and for conversations above the limit (413).
        """
        previous = self._previous(request, caller, web_socket)
        found = self._references(request, caller, web_socket)
        given = request["input"]
        count = len(given) if isinstance(given, list) else 1
        size = body_bytes + ITEM_OVERHEAD * count + sum(map(len, found.values()))
        if previous is not None:
            count, size = count + previous.count, size + previous.total
        if (previous is not None or found) and (size > self._limit or count > MAX_ITEMS):
            raise _too_large(self._limit)
        is_stored = self._stores(request, size, count, notes)
        items = request["input"]
        if previous is None and isinstance(items, PlainTurns):
            kept = PlainItems(items, body_bytes) if is_stored or web_socket else ()
            rest = body_bytes - items.text_size
            resumed = {**request, "store": is_stored}
            return ResumedRequest(resumed, kept, None, size, rest, web_socket)
        resume = partial(_resume, request, previous, found, size, is_stored, web_socket)
        return resume() if size < LARGE else await run_in_turn(resume)

    def remembering(self, resumed: ResumedRequest, caller: Caller) -> BeforeLast | None:
        """Return a function that takes the reply's last event and remembers the response in it.

        Returns None if the response will not be remembered.
        """
        if not resumed.is_remembered:
            return None

        async def remember(event: ClientEvent) -> None:
            if event["type"] not in _ENDS:
                return
            make = partial(
                remembered_items.stored_response,
                event["response"],
                resumed.previous,
                resumed.items,
                resumed.size,
            )
            stored = make() if resumed.repeated_size < LARGE else await run_in_turn(make)
            if resumed.request["store"]:
                self._store.store(caller.identity, stored)
            else:
                # Such a response can be continued, but not retrieved.
                self._web_sockets.store(resumed.web_socket, replace(stored, data=b""))

        return remember

    def find(self, response_id: str, caller: Caller) -> StoredResponse:
        """Return one of the caller's responses. Raises `RequestError` (404)."""
        found = self._store.find(caller.identity, response_id)
        if found is None:
            raise RequestError(
                "The response was not found.",
                status=404,
                code="response_not_found",
                hint=self._why_not_found,
            )
        return found

    async def response(self, response_id: str, caller: Caller) -> Response:
        """Return a response in the form that the caller received. Raises `RequestError` (404)."""
        found = self.find(response_id, caller)
        size = len(found.data) + found.exchange.size
        return await run_if_large(size, lambda: remembered_items.response_of(found))

    async def input_page(self, response_id: str, caller: Caller, query: PageQuery) -> Json:
        """Return a page of the items that a response was made from. Raises `RequestError`."""
        exchange = self.find(response_id, caller).exchange
        return await run_if_large(exchange.total, lambda: item_page(exchange, query))

    def forget(self, response_id: str, caller: Caller) -> None:
        """Forget one of the caller's responses. Raises `RequestError` (404)."""
        self.find(response_id, caller)
        self._store.forget(caller.identity, response_id)

    def forget_web_socket(self, web_socket: bytes) -> None:
        """Forget the responses that only this WebSocket can access."""
        self._web_sockets.forget_all(web_socket)

    def _previous(
        self, request: ResponsesRequest, caller: Caller, web_socket: bytes
    ) -> Exchange | None:
        response_id = request.get("previous_response_id")
        if response_id is None:
            return None
        found = self._web_sockets.find(web_socket, response_id) or self._store.find(
            caller.identity, response_id
        )
        if found is None:
            raise remembered_items.previous_not_found(self._why_not_found)
        return found.exchange

    def _references(
        self, request: ResponsesRequest, caller: Caller, web_socket: bytes
    ) -> dict[int, bytes]:
        found = {}
        for position, item_id in remembered_items.referenced_ids(request):
            item = self._web_sockets.find_item(web_socket, item_id)
            item = item or self._store.find_item(caller.identity, item_id)
            if item is None:
                raise remembered_items.item_not_found(position, self._why_not_found)
            found[position] = item
        return found

    def _stores(self, request: ResponsesRequest, size: int, count: int, notes: list[str]) -> bool:
        """Return whether to remember the response to a conversation of this size and item count."""
        if request.get("store") is False:
            return False
        fits = size < self._store.max_size and count < MAX_ITEMS
        if self._is_on and fits:
            return True
        if request.get("store"):
            reason = "the conversation is too large" if self._is_on else "responses_memory is off"
            notes.append(f"dropped store: {reason}")
        return False


def _resume(
    request: ResponsesRequest,
    previous: Exchange | None,
    found: Mapping[int, bytes],
    size: int,
    is_stored: bool,
    web_socket: bytes,
) -> ResumedRequest:
    """Return the request with everything that it refers to; slow for long conversations."""
    resumed = {**request, "store": is_stored}
    items = remembered_items.resolved_input(request, found) if found else input_items(request)
    if previous is not None:
        resumed["input"] = [*remembered_items.decoded(previous.history()), *items]
    elif found:
        resumed["input"] = items
    # Encoded now, because the rules for models may later change parts of the items.
    new = remembered_items.encoded(items, size) if is_stored or web_socket else []
    return ResumedRequest(resumed, new, previous, size, size, web_socket)


def _why_not_found(store: ResponseStore | None, workers: int) -> str:
    if store is None:
        return "This server does not remember responses: responses_memory is off."
    reason = f"Responses are remembered for at most {MAX_SECONDS / 3600:.0f} hours, "
    if workers > 1:
        return f"{reason}and each of the {workers} workers of this server remembers only its own."
    return (
        f"{reason}and only until the server stops or needs the memory. With `store: false`, they "
        "are not remembered."
    )


def _too_large(limit: int) -> RequestError:
    return RequestError(
        "With the earlier items that it refers to, the input is larger than "
        f"{size_text(limit)}, or has more than {MAX_ITEMS} items.",
        status=413,
        code="request_too_large",
        hint="Start a new conversation, or raise the limit with COPILOT_PROXY_MAX_BODY_BYTES.",
    )
