"""The response store: its limits, its callers, and the data that later responses keep alive."""

from typing import Any

import pytest

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.responses.item_pages import PageQuery, item_page, parse_query
from copilot_proxy.formats.responses.remembered_items import (
    decoded,
    encoded,
    response_of,
    stored_response,
)
from copilot_proxy.formats.responses.response_store import Exchange, ResponseStore, StoredResponse

Json = dict[str, Any]


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def answered(
    id: str, asked: str = "Hi", said: str = "Hello", previous: StoredResponse | None = None
) -> StoredResponse:
    """Return a response with one input message and one output message."""
    item = {"role": "user", "content": asked}
    out = {"id": f"msg_{id}", "type": "message", "role": "assistant", "content": said}
    before = previous.exchange if previous else None
    return stored_response({"id": id, "output": [out]}, before, encoded([item]))


def said(response: StoredResponse) -> list[str]:
    """Return the texts of a response's whole conversation."""
    return [item["content"] for item in decoded(response.exchange.history())]


def test_only_its_caller_finds_a_response() -> None:
    """Neither the response nor its items exist for any other caller."""
    store = ResponseStore()
    store.store(b"a", answered("resp_1"))

    assert store.find(b"b", "resp_1") is None
    assert store.find_item(b"b", "msg_resp_1") is None
    assert not store.forget(b"b", "resp_1")
    found = store.find(b"a", "resp_1")
    assert found is not None
    assert "Hello" == response_of(found)["output"][0]["content"]
    assert store.find_item(b"a", "msg_resp_1") is not None


def test_responses_expire() -> None:
    """Responses that are not used are forgotten; each use restarts their timeout."""
    clock = Clock()
    store = ResponseStore(seconds=10, now=clock)
    store.store(b"", answered("resp_1"))
    store.store(b"", answered("resp_2"))
    clock.time = 6
    assert store.find_item(b"", "msg_resp_1")
    clock.time = 12

    assert store.find(b"", "resp_1")
    assert store.find(b"", "resp_2") is None
    assert store.find_item(b"", "msg_resp_2") is None
    clock.time = 30
    store.find(b"", "other")
    assert (0, 0) == (store.count, store.size)


def test_the_number_of_responses_is_bounded() -> None:
    """The least recently used response is removed first."""
    store = ResponseStore(responses=2)
    store.store(b"", answered("resp_1"))
    store.store(b"", answered("resp_2"))
    store.find(b"", "resp_1")
    store.store(b"", answered("resp_3"))

    kept = [id for id in ("resp_1", "resp_2", "resp_3") if store.find(b"", id)]
    assert ["resp_1", "resp_3"] == kept


def test_the_bytes_are_bounded() -> None:
    """Responses that are too large, alone or together, are not kept."""
    store = ResponseStore(size=10_000)
    for number in range(5):
        store.store(b"", answered(f"resp_{number}", said="x" * 3000))
        assert store.size <= 10_000
    assert store.find(b"", "resp_0") is None
    assert store.find(b"", "resp_4")

    store.store(b"", answered("huge", said="x" * 10_000))
    assert store.find(b"", "huge") is None
    assert store.find(b"", "resp_4")
    for id in ("resp_3", "resp_4"):
        store.forget(b"", id)
    assert (0, 0) == (store.count, store.size)


def test_a_conversation_outlives_its_first_responses() -> None:
    """A later response keeps a single copy of earlier exchanges until it is forgotten itself."""
    store = ResponseStore(responses=2)
    response: StoredResponse | None = None
    sizes = []
    for number in range(50):
        response = answered(f"resp_{number}", f"q{number}", f"a{number}", response)
        store.store(b"", response)
        sizes.append(store.size)

    assert response is not None
    assert [text for n in range(50) for text in (f"q{n}", f"a{n}")] == said(response)
    assert store.find(b"", "resp_3") is None
    # All exchanges have about the same size, so nothing is stored twice.
    assert sizes[49] < 26 * sizes[1]
    for id in ("resp_48", "resp_49"):
        store.forget(b"", id)
    assert 0 == store.size


def test_branches_share_their_beginning() -> None:
    """Two responses may continue the same response, and each keeps its own end."""
    store = ResponseStore()
    first = answered("resp_1")
    left, right = answered("resp_l", "left", "L", first), answered("resp_r", "right", "R", first)
    for response in (first, left, right):
        store.store(b"", response)
    store.forget(b"", "resp_1")
    store.forget(b"", "resp_l")

    assert ["Hi", "Hello", "right", "R"] == said(right)
    store.forget(b"", "resp_r")
    assert 0 == store.size


def test_pages_of_items() -> None:
    """Pages follow each other in both orders; messages have lists of parts."""
    first = answered("resp_1", "one", "two")
    items = answered("resp_2", "three", "four", first).exchange

    page = item_page(items, PageQuery(limit=2))
    rest = item_page(items, PageQuery(limit=2, after=page["last_id"]))

    assert ["three", "two", "one"] == [
        item["content"][0]["text"] for item in (*page["data"], *rest["data"])
    ]
    assert [(True, page["data"][0]["id"]), (False, rest["data"][0]["id"])] == [
        (one["has_more"], one["first_id"]) for one in (page, rest)
    ]
    ascending = item_page(items, PageQuery(order="asc"))
    assert ["input_text", "output_text", "input_text"] == [
        item["content"][0]["type"] for item in ascending["data"]
    ]
    nothing = item_page(Exchange("resp_3", None, [], []), PageQuery())
    assert (None, None, []) == tuple(nothing[name] for name in ("first_id", "last_id", "data"))
    with pytest.raises(RequestError):
        item_page(items, PageQuery(after="msg_other"))


@pytest.mark.parametrize(
    "given", [("0", None), ("101", None), ("-1", None), ("x", None), ("1000000", None),
              (None, "up")],
)  # fmt: skip
def test_invalid_queries_are_refused(given: tuple[str | None, str | None]) -> None:
    """The limits are the same as OpenAI's."""
    with pytest.raises(RequestError):
        parse_query(*given, None)
