"""Compressed answers from Copilot: every encoding, and small bodies that expand endlessly."""

import asyncio
import gzip
import zlib
from collections.abc import Mapping
from typing import Any, cast

import pytest

from copilot_proxy.errors import BrokenResponse
from copilot_proxy.upstreams.http.response import CopilotResponse, body_reader
from copilot_proxy.upstreams.http.transport import HttpResponse

pytestmark = pytest.mark.anyio


class _Answer:
    """A response whose whole body arrives in one piece."""

    status = 200

    def __init__(self, body: bytes, encoding: str) -> None:
        self.headers: Mapping[str, str] = {
            "content-type": "application/json",
            "content-encoding": encoding,
        }
        self._pieces = [body]

    async def read(self) -> bytes:
        return self._pieces.pop() if self._pieces else b""

    async def aclose(self) -> None:
        pass


def _bomb(encoding: str) -> HttpResponse:
    pack = zlib.compressobj(1, zlib.DEFLATED, 31 if "gzip" in encoding else 15)
    packed = b"".join([pack.compress(bytes(2**20)) for _ in range(100)]) + pack.flush()
    return cast("HttpResponse", _Answer(packed, encoding))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_expands_endlessly(encoding: str) -> None:
    """The body is decompressed in small chunks up to the limit, and other requests continue."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    read = body_reader(_bomb(encoding))
    assert 2**16 >= len(await read())
    other = asyncio.create_task(others())
    response = CopilotResponse(_bomb(encoding), stream_requested=False)
    with pytest.raises(BrokenResponse, match="larger than 64 MiB"):
        await response.whole()
    other.cancel()
    assert turns > 10


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"a": 1}', mtime=0)),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("Deflate, GZIP", gzip.compress(zlib.compress(b'{"a": 1}'), mtime=0)),
        ("identity", b'{"a": 1}'),
    ],
)
async def test_encodings(encoding: str, body: bytes) -> None:
    """Each encoding is supported, alone or combined with others."""
    answer = cast("HttpResponse", _Answer(body, encoding))
    expected: Any = {"a": 1}
    assert expected == await CopilotResponse(answer, stream_requested=False).whole()
