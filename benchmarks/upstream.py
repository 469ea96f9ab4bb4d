"""A fake Copilot that is fast enough never to be the bottleneck: `python -m benchmarks.upstream`.

A bare asyncio protocol that sends prepared bytes. It serves GitHub (token exchange) and Copilot
(models, three chat APIs) on one port. The prompt says what to send (`marks.PROMPT`). Unlike the
simulator, it checks nothing. Once it is listening, it prints one line of JSON,
`{"url": ..., "certificates": ...}`; `GET /_bench` returns its statistics.
"""

import argparse
import asyncio
import json
import re
import ssl
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import httptools

from benchmarks.marks import PROMPT, mark
from benchmarks.upstream_answers import MODELS, SHAPES, Shape

_BATCH: Final = 1
"""Events per write, in a stream without a rate."""
_STREAMS: Final = re.compile(rb'"stream":\s*true')
_QUOTA: Final = (
    b"x-quota-snapshot-premium_interactions: ent=1500&ov=0.0&ovPerm=false&rem=87.3&tbb=true"
    b"&rst=2100-01-01T00%3A00%3A00Z\r\nx-github-request-id: 0A1B:2C3D:4E5F:6071:8293\r\n"
)
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    + _QUOTA
    + b"x-request-id: 8f2c1d9e-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def _flat(path: str, count: int) -> list[bytes]:
    """Return an entire stream as writes of `_BATCH` events each.

    Every event is a separate chunk, as if the server sent each one immediately.
    """
    shape = SHAPES[path]
    events = [_chunk(shape.event(index, mark(index))) for index in range(count)]
    batches = [b"".join(events[at : at + _BATCH]) for at in range(0, count, _BATCH)]
    text = b"".join(map(mark, range(count)))
    return [*batches, _chunk(shape.end(text)) + b"0\r\n\r\n"]


class Stats:
    """The upstream's counters, and when connections with an open stream were closed."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests = 0
        self.streams = 0
        self.events = 0
        self.closed: dict[int, int] = {}
        """Stream number -> nanoseconds of CLOCK_MONOTONIC."""

    def encode(self) -> bytes:
        """Return the statistics as JSON, for the load client."""
        shown = {name: value for name, value in vars(self).items() if name != "url"}
        return json.dumps(shown).encode()


class _Stream:
    """Writes one stream to its connection."""

    def __init__(self, protocol: "Upstream", path: str, rate: int, count: int, number: int) -> None:
        self._protocol = protocol
        self._path = path
        self._shape: Shape = SHAPES[path]
        self._rate = rate
        self._count = count
        self.number = number
        self._index = 0
        self._text: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()

    def start(self) -> None:
        self._protocol.write(_STREAM_HEAD + _chunk(self._shape.head))
        if self._rate:
            self._send_next()
        else:
            self._write_available()

    def _write_available(self) -> None:
        """Write as much as the connection accepts."""
        batches = _flat(self._path, self._count)
        while self._index < len(batches) and not self._protocol.is_paused:
            self._protocol.write(batches[self._index])
            self._index += 1
        if self._index == len(batches):
            self._protocol.stats.events += self._count
            self._protocol.ended()

    def resume(self) -> None:
        if not self._rate:
            self._write_available()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _send_next(self) -> None:
        text = mark(self._index, time.monotonic_ns())
        self._text.append(text)
        event = _chunk(self._shape.event(self._index, text))
        self._index += 1
        self._protocol.stats.events += 1
        if self._index < self._count:
            self._protocol.write(event)
            due = self._started_at + self._index / self._rate
            self._timer = self._loop.call_at(due, self._send_next)
            return
        end = _chunk(self._shape.end(b"".join(self._text)))
        self._protocol.write(event + end + b"0\r\n\r\n")
        self._protocol.ended()


class Upstream(asyncio.Protocol):
    """A connection from the proxy."""

    def __init__(self, stats: Stats) -> None:
        self.stats = stats
        self.is_paused = False
        self._path = ""
        self._body: list[bytes] = []
        self._stream: _Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self._parser = httptools.HttpRequestParser(self)
        self.stats.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.stats.connections -= 1
        if self._stream is not None:
            self.stats.closed[self._stream.number] = time.monotonic_ns()
            self._stream.stop()
            self.ended()

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        if self._stream is not None:
            self._stream.resume()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body.clear()

    def on_url(self, url: bytes) -> None:
        self._path = url.decode().partition("?")[0]

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.stats.requests += 1
        path = self._path
        if path not in SHAPES:
            path = path.removeprefix("/v1")  # the path of OpenAI's own API
        if path in SHAPES:
            self._answer(path, b"".join(self._body))
        elif path == "/_bench":
            self._json(self.stats.encode())
        elif path.endswith("/models"):
            self._json(MODELS)
        elif path.startswith("/copilot_internal/"):
            self._json(self._token())
        else:
            self._json(b'{"login": "bench", "id": 1}')

    def ended(self) -> None:
        """Forget the stream, which has completed or was cut off."""
        self._stream = None
        self.stats.streams -= 1

    def _answer(self, path: str, body: bytes) -> None:
        prompt = PROMPT.search(body)
        rate, count, number = map(int, prompt.groups()) if prompt else (0, 1, 0)
        if not _STREAMS.search(body):
            self._json(SHAPES[path].whole(number))
            return
        self.stats.streams += 1
        self._stream = _Stream(self, path, rate, count, number)
        self._stream.start()

    def _json(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        self.write(head % len(body) + _QUOTA + b"\r\n" + body)

    def _token(self) -> bytes:
        token: dict[str, Any] = {
            "token": "tid=be2c;exp=4102444800;sku=copilot_for_business_seat;chat=1:9f8e",
            "expires_at": 4102444800,
            "refresh_in": 86400,
            "sku": "copilot_for_business_seat",
            "endpoints": {"api": self.stats.url},
        }
        return json.dumps(token).encode()


def _certificates(folder: Path) -> ssl.SSLContext:
    """Return a TLS context for loopback, and write its certificate authority to
    `folder`/authority.pem."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def _serve(port: int, folder: Path | None) -> None:
    stats = Stats()
    context = _certificates(folder) if folder else None
    loop = asyncio.get_running_loop()

    async def listen(port: int, context: ssl.SSLContext | None) -> str:
        server = await loop.create_server(
            lambda: Upstream(stats), "127.0.0.1", port, ssl=context, backlog=2048
        )
        port = server.sockets[0].getsockname()[1]
        return f"{'https' if context else 'http'}://127.0.0.1:{port}"

    stats.url = await listen(port, context)
    plain = await listen(0, None) if context else stats.url
    authority = str(folder / "authority.pem") if folder else None
    address = {"url": stats.url, "certificates": authority, "plain": plain}
    print(json.dumps(address), flush=True)
    # Standard input is closed when the harness ends, even if it is killed.
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--tls", type=Path, metavar="FOLDER", help="use TLS, and write authority.pem there"
    )
    options = parser.parse_args()
    from benchmarks.processes import new_loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(options.port, options.tls))


if __name__ == "__main__":
    main()
