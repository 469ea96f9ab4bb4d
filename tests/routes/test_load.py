"""Many simultaneous streams, and clients that read slowly or not at all.

Both ends of every connection are in this process: the 500 streams of CI need more than 2,000 open
files.
"""

import asyncio
import json
import random
import socket
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.flat_out import FlatOut, Pieces
from tests.selection import amount

STREAMS, PIECES = amount(in_ci=500, elsewhere=150), 12
OPEN_FILES = 2_600
HUGE = 24 * 1024 * 1024
PIECE = 32 * 1024
MAX_IN_TRANSIT = 4 * 1024 * 1024
"""Bytes that may be in transit while the client does not read, mostly in system buffers."""


@pytest.fixture
def open_files() -> Iterator[None]:
    """Raise the limit on open files for the test, or skip the test."""
    if sys.platform == "win32":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < OPEN_FILES:
        pytest.skip(f"needs {OPEN_FILES} open files; the system allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def piece(name: str, number: int) -> str:
    """Return text that is unique to a stream, with characters of every width."""
    dice = random.Random(f"{name} {number}")
    return f"<{name}.{number}>" + "".join(dice.choices('aä€😀"\\\n\t ', k=dice.randrange(1, 60)))


def a_few(name: str) -> Pieces:
    return lambda number: piece(name, number) if number < PIECES else None


def a_lot(name: str) -> Pieces:
    """Return far more data than all buffers can hold."""
    return lambda number: f"{number:08}".ljust(PIECE, name[0]) if number < HUGE // PIECE else None


def whole(pieces: Pieces) -> str:
    texts, number = [], 0
    while (text := pieces(number)) is not None:
        texts.append(text)
        number += 1
    return "".join(texts)


def request(name: str) -> bytes:
    body = json.dumps(
        {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": name}]}
    ).encode()
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def content(answer: bytes) -> str:
    """Return the text of a raw HTTP response; fail if any event is invalid."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    body = bytearray()
    at = 0
    while True:
        end = rest.index(b"\r\n", at)
        size = int(rest[at:end], 16)
        body += rest[end + 2 : end + 2 + size]
        at = end + 4 + size
        if size == 0:
            break
    events = [event.removeprefix("data: ") for event in body.decode().split("\n\n")]
    assert ["[DONE]", ""] == events[-2:]
    chunks = [json.loads(event) for event in events[:-2] if not event.startswith(":")]
    assert 1 == len({chunk["id"] for chunk in chunks})
    return "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)


def address_of(proxy: Proxy) -> tuple[str, int]:
    address = urlsplit(proxy.url)
    return address.hostname or "", address.port or 0


def connected(proxy: Proxy) -> socket.socket:
    """Connect a client with a small receive buffer."""
    conn = socket.socket()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    conn.settimeout(60)
    conn.connect(address_of(proxy))
    return conn


def all_of(conn: socket.socket) -> bytes:
    read = bytearray()
    while part := conn.recv(1 << 20):
        read += part
    return bytes(read)


def behind(simulator: Simulator, upstream: FlatOut, **flags: object) -> Proxy:
    return Proxy(settings_at(simulator, copilot_api_url=upstream.url, **flags))


@pytest.mark.usefixtures("open_files")
def test_many_streams(simulator: Simulator) -> None:
    """All simultaneous streams arrive complete, and no two are mixed up."""
    names = [f"s{number}" for number in range(STREAMS)]

    async def read(name: str) -> str:
        reader, writer = await asyncio.open_connection(*where)
        try:
            writer.write(request(name))
            return content(await reader.read())
        finally:
            writer.close()

    async def read_all() -> list[str]:
        return await asyncio.gather(*map(read, names))

    with FlatOut(a_few, together=STREAMS) as upstream, behind(simulator, upstream) as proxy:
        where = address_of(proxy)
        answers = asyncio.run(read_all())
        proxy.wait_for_record(STREAMS)

    wrong = [name for name, text in zip(names, answers, strict=True) if text != whole(a_few(name))]
    assert [] == wrong
    assert {(200, None, False)} == {(r.status, r.error, r.client_gone) for r in proxy.records}


def test_a_slow_reader_delays_only_its_own_stream(simulator: Simulator) -> None:
    """If a client stops reading, the server waits and others continue; no byte is lost."""
    with (
        FlatOut(a_lot) as upstream,
        behind(simulator, upstream) as proxy,
        connected(proxy) as slow,
    ):
        slow.sendall(request("slow"))
        begun = slow.recv(1000)
        for name in ("fast", "next"):
            with connected(proxy) as fast:
                fast.sendall(request(name))
                assert whole(a_lot(name)) == content(all_of(fast))
        taken = upstream.streams["slow"].taken
        assert taken < MAX_IN_TRANSIT
        assert whole(a_lot("slow")) == content(begun + all_of(slow))

    assert upstream.streams["slow"].written > HUGE


def test_a_client_that_never_reads(simulator: Simulator) -> None:
    """A client that never reads is disconnected, and its call to Copilot ends."""
    with (
        FlatOut(a_lot) as upstream,
        behind(simulator, upstream, read_timeout=0.3) as proxy,
        connected(proxy) as conn,
    ):
        conn.sendall(request("never"))
        record = proxy.wait_for_record()
        assert upstream.streams["never"].ended.wait(60)
        with pytest.raises((ConnectionResetError, ValueError)):
            content(all_of(conn))

    assert record.client_gone
    assert upstream.streams["never"].written < HUGE
