"""Lists the items that a response was made from, as pages in OpenAI's list format."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses.ids import prefix_of, short_id
from copilot_proxy.formats.responses.remembered_items import decoded
from copilot_proxy.formats.responses.response_store import Exchange
from copilot_proxy.formats.types import Json

MAX_LIMIT: Final = 100


class PageQuery(NamedTuple):
    """The items that a client wants: up to `limit` items after the one with the id `after`."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None


def parse_query(limit: str | None, order: str | None, after: str | None) -> PageQuery:
    """Return the query for these parameters. Raises `RequestError` if one is invalid."""
    default = PageQuery()
    if order not in (None, "asc", "desc"):
        raise _invalid("order", "expected asc or desc")
    if limit is not None and not (limit.isdecimal() and 1 <= int(limit[:4]) <= MAX_LIMIT):
        raise _invalid("limit", f"expected a number from 1 to {MAX_LIMIT}")
    return PageQuery(
        default.limit if limit is None else int(limit),
        "asc" if order == "asc" else "desc",
        after,
    )


def item_page(exchange: Exchange, query: PageQuery) -> Json:
    """Return a page of the items that the response of `exchange` was made from.

    Raises `RequestError` if there is no item with the id `after`.
    """
    items = [*_whole_input(exchange)]
    if query.order == "desc":
        items.reverse()
    start = 0
    if query.after is not None:
        ids = [item["id"] for item in items]
        if query.after not in ids:
            raise _invalid("after", "there is no such item")
        start = ids.index(query.after) + 1
    page = items[start : start + query.limit]
    return {
        "object": "list",
        "data": [_listed(item) for item in page],
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < len(items),
    }


def _whole_input(last: Exchange) -> Iterator[Json]:
    """Yield the items that the response of the `last` exchange was made from, in order.

    An item without an id gets one that is the same every time.
    """
    for exchange in last.chain():
        output = () if exchange is last else exchange.output
        for position, item in enumerate(decoded((*exchange.input, *output))):
            kind = item.get("type") or "message"
            given = item.get("id")
            made = short_id(prefix_of(kind), f"{exchange.id} {position}")
            yield {**item, "type": kind, "id": given if isinstance(given, str) else made}


def _listed(item: Json) -> Json:
    """Return the item in OpenAI's full form, in which the content of a message is always a list."""
    content = item.get("content")
    if item["type"] != "message" or not isinstance(content, str):
        return item
    part: Json = {"type": "input_text", "text": content}
    if item.get("role") == "assistant":
        part = {"type": "output_text", "text": content, "annotations": []}
    return {"status": "completed", **item, "content": [part]}


def _invalid(param: str, problem: str) -> RequestError:
    return RequestError(
        f"Invalid value for '{param}': {problem}.", param=param, code="invalid_value"
    )
