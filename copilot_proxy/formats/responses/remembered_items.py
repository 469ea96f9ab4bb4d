"""Inserts remembered items into a request that refers to them, and stores items as JSON.

A reference to an unknown item is an error; it is never ignored. The error statuses are OpenAI's.
Error messages never contain an id, because some clients retry a request if the text of the error
contains certain numbers, such as 503.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.large_json import LARGE, decode_large, encode_json
from copilot_proxy.formats.responses.request import input_items
from copilot_proxy.formats.responses.response_store import Exchange, PlainItems, StoredResponse
from copilot_proxy.formats.types import Json, Response, ResponsesRequest

_encode: Final = msgspec.json.Encoder().encode
_RESEND: Final = "Send the whole conversation in `input`."


def referenced_ids(request: ResponsesRequest) -> list[tuple[int, str]]:
    """Return the position in the input and the id of each reference to an earlier item."""
    items = request["input"]
    return [
        (i, item["id"])
        for i, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("type") == "item_reference"
    ]


def resolved_input(request: ResponsesRequest, found: Mapping[int, bytes]) -> list[Json]:
    """Return the input as items, with each item in `found` in place of its reference."""
    return [
        _decoded(found[i]) if i in found else item for i, item in enumerate(input_items(request))
    ]


def decoded(items: Iterable[bytes]) -> list[Json]:
    """Return the items as decoded JSON objects."""
    return [_decoded(item) for item in items]


def _decoded(data: bytes) -> Any:
    decode = msgspec.json.decode
    return decode_large(data, decode) if len(data) >= LARGE else decode(data)


def encoded(items: Iterable[Json], size: int = 0) -> list[bytes]:
    """Return the items in their stored form; `size` is their approximate total size in bytes."""
    if size < LARGE:
        return [_encode(item) for item in items]
    return [encode_json(item, size) for item in items]


def stored_response(
    response: Response,
    previous: Exchange | None,
    items: Sequence[bytes] | PlainItems,
    size: int = 0,
) -> StoredResponse:
    """Return a response in its stored form, with the new input that it answers.

    `size` is the approximate number of bytes of the entire conversation.
    """
    id, output = response["id"], response["output"]
    exchange = Exchange(id, previous, items, encoded(output))
    rest = encode_json({k: v for k, v in response.items() if k != "output"}, size)
    return StoredResponse(id, rest, exchange, tuple(item.get("id") for item in output))


def response_of(stored: StoredResponse) -> Response:
    """Return a stored response in the form that the client received."""
    return {**_decoded(stored.data), "output": decoded(stored.exchange.output)}


def previous_not_found(reason: str) -> RequestError:
    """Return the error for an unknown `previous_response_id`."""
    return RequestError(
        "The previous response was not found.",
        param="previous_response_id",
        code="previous_response_not_found",
        hint=f"{_RESEND} {reason}",
    )


def item_not_found(position: int, reason: str) -> RequestError:
    """Return the error for an ``item_reference`` to an unknown item."""
    return RequestError(
        "The referenced item was not found.",
        param=f"input[{position}]",
        code="item_not_found",
        status=404,
        hint=f"{_RESEND} {reason}",
    )
