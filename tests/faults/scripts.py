"""Faults that need raw bytes, by name; before the fault, the answer is the simulator's."""

import gzip as packer
from collections.abc import Iterable
from inspect import iscoroutinefunction
from typing import Final

from tests.faults.gateway import Good, Line, Script

CHUNKED: Final = b"transfer-encoding: chunked\r\n\r\n"
UNTIL_CLOSED: Final = b"connection: close\r\n\r\n"
BIG: Final = 20_000_000
"""Size in bytes of the event that exceeds every limit."""


async def reset_before_head(line: Line) -> None:
    line.reset()


async def close_before_head(line: Line) -> None:
    line.close()


async def cut_in_head(line: Line) -> None:
    good = await line.good()
    await line.write(good.head[: len(good.head) // 2])
    line.close()


async def not_http(line: Line) -> None:
    await line.write(b"this is not HTTP\r\n\r\n")
    line.close()


async def huge_head(line: Line) -> None:
    await line.write(b"HTTP/1.1 200 OK\r\nx-padding: " + b"x" * 2_000_000 + b"\r\n" + UNTIL_CLOSED)
    line.close()


async def stall_before_head(line: Line) -> None:
    await line.stall()


async def reset_after_head(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED)
    line.reset()


async def close_after_head(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED)
    line.close()


async def stall_after_head(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED)
    await line.stall()


async def cut_between_events(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, first_half(good)))
    line.close()


async def reset_between_events(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, first_half(good)))
    line.reset()


