"""Compressed bodies, with any number of members, split anywhere."""

import gzip
import tracemalloc
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from copilot_proxy.formats.decompression import (
    CHUNK_SIZE,
    MAX_MEMBERS,
    DecompressionError,
    Decompressor,
)


@given(
    st.lists(st.binary(max_size=20) | st.just(b"x" * 3 * CHUNK_SIZE), min_size=1, max_size=5),
    st.integers(1, 999),
)
def test_members_are_one_body(members: list[bytes], size: int) -> None:
    """The contents of all members are joined, wherever the body is split."""
    packed = b"".join(map(gzip.compress, members))
    decompressor = Decompressor("gzip")
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    plain = [part for piece in pieces for part in decompressor.feed(piece)]

    assert b"".join(members) == b"".join(plain)
    assert decompressor.is_complete
    assert all(0 < len(part) <= CHUNK_SIZE for part in plain)


@pytest.mark.parametrize("behind", [b"garbage", b"\0\0", zlib.compress(b"x")])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_data_after_the_end_is_invalid(encoding: str, behind: bytes) -> None:
    """Data after the end of the body makes it invalid."""
    packed = gzip.compress(b"x") if encoding == "gzip" else zlib.compress(b"x")
    with pytest.raises(DecompressionError):
        list(Decompressor(encoding).feed(packed + behind))


def test_an_incomplete_member_is_not_the_end() -> None:
    """A body with an incomplete last member is not complete."""
    decompressor = Decompressor("gzip")

    assert [b"x"] == list(decompressor.feed(gzip.compress(b"x") + gzip.compress(b"y")[:9]))
    assert not decompressor.is_complete


def test_the_number_of_members_is_limited() -> None:
    """The number of members is limited, since even small ones take time."""
    packed = gzip.compress(b"") * MAX_MEMBERS

    assert [] == list(Decompressor("gzip").feed(packed))
    with pytest.raises(DecompressionError):
        list(Decompressor("gzip").feed(packed + gzip.compress(b"")))


def test_large_contents_are_returned_in_chunks() -> None:
    """Decompressed data comes in chunks, so that the caller can enforce a limit."""
    packed = gzip.compress(b" " * 50_000_000)
    decompressor = Decompressor("gzip")
    tracemalloc.start()
    sizes = [len(part) for part in decompressor.feed(packed)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 50_000_000 == sum(sizes)
    assert peak < 1_000_000
