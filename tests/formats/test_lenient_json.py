"""Slightly invalid JSON is accepted if its meaning is clear."""

from typing import Any

import pytest

from copilot_proxy.formats.lenient_json import decode_leniently


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": [1, "x"]}', {"a": [1, "x"]}),
        (b'["\\ud83d\\ude00", "\\ud83d", "\\ude00x"]', ["😀", "\ufffd", "\ufffdx"]),
        (b'{"\\ud83d": "a\xffb"}', {"\ufffd": "a\ufffdb"}),
        (b"[NaN, Infinity, -Infinity, 1e999, 1.5]", [None, None, None, None, 1.5]),
    ],
)
def test_read(data: bytes, expected: Any) -> None:
    """Lone surrogates are replaced or joined, and NaN and infinite numbers become null."""
    assert expected == decode_leniently(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"hello"])
def test_not_read(data: bytes) -> None:
    """Other invalid JSON is refused."""
    with pytest.raises(ValueError, match=r"."):
        decode_leniently(data)


@pytest.mark.parametrize("data", [b"[NaN]", b"[1e999]", b'["\xff"]'])
def test_not_read_from_a_client(data: bytes) -> None:
    """In client requests, only lone surrogates are accepted."""
    with pytest.raises(ValueError, match=r"."):
        decode_leniently(data, strict=True)
    assert ["\ufffd"] == decode_leniently(b'["\\ud83d"]', strict=True)