async def cut_mid_event(line: Line) -> None:
    good = await line.good()
    half = first_half(good)
    torn = good.events[len(half)]
    await line.write(good.head + CHUNKED, *map(chunk, half), chunk(torn[: len(torn) // 2]))
    line.close()


async def end_mid_event(line: Line) -> None:
    good = await line.good()
    half = first_half(good)
    torn = good.events[len(half)]
    await line.write(good.head + UNTIL_CLOSED, *half, torn[: len(torn) // 2])
    line.close()


async def stall_mid_answer(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, first_half(good)))
    await line.stall()


async def cut_after_all(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, good.events))
    line.close()


async def stall_after_all(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, good.events))
    await line.stall()


async def short_length(line: Line) -> None:
    """Content-Length is half the length of the body."""
    good = await line.good()
    half = b"".join(first_half(good))
    await line.write(good.head + length(len(half)) + good.body)
    line.close()


async def long_length(line: Line) -> None:
    """Content-Length is greater than the length of the body."""
    good = await line.good()
    await line.write(good.head + length(len(good.body) + 100) + good.body)
    line.close()


async def bad_chunk(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED, *map(chunk, first_half(good)), b"xyz\r\n")
    line.close()


async def empty(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + length(0))


async def no_content(line: Line) -> None:
    await line.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def white_space(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + length(4) + b"\n\n\n\n")


async def error_object(line: Line) -> None:
    body = b'{"error":{"message":"Something went wrong.","code":"internal_error"}}'
    kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    await line.write(kind + length(len(body)) + body)


async def redirect(line: Line) -> None:
    await line.write(
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/elsewhere\r\n" + length(0)
    )


async def not_modified(line: Line) -> None:
    await line.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")


async def early_hints(line: Line) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n"
    await line.write(hints, hints, *whole(await line.good()))


async def early_continue(line: Line) -> None:
    await line.write(b"HTTP/1.1 100 Continue\r\n\r\n", *whole(await line.good()))


async def doubled_headers(line: Line) -> None:
    good = await line.good()
    again = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in good.headers)
    await line.write(good.head + again + CHUNKED, *map(chunk, good.events), b"0\r\n\r\n")


async def trailers(line: Line) -> None:
    good = await line.good()
    await line.write(
        good.head + b"trailer: x-end\r\n" + CHUNKED,
        *map(chunk, good.events),
        b"0\r\nx-end: yes\r\nx-more: 1\r\n\r\n",
    )


async def http_1_0(line: Line) -> None:
    good = await line.good()
    await line.write(good.head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n", *good.events)
    line.close()


async def one_byte_writes(line: Line) -> None:
    good = await line.good()
    await line.write(good.head + CHUNKED)
    await line.write(*(b"1\r\n%c\r\n" % byte for byte in good.body), b"0\r\n\r\n")


async def odd_writes(line: Line) -> None:
    """Writes end in the middle of events and characters."""
    good = await line.good()
    pieces = [good.body[at : at + 7] for at in range(0, len(good.body), 7)]
    await line.write(good.head + CHUNKED, *map(chunk, pieces), b"0\r\n\r\n")


async def one_write(line: Line) -> None:
    await line.write(b"".join(whole(await line.good())))


async def gzip(line: Line) -> None:
    good = await line.good()
    packed = packer.compress(good.body)
    await line.write(good.head + b"content-encoding: gzip\r\n" + length(len(packed)) + packed)


async def no_gzip(line: Line) -> None:
    """The body is labeled as gzip, but is not compressed."""
    good = await line.good()
    await line.write(good.head + b"content-encoding: gzip\r\n" + length(len(good.body)) + good.body)


async def crlf(line: Line) -> None:
    good = await line.good()
    body = good.body.replace(b"\n", b"\r\n")
    await line.write(good.head + length(len(body)) + body)


async def big_event(line: Line) -> None:
    """A 20 MB event halfway through; for a whole answer, the same amount of whitespace."""
    good = await line.good()
    half = first_half(good)
    filler = b'data: {"type":"ping","padding":"%b"}\n\n' % (b"x" * BIG)
    middle = filler if good.events[0].endswith(b"\n\n") else b""
    rest = good.events[len(half) :] if middle else [*good.events[len(half) :], b" " * BIG]
    await line.write(good.head + UNTIL_CLOSED, *half, middle, *rest)
    line.close()


async def endless(line: Line) -> None:
    """An event without an end; for a whole answer, endless whitespace."""
    good = await line.good()
    half = first_half(good)
    begun = b"data: " if good.events[0].endswith(b"\n\n") else b""
    await line.write(good.head + UNTIL_CLOSED, *half, begun)
    while True:
        await line.write(b" " * 1_000_000)


async def html(line: Line) -> None:
    page = b"<!DOCTYPE html><html><title>Sign in</title><body>Log in to the network</body></html>"
    await line.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n" + length(len(page)) + page)


async def html_as_answer(line: Line) -> None:
    """An HTML page labeled as the answer."""
    good = await line.good()
    page = b"<!DOCTYPE html>\n\n<html><title>Sign in</title></html>\n\n"
    await line.write(good.head + length(len(page)) + page)


async def refusal_without_end(line: Line) -> None:
    await line.write(
        b"HTTP/1.1 402 Payment Required\r\ncontent-type: text/plain\r\n" + length(100) + b"quota"
    )
    await line.stall()


async def refusal_cut(line: Line) -> None:
    await line.write(b"HTTP/1.1 500 No\r\ncontent-type: text/plain\r\n" + length(100) + b"half")
    line.reset()


async def odd_status(line: Line) -> None:
    await line.write(b"HTTP/1.1 677 What\r\n" + length(0))


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def length(size: int) -> bytes:
    """Return the Content-Length header and the end of the head."""
    return b"content-length: %d\r\n\r\n" % size


def whole(good: Good) -> Iterable[bytes]:
    """The valid answer, event by event."""
    return [good.head + CHUNKED, *map(chunk, good.events), b"0\r\n\r\n"]


def first_half(good: Good) -> list[bytes]:
    """The events of the first half of an answer, with some of its text."""
    return good.events[: len(good.events) // 2]


SCRIPTS: Final[dict[str, Script]] = {
    name: script for name, script in list(globals().items()) if iscoroutinefunction(script)
}
