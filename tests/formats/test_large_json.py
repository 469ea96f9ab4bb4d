"""Large bodies are processed like small ones, and the number of their values is limited."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.errors import RequestError
from copilot_proxy.formats import large_json
from copilot_proxy.formats.large_json import check_value_count, encode_json
from copilot_proxy.formats.request_json import parse_json
from tests.selection import examples

TEXTS = st.lists(
    st.sampled_from([*'a"\\/,[{é\n\u2028\0😀', "\\u00e9", "\\ud83d", "long" * 5]), max_size=30
).map("".join)
VALUES = st.recursive(
    TEXTS | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Any:
    """Treat every body as large, and split it into pieces that are as small as possible."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("copilot_proxy.formats.request_json.LARGE", 0)
        patch.setattr(large_json, "_LONG", 8)
        patch.setattr(large_json, "_PIECE", 14)
        yield


@examples(300)
@given(VALUES, st.booleans())
def test_large_bodies_are_decoded_like_small_ones(value: Any, ascii_only: bool) -> None:
    """Splitting into pieces breaks neither characters nor escapes."""
    body = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert value == parse_json(body)


@examples(300)
@given(VALUES)
def test_large_bodies_are_encoded_like_small_ones(value: Any) -> None:
    """Text encoded in pieces results in the same JSON as text encoded all at once."""
    assert msgspec.json.encode(value) == encode_json(value, large_json.LARGE)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'["aaaaaaaaaaaaa\ud83d\ude00\ud83dbbbbbbbbbbb"]', "a" * 13 + "😀\ufffd" + "b" * 11),
        (rb'["\ud800\ud800\ud800\ud800\ud800\udc00"]', "\ufffd" * 4 + "\U00010000"),
        (rb'["\\\\\\\\\\\\\\\\uD800\\\\\\\\"]', "\\" * 8 + "uD800" + "\\" * 4),
    ],
)
def test_surrogates_at_the_end_of_pieces(body: bytes, expected: str) -> None:
    """Split surrogate pairs stay together, and a lone surrogate is replaced."""
    assert [expected] == parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b'["aaaaaaaaaaaaaaaaaaaaa',
        b'["aaaaaaaaaaaaaaa\\x"]',
        b'["aaaaaaaaaaaaaaa\\u12"]',
        b'["aaaaaaaaaaaaaaaa\n"]',
        b'["aaaaaaaaaaaaaaaa\xff\xfe"]',
        b'{"aaaaaaaaaaaaaaaaaaaaaaaa"}',
        b'["aaaaaaaaaaaaaaaaaaaaaaaa", }',
        b"[" * 5000 + b'"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"' + b"]" * 5000,
    ],
)
def test_broken_bodies_are_refused(body: bytes) -> None:
    """A large body that is not JSON gets the same error as a small body."""
    with pytest.raises(RequestError):
        parse_json(body)


@examples(300)
@given(VALUES, st.integers(0, 40))
def test_values_are_counted(value: Any, limit: int) -> None:
    """Commas and brackets inside strings do not count as values."""
    body = json.dumps(value, separators=(",", ":")).encode()
    count = _count(value)

    if count > limit:
        with pytest.raises(RequestError) as caught:
            check_value_count(body, limit)
        assert 413 == caught.value.status
    else:
        check_value_count(body, limit)


def _count(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 0
    inner = value if isinstance(value, list) else value.values()
    return 1 + max(0, len(value) - 1) + sum(map(_count, inner))
