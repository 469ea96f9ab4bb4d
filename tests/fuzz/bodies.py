"""Malformed request bodies as bytes: odd JSON, almost valid JSON, and other data."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import strategies as st

from copilot_proxy.formats.types import ClientRequest

Draw = Callable[[st.SearchStrategy[Any]], Any]

ANY_TEXT: Final = st.text(st.characters(exclude_categories=()), max_size=8)
"""Any text, including lone surrogates and NUL."""
SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([10**400, -(2**63) - 1, 2**64, 1e308, -0.0, 5e-324, 0.5]),
    st.floats(),  # including NaN and infinities, which Python can write
    ANY_TEXT,
    st.sampled_from(["", "user", "auto", "data:image/png;base64,AAAA", "https://example.com/a"]),
)
VALUES: Final = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each object or list within `value`, with each of its keys or indices."""
    keys: Any = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@st.composite
def changed(draw: Draw, valid: list[ClientRequest]) -> ClientRequest:
    """Return a valid value with up to three parts replaced, removed or moved."""
    value: ClientRequest = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(value))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        match draw(st.sampled_from(["replace", "replace", "remove", "wrap", "exchange", "deepen"])):
            case "replace":
                holder[key] = draw(VALUES)
            case "remove":
                del holder[key]
            case "wrap":
                holder[key] = [holder[key]]
            case "exchange":
                other, place = draw(st.sampled_from(found))
                holder[key] = copy.deepcopy(other.get(place) if isinstance(other, dict) else other)
            case "deepen":
                for _ in range(draw(st.sampled_from([50, 300]))):
                    holder[key] = {"a": holder[key]}
    return value


def like(value: Any) -> st.SearchStrategy[Any]:
    """Return values of the same type as `value`; objects and lists may contain any values."""
    match value:
        case bool():
            return st.booleans()
        case str():
            return ANY_TEXT
        case int() | float():
            return st.integers(0, 5000) | st.sampled_from([0.5, 1e308, 2**64])
        case _:
            return VALUES


@st.composite
def nudged(draw: Draw, valid: list[ClientRequest]) -> ClientRequest:
    """Return a valid value with small changes that may keep it valid."""
    value: ClientRequest = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from([p for p in places(value) if p[1] != "model"]))
        if isinstance(holder, dict) and draw(st.booleans()):
            holder[draw(ANY_TEXT)] = draw(VALUES)
        elif isinstance(holder[key], dict | list):
            holder[key] = draw(st.sampled_from([None, [], {}, copy.deepcopy(holder[key])]))
        else:
            holder[key] = draw(like(holder[key]))
    return value


@st.composite
def written(draw: Draw, values: st.SearchStrategy[Any]) -> bytes:
    """Return a value as JSON, mostly in UTF-8, but also wrongly encoded, cut, mixed or repeated."""
    text = json.dumps(draw(values))
    match draw(st.sampled_from(["plain"] * 5 + ["raw", "utf-16", "bom", "twice", "cut", "noise"])):
        case "raw":
            return json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "surrogatepass")
        case "utf-16":
            return text.encode("utf-16")
        case "bom":
            return text.encode("utf-8-sig")
        case "twice" if text.startswith('{"'):
            return f"{text[:-1]},{text[1:]}".encode()
        case "cut":
            return text[: draw(st.integers(0, len(text)))].encode()
        case "noise":
            data = bytearray(text.encode())
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
            return bytes(data)
        case _:
            return text.encode()


NESTED: Final = st.sampled_from(
    [b"[" * 50_000, b'{"model":' * 5_000, b'{"a":[' * 900 + b"]}" * 900]
)


JSON_HEADERS: Final = {"content-type": "application/json"}
HEADERS: Final = st.sampled_from(
    [
        JSON_HEADERS,
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "\xff/\xfe;;=,"},
        {**JSON_HEADERS, "content-encoding": "gzip"},
        {**JSON_HEADERS, "content-encoding": "deflate"},
    ]
)
Sent = tuple[bytes, dict[str, str]]


def sent(valid: list[ClientRequest]) -> st.SearchStrategy[Sent]:
    """Return bodies and headers for a route that accepts the `valid` bodies.

    About half of the bodies are valid, a quarter almost valid, and the rest arbitrary.
    """
    nudge = st.tuples(nudged(valid).map(_plain), st.just(JSON_HEADERS))
    change = st.tuples(changed(valid).map(_plain), st.just(JSON_HEADERS))
    odd = st.tuples(written(changed(valid)) | written(VALUES), HEADERS)
    junk = st.tuples(st.binary(max_size=40) | NESTED, HEADERS)
    return st.one_of(nudge, nudge, nudge, nudge, change, change, odd, junk)


def _plain(value: ClientRequest) -> bytes:
    return json.dumps(value).encode()
