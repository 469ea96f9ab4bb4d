"""A connection as a state machine: its input, its output, and when it closes."""

import asyncio

import httpx
import pytest

from copilot_proxy.upstreams.http.connection import HttpConnection, HttpExchange
from copilot_proxy.upstreams.http.request_writer import MAX_JOINED, PIECE

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """Records what the connection does to its socket."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False
        self.is_paused = False
        self.unsent = 0
        self.is_encrypted = False
        self.closes = False
        """Whether the connection is lost on the first write."""
        self.largest = 0
        """The size of the largest write."""

    def write(self, piece: bytes | memoryview) -> None:  # type: ignore[override]
        self.sent += piece
        self.largest = max(self.largest, len(piece))
        self.is_closed = self.is_closed or self.closes

    def get_extra_info(self, name: str, default: object = None) -> object:
        return object() if name == "ssl_object" and self.is_encrypted else default

    def writelines(self, pieces: object) -> None:
        self.sent += b"".join(pieces)  # type: ignore[arg-type]

    def abort(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Conversation:
    """A connection on a `Wire`; `free` counts how often it was released."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.free = 0
        self.connection = HttpConnection(on_idle=self._freed, on_close=lambda _: None)
        self.connection.connection_made(self.wire)

    def _freed(self, _: HttpConnection) -> None:
        self.free += 1

    def ask(self) -> HttpExchange:
        return self.connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", 5)

    def hear(self, data: bytes) -> None:
        self.connection.data_received(data)


@pytest.fixture
async def talk() -> Conversation:
    return Conversation()


async def body(exchange: HttpExchange) -> bytes:
    await exchange.head()
    whole = b""
    while piece := await exchange.read():
        whole += piece
    return whole


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, b"ok"),
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-trailer: z\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", b""),
    ],
)
async def test_splitting_does_not_matter(answer: bytes, expected: bytes) -> None:
    """An answer is parsed the same however it is split, and the connection is released."""
    for at in range(len(answer)):
        talk = Conversation()
        exchange = talk.ask()
        talk.hear(answer[:at])
        talk.hear(answer[at:])

        assert (expected, 1) == (await body(exchange), talk.free)
        assert "link" not in exchange.headers
        assert "x-trailer" not in exchange.headers


async def test_repeated_headers(talk: Conversation) -> None:
    """Repeated headers are joined, and names are lower-case (RFC 9110, 5.3)."""
    exchange = talk.ask()
    talk.hear(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n")

    assert {"x-a": "1, 2", "content-length": "0"} == exchange.headers


@pytest.mark.parametrize("size", [1, MAX_JOINED, MAX_JOINED + 1])
async def test_a_request_is_sent_completely(talk: Conversation, size: int) -> None:
    """The head and the body are sent completely, in one or more writes."""
    talk.connection.send(b"head ", b"b" * size, 5)

    assert b"head " + b"b" * size == talk.wire.sent


@pytest.mark.parametrize("size", [PIECE, PIECE * 2 + 1])
async def test_a_large_body_is_encrypted_piece_by_piece(talk: Conversation, size: int) -> None:
    """Over TLS, a large body is sent completely, but in small pieces."""
    talk.wire.is_encrypted = True
    talk.connection.send(b"head ", b"b" * size, 5)

    assert b"head " + b"b" * size == talk.wire.sent
    assert talk.wire.largest <= PIECE


async def test_nothing_is_written_after_the_connection_is_lost(talk: Conversation) -> None:
    """If the connection is lost during a large body, the rest of it is not encrypted."""
    talk.wire.is_encrypted = talk.wire.closes = True
    talk.connection.send(b"head ", b"b" * PIECE * 3, 5)

    assert b"head " == talk.wire.sent


async def test_an_answer_without_a_length_ends_with_the_connection(talk: Conversation) -> None:
    """Without a length, the end of the connection is the end of the answer."""
    exchange = talk.ask()
    talk.hear(b"HTTP/1.1 200 OK\r\n\r\nabc")
    talk.connection.eof_received()

    assert b"abc" == await body(exchange)
    assert 0 == talk.free


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nx", CHUNKED + b"3\r\nab", OK[:-1]])
async def test_an_incomplete_answer_is_an_error(talk: Conversation, answer: bytes) -> None:
    """An incomplete answer is an error."""
    exchange = talk.ask()
    if answer:
        talk.hear(answer)
    talk.connection.connection_lost(ConnectionResetError("reset"))
    with pytest.raises(httpx.ReadError):
        await body(exchange)

    assert talk.wire.is_closed


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        CHUNKED + b"zz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 300_000,
    ],
)
async def test_invalid_answers(talk: Conversation, answer: bytes) -> None:
    """Other protocols, broken framing and endless headers close the connection."""
    exchange = talk.ask()
    talk.hear(answer)
    with pytest.raises(httpx.RemoteProtocolError):
        await body(exchange)

    assert talk.wire.is_closed


async def test_leaving_a_complete_answer_does_not_disturb_the_next(talk: Conversation) -> None:
    """Leaving a complete answer does not disturb the next request on the connection."""
    first = talk.ask()
    talk.hear(OK)
    second = talk.ask()
    talk.connection.release(first)
    talk.hear(OK)

    assert b"ok" == await body(second)
    assert not talk.wire.is_closed


