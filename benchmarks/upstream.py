"""A fake Copilot that is never the bottleneck: `python -m benchmarks.upstream`.

One process, a bare asyncio protocol, prepared bytes. It is GitHub (token exchange) and Copilot
(models, three chat APIs) on one port. The prompt says what to send (`marks.ORDER`). It is no
simulator: it checks nothing. It prints one line of JSON, `{"url": ..., "certificates": ...}`, when
it listens; `GET /_bench` tells what it saw.
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

from benchmarks.marks import ORDER, mark
from benchmarks.upstream_answers import MODELS, SHAPES, Shape

_BATCH: Final = 1
"""Events in one write of a stream that goes as fast as it can."""
_STREAMS: Final = re.compile(rb'"stream":\s*true')
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"x-request-id: 8f2c1d9e-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n\r\n"
)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def _flat(path: str, count: int) -> list[bytes]:
    """A whole stream as writes of `_BATCH` events each; every event is a chunk of its own, as from
    a server that sends each as soon as it has it."""
    shape = SHAPES[path]
    events = [_chunk(shape.event(place, mark(place))) for place in range(count)]
    batches = [b"".join(events[at : at + _BATCH]) for at in range(0, count, _BATCH)]
    text = b"".join(map(mark, range(count)))
    return [*batches, _chunk(shape.end(text)) + b"0\r\n\r\n"]


class Seen:
    """What the upstream saw: counts, and when connections with an open stream were closed."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.requests = 0
        self.streams = 0
        self.events = 0
        self.closed: dict[int, int] = {}
        """Number of a stream -> nanoseconds of CLOCK_MONOTONIC."""

    def told(self) -> bytes:
        """As JSON, for the load client."""
        shown = {name: value for name, value in vars(self).items() if name != "url"}
        return json.dumps(shown).encode()


class _Stream:
    """One stream on its way to one connection."""

    def __init__(self, protocol: "Upstream", path: str, rate: int, count: int, number: int) -> None:
        self._protocol = protocol
        self._path = path
        self._shape: Shape = SHAPES[path]
        self._rate = rate
        self._count = count
        self.number = number
        self._place = 0
        self._text: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def begin(self) -> None:
        self._protocol.write(_STREAM_HEAD + _chunk(self._shape.head))
        if self._rate:
            self._beat()
        else:
            self.pour()

    def pour(self) -> None:
        """Writes as much as the connection takes."""
        batches = _flat(self._path, self._count)
        while self._place < len(batches) and not self._protocol.is_paused:
            self._protocol.write(batches[self._place])
            self._place += 1
        if self._place == len(batches):
            self._protocol.seen.events += self._count
            self._protocol.ended()

    def resume(self) -> None:
        if not self._rate:
            self.pour()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        text = mark(self._place, time.monotonic_ns())
        self._text.append(text)
        event = _chunk(self._shape.event(self._place, text))
        self._place += 1
        self._protocol.seen.events += 1
        if self._place < self._count:
            self._protocol.write(event)
            due = self._began + self._place / self._rate
            self._timer = self._loop.call_at(due, self._beat)
            return
        end = _chunk(self._shape.end(b"".join(self._text)))
        self._protocol.write(event + end + b"0\r\n\r\n")
        self._protocol.ended()


class Upstream(asyncio.Protocol):
    """One connection of a proxy's."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.is_paused = False
        self._path = ""
        self._body: list[bytes] = []
        self._stream: _Stream | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        self.write = self._transport.write
        self._parser = httptools.HttpRequestParser(self)
        self.seen.connections += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.seen.connections -= 1
        if self._stream is not None:
            self.seen.closed[self._stream.number] = time.monotonic_ns()
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
        self.seen.requests += 1
        path = self._path
        if path == "/v1/chat/completions":  # as OpenAI's own API would be asked
            path = "/chat/completions"
        if path in SHAPES:
            self._answer(path, b"".join(self._body))
        elif path == "/_bench":
            self._json(self.seen.told())
        elif path.endswith("/models"):
            self._json(MODELS)
        elif path.startswith("/copilot_internal/"):
            self._json(self._token())
        else:
            self._json(b'{"login": "bench", "id": 1}')

    def ended(self) -> None:
        """The open stream is over, one way or another."""
        self._stream = None
        self.seen.streams -= 1

    def _answer(self, path: str, body: bytes) -> None:
        asked = ORDER.search(body)
        rate, count, number = map(int, asked.groups()) if asked else (0, 1, 0)
        if not _STREAMS.search(body):
            self._json(SHAPES[path].whole(number))
            return
        self.seen.streams += 1
        self._stream = _Stream(self, path, rate, count, number)
        self._stream.begin()

    def _json(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.write(head % len(body) + body)

    def _token(self) -> bytes:
        token: dict[str, Any] = {
            "token": "tid=be2c;exp=4102444800;sku=copilot_for_business_seat;chat=1:9f8e",
            "expires_at": 4102444800,
            "refresh_in": 86400,
            "sku": "copilot_for_business_seat",
            "endpoints": {"api": self.seen.url},
        }
        return json.dumps(token).encode()


def _certificates(folder: Path) -> ssl.SSLContext:
    """A context for loopback, and its authority in `folder`/authority.pem."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def _serve(port: int, folder: Path | None) -> None:
    seen = Seen()
    context = _certificates(folder) if folder else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Upstream(seen), "127.0.0.1", port, ssl=context, backlog=2048
    )
    port = server.sockets[0].getsockname()[1]
    seen.url = f"{'https' if context else 'http'}://127.0.0.1:{port}"
    authority = str(folder / "authority.pem") if folder else None
    print(json.dumps({"url": seen.url, "certificates": authority}), flush=True)
    # Ends with the harness that started it, however that ends.
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serves until standard input is closed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", type=Path, metavar="FOLDER", help="speak TLS; authority.pem there")
    given = parser.parse_args()
    from benchmarks.processes import new_loop

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_serve(given.port, given.tls))


if __name__ == "__main__":
    main()
