"""Bodies that come packed, of any number of members, cut anywhere."""

import gzip
import tracemalloc
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given

from copilot_proxy.formats.packed import CHUNK_SIZE, MAX_MEMBERS, Unpacker


@given(
    st.lists(st.binary(max_size=20) | st.just(b"x" * 3 * CHUNK_SIZE), min_size=1, max_size=5),
    st.integers(1, 999),
)
def test_members_are_one_body(members: list[bytes], size: int) -> None:
    """Wherever the pieces are cut that they come in."""
    packed = b"".join(map(gzip.compress, members))
    unpacker = Unpacker("gzip")
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    plain = [part for piece in pieces for part in unpacker.feed(piece)]

    assert b"".join(members) == b"".join(plain)
    assert unpacker.is_complete
    assert all(0 < len(part) <= CHUNK_SIZE for part in plain)


@pytest.mark.parametrize("behind", [b"garbage", b"\0\0", zlib.compress(b"x")])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_nothing_else_may_follow(encoding: str, behind: bytes) -> None:
    """What stands behind the end is no part of the body, so it is none."""
    packed = gzip.compress(b"x") if encoding == "gzip" else zlib.compress(b"x")
    with pytest.raises(zlib.error):
        list(Unpacker(encoding).feed(packed + behind))


def test_the_beginning_of_a_member_is_no_end() -> None:
    """What is cut is not complete, though all before it was."""
    unpacker = Unpacker("gzip")

    assert [b"x"] == list(unpacker.feed(gzip.compress(b"x") + gzip.compress(b"y")[:9]))
    assert not unpacker.is_complete


def test_a_body_has_so_many_members() -> None:
    """Each costs some time, however small it is."""
    packed = gzip.compress(b"") * MAX_MEMBERS

    assert [] == list(Unpacker("gzip").feed(packed))
    with pytest.raises(zlib.error):
        list(Unpacker("gzip").feed(packed + gzip.compress(b"")))


def test_little_that_unpacks_to_much_is_given_in_pieces() -> None:
    """So that whoever has a limit can stop in time."""
    packed = gzip.compress(b" " * 50_000_000)
    unpacker = Unpacker("gzip")
    tracemalloc.start()
    sizes = [len(part) for part in unpacker.feed(packed)]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 50_000_000 == sum(sizes)
    assert most < 1_000_000