async def test_leaving_early_closes_the_connection(talk: Conversation) -> None:
    """Leaving early closes the connection and wakes up pending readers."""
    exchange = talk.ask()
    waiting = asyncio.create_task(body(exchange))
    await asyncio.sleep(0)
    talk.connection.release(exchange)
    with pytest.raises(httpx.ReadError):
        await waiting

    assert (True, 0) == (talk.wire.is_closed, talk.free)


@pytest.mark.parametrize("answers", [OK + OK, OK + b"junk"])
async def test_unexpected_data_is_not_an_answer(talk: Conversation, answers: bytes) -> None:
    """Unexpected data is never taken for the answer to the next request."""
    exchange = talk.ask()
    talk.hear(answers)

    assert b"ok" == await body(exchange)
    assert talk.wire.is_closed


async def test_data_on_an_idle_connection(talk: Conversation) -> None:
    """Data on an idle connection closes it."""
    talk.hear(b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    assert talk.wire.is_closed
    with pytest.raises(httpx.ConnectError):  # nothing was sent
        talk.ask()
    assert b"" == talk.wire.sent


@pytest.mark.parametrize("header", [b"connection: close\r\n", b""])
async def test_connections_that_are_not_reused(talk: Conversation, header: bytes) -> None:
    """A connection is not reused after `connection: close` or with unsent data."""
    talk.wire.unsent = 0 if header else 10
    exchange = talk.ask()
    talk.hear(OK.replace(b"content-length", header + b"content-length"))

    assert b"ok" == await body(exchange)
    assert (0, True) == (talk.free, talk.wire.is_closed)


async def test_a_slow_reader_pauses_reading(talk: Conversation) -> None:
    """Reading is paused while the reader is slow, and resumed later."""
    exchange = talk.ask()
    talk.hear(CHUNKED + b"80000\r\n" + b"a" * 0x80000 + b"\r\n")
    assert talk.wire.is_paused

    await exchange.head()
    assert 0x80000 == len(await exchange.read())
    assert not talk.wire.is_paused


async def test_reading_resumes_for_the_next_request(talk: Conversation) -> None:
    """Reading is not paused after an unread answer has ended."""
    exchange = talk.ask()
    talk.hear(CHUNKED + b"80000\r\n" + b"a" * 0x80000 + b"\r\n")
    talk.hear(b"0\r\n\r\n")

    assert (1, False) == (talk.free, talk.wire.is_paused)
    assert exchange.is_complete


async def test_a_read_timeout(talk: Conversation) -> None:
    """A read timeout raises its own error class."""
    exchange = talk.connection.send(b"", b"", 0.01)
    with pytest.raises(httpx.ReadTimeout):
        await exchange.head()


async def test_the_timeout_starts_after_the_request_was_sent(talk: Conversation) -> None:
    """The read timeout starts once the request has been sent completely."""
    talk.wire.unsent = 3
    exchange = talk.connection.send(b"", b"abc", 0.02)
    looks = 0

    def take() -> int:
        nonlocal looks
        looks += 1
        talk.wire.unsent = max(talk.wire.unsent - 1, 0)
        return talk.wire.unsent

    talk.wire.get_write_buffer_size = take  # type: ignore[method-assign]
    with pytest.raises(httpx.ReadTimeout):
        await exchange.head()

    assert 5 == looks  # three while data was being accepted, and two after that


async def test_a_blocked_loop_causes_no_timeout(talk: Conversation) -> None:
    """Data that arrived while the loop was blocked prevents the timeout."""
    exchange = talk.connection.send(b"", b"", 5)
    waiting = asyncio.create_task(body(exchange))
    await asyncio.sleep(0)
    exchange.last_change = 0
    exchange.check_timeout()  # both the timer and the data in the socket are due
    talk.hear(OK)

    assert b"ok" == await waiting


async def test_pieces_are_processed_as_they_arrive(talk: Conversation) -> None:
    """Pieces are processed in one loop iteration until one produces a result; the rest wait."""
    exchange = talk.ask()
    talk.hear(CHUNKED)
    got: list[bytes] = []

    def process(piece: bytes) -> bytes | None:
        got.append(piece)
        return piece if piece == b"stop" else None

    receiving = asyncio.ensure_future(exchange.receive(process))
    await asyncio.sleep(0)
    for piece in (b"a", b"b", b"stop", b"c"):
        talk.hear(b"%x\r\n%b\r\n" % (len(piece), piece))

    assert [b"a", b"b", b"stop"] == got
    assert b"stop" == await receiving
    assert b"c" == await exchange.read()

    receiving = asyncio.ensure_future(exchange.receive(process))
    await asyncio.sleep(0)
    talk.hear(b"1\r\nd\r\n0\r\n\r\n")
    assert (None, b"d") == (await receiving, got[-1])


async def test_an_error_while_processing(talk: Conversation) -> None:
    """Errors in the callback, and the loss of the connection, are raised by `receive`."""
    exchange = talk.ask()
    talk.hear(CHUNKED)

    def fail(piece: bytes) -> None:
        raise ZeroDivisionError

    receiving = asyncio.ensure_future(exchange.receive(fail))
    await asyncio.sleep(0)
    talk.hear(b"1\r\na\r\n")
    with pytest.raises(ZeroDivisionError):
        await receiving

    receiving = asyncio.ensure_future(exchange.receive(lambda _: None))
    await asyncio.sleep(0)
    talk.hear(b"1\r\nb\r\n")
    talk.connection.connection_lost(OSError("reset"))
    with pytest.raises(httpx.ReadError, match="reset"):
        await receiving
