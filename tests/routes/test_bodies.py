"""Request bodies: size, compression, invalid JSON, and invalid HTTP."""

import contextlib
import gzip
import json
import socket
import sys
import zlib
from urllib.parse import urlsplit

import brotli
import pytest

from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.selection import crossed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}).encode()
ZSTD = zstd.compress(CHAT)
COMPRESSED = gzip.compress(CHAT, mtime=0)  # a fixed time keeps the test ids the same
PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", COMPRESSED),
        ("x-gzip", COMPRESSED),
        ("gzip", gzip.compress(CHAT[:9], mtime=0) + gzip.compress(CHAT[9:], mtime=0)),
        ("gzip", b"".join(gzip.compress(bytes([one]), mtime=0) for one in CHAT)),
        ("gzip", COMPRESSED + gzip.compress(b"", mtime=0)),
        ("deflate", zlib.compress(CHAT)),
        ("deflate", zlib.compress(CHAT, wbits=-15)),
        ("br", brotli.compress(CHAT)),
        ("zstd", ZSTD),
        ("zstd", b"".join(zstd.compress(bytes([one])) for one in CHAT)),
        ("gzip, identity", COMPRESSED),
        ("gzip, zstd", zstd.compress(COMPRESSED)),
        ("", COMPRESSED),
        ("", ZSTD),
        ("", b"\xef\xbb\xbf" + CHAT),
        ("identity", CHAT),
        ("", CHAT),
    ],
)
def test_encodings(proxy: Proxy, encoding: str, body: bytes) -> None:
    """A compressed body is decompressed."""
    with proxy.client() as client:
        answer = client.post(PATH, content=body, headers={"content-encoding": encoding})

    assert 200 == answer.status_code


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("compress", CHAT, 415),
        ("gzip, gzip, gzip", CHAT, 415),
        ("br", CHAT, 400),
        ("br", brotli.compress(CHAT)[:-3], 400),
        ("br", brotli.compress(CHAT) + b"garbage", 400),
        ("zstd", CHAT, 400),
        ("zstd", ZSTD[:-3], 400),
        ("zstd", ZSTD + b"garbage", 400),
        ("", ZSTD[:-3], 400),
        ("gzip", CHAT, 400),
        ("gzip", COMPRESSED[:-9], 400),
        ("gzip", b"", 400),
        ("gzip", COMPRESSED + b"x", 400),
        ("gzip", COMPRESSED + b"garbage", 400),
        ("gzip", COMPRESSED + b"\0", 400),
        ("gzip", COMPRESSED + COMPRESSED[:9], 400),
        ("gzip", COMPRESSED + zlib.compress(b" "), 400),
        ("gzip", COMPRESSED + gzip.compress(b"", mtime=0) * 1000, 400),
        ("deflate", zlib.compress(CHAT) + zlib.compress(b" "), 400),
    ],
)
def test_broken_encodings(proxy: Proxy, encoding: str, body: bytes, status: int) -> None:
    """A body that cannot be decompressed is reported as the client's error."""
    with proxy.client() as client:
        answer = client.post(PATH, content=body, headers={"content-encoding": encoding})

    assert (status, "invalid_request_error") == (
        answer.status_code,
        answer.json()["error"]["type"],
    )


def test_brotli_is_optional(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the brotli library, a brotli body is refused, with an alternative in the hint."""
    monkeypatch.setitem(sys.modules, "brotli", None)
    with proxy.client() as client:
        answer = client.post(PATH, content=b"", headers={"content-encoding": "br"})
        other = client.post(PATH, content=ZSTD, headers={"content-encoding": "zstd"})

    assert (415, 200) == (answer.status_code, other.status_code)
    assert "g-copilot-proxy[brotli]" in answer.json()["error"]["hint"]


def test_too_large(simulator: Simulator) -> None:
    """A body is refused if its declared, received or decompressed size is over the limit."""
    with Proxy(settings_at(simulator, max_body_bytes=2000)) as proxy, proxy.client() as client:
        declared = client.post(PATH, content=b"x" * 2001)
        streamed = client.post(PATH, content=iter([b"x" * 1500] * 2))
        bombs = [
            client.post(PATH, content=packed, headers={"content-encoding": encoding})
            for encoding, packed in (
                ("gzip", gzip.compress(b" " * 1_000_000)),
                ("gzip", gzip.compress(b" " * 1500) * 2),
                ("br", brotli.compress(b" " * 1_000_000)),
                ("zstd", zstd.compress(b" " * 1_000_000)),
                ("zstd", zstd.compress(b" " * 1500) * 2),
            )
        ]
        fits = client.post(PATH, content=CHAT + b" " * (2000 - len(CHAT)))

    assert [413] * 7 == [a.status_code for a in (declared, streamed, *bombs)]
    assert "2,000 bytes" in declared.json()["error"]["message"]
    codes = {answer.json()["error"]["code"] for answer in (declared, streamed, *bombs)}
    assert codes == {"request_too_large"}
    assert 200 == fits.status_code


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(simulator: Simulator) -> None:
    """A client that declares a body over the limit gets its error immediately."""
    with Proxy(settings_at(simulator, max_body_bytes=2000)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
            head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999999\r\n\r\n"
            conn.sendall(head.encode())
            assert b"413" in conn.recv(100)


@pytest.mark.parametrize(
    ("version", "more", "refused"),
    [
        ("1.1", "connection: close\r\n", "413"),
        ("1.1", "connection: close\r\ntransfer-encoding: chunked\r\n", "413"),
        ("1.0", "", "413"),
        ("1.1", "connection: close\r\norigin: http://evil.example\r\n", "403"),
    ],
)
def test_a_client_that_is_still_sending_sees_its_error(
    simulator: Simulator, version: str, more: str, refused: str
) -> None:
    """A connection that should be closed is not reset while the client is still sending."""
    body = b"x" * 8_000_000
    if "chunked" in more:
        framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        framed, more = body, f"{more}content-length: {len(body)}\r\n"
    head = f"POST {PATH} HTTP/{version}\r\nhost: localhost\r\n{more}\r\n"
    with Proxy(settings_at(simulator, max_body_bytes=2000)) as proxy:
        address = urlsplit(proxy.url)
        with socket.create_connection((address.hostname or "", address.port or 0), 10) as conn:
            conn.sendall(head.encode() + framed)
            said = b"".join(iter(lambda: conn.recv(65536), b""))

    assert said.startswith(f"HTTP/1.1 {refused} ".encode())
    assert json.loads(said.partition(b"\r\n\r\n")[2])["error"]["hint"]


@pytest.mark.parametrize("stream", [True, False])
def test_http_1_0(proxy: Proxy, stream: bool) -> None:
    """An HTTP/1.0 client receives no chunks, and the connection closes at the end of the body."""
    address = urlsplit(proxy.url)
    body = json.dumps({**json.loads(CHAT), "stream": stream}).encode()
    head = f"POST {PATH} HTTP/1.0\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(head.encode() + body)
        reply = b"".join(iter(lambda: conn.recv(65536), b""))

    fields, _, answer = reply.partition(b"\r\n\r\n")
    assert b"200 OK" in fields
    assert b"transfer-encoding" not in fields
    if stream:
        assert answer.startswith(b"data: {")
        assert answer.endswith(b"data: [DONE]\n\n")
    else:
        assert json.loads(answer)["choices"]


@crossed(size=[1, 100, 65536], chunked=[True, False], upgrade=["h2c", "websocket", "TLS/1.0"])
def test_ignored_upgrades(proxy: Proxy, upgrade: str, chunked: bool, size: int) -> None:
    """The body is read even if the client offers another protocol, as Java's clients do."""
    address = urlsplit(proxy.url)
    length = "transfer-encoding: chunked" if chunked else f"content-length: {len(CHAT)}"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT) if chunked else CHAT
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade, HTTP2-Settings\r\n"
        f"upgrade: {upgrade}\r\nhttp2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        f"{length}\r\n\r\n"
    )
    sent = head.encode() + body
    sent += sent + b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(sent), size):
            conn.sendall(sent[start : start + size])
        reply = b"".join(iter(lambda: conn.recv(65536), b""))

    assert 3 == reply.count(b"HTTP/1.1 200 OK")
    assert 2 == reply.count(b'"choices":')


def test_expect_100_continue(simulator: Simulator) -> None:
    """A client that waits for 100 Continue gets it, or 413 if the body is too large."""
    with Proxy(settings_at(simulator, max_body_bytes=2000)) as proxy:
        address = urlsplit(proxy.url)
        replies = {}
        for size in (len(CHAT), 2001):
            with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
                conn.sendall(
                    f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n"
                    "expect: 100-continue\r\n\r\n".encode()
                )
                replies[size] = conn.recv(1000).partition(b"\r\n")[0]

    assert [b"HTTP/1.1 100", b"HTTP/1.1 413"] == [line[:12] for line in replies.values()]


@pytest.mark.parametrize("refused", ["host: evil", "origin: null\r\nhost: localhost"])
def test_a_refused_client_does_not_send_its_body(proxy: Proxy, refused: str) -> None:
    """A request with a wrong Host or Origin is refused after its headers."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(
            f"POST {PATH} HTTP/1.1\r\n{refused}\r\ncontent-length: 9\r\n"
            "expect: 100-continue\r\n\r\n".encode()
        )
        assert conn.recv(1000).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"", None, None),
        (b"   ", None, None),
        (b"{", None, None),
        (b"\xff\xfe", None, None),
        (b"null", None, None),
        (b"[1]", None, None),
        (b"[" * 100_000, None, None),
        (b"{}", "model", "missing_required_parameter"),
        (b'{"model":"gpt-4o"}', "messages", "missing_required_parameter"),
        (b'{"model":"gpt-4o","messages":"x"}', "messages", "invalid_type"),
        (b'{"model":"gpt-4o","messages":[]}', "messages", None),
        (
            b'{"model":"gpt-4o","messages":[{"role":"user"}]}',
            "messages[0].content",
            "missing_required_parameter",
        ),
        (
            b'{"model":"gpt-4o","messages":[{"role":"nobody","content":"x"}]}',
            "messages[0].role",
            "invalid_value",
        ),
        (
            b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"stream":"yes"}',
            "stream",
            "invalid_type",
        ),
        (
            b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"n":2}',
            "n",
            "unsupported_value",
        ),
    ],
)
def test_wrong_bodies(proxy: Proxy, body: bytes, param: str | None, code: str | None) -> None:
    """An invalid body gets a 400 error that has all of OpenAI's keys and names the field."""
    with proxy.client() as client:
        answer = client.post(PATH, content=body)

    error = answer.json()["error"]
    assert 400 == answer.status_code
    assert ("invalid_request_error", param, code) == (error["type"], error["param"], error["code"])
    assert error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/chat/completions", 405, "method_not_supported"),
        ("DELETE", "/v1/models", 405, "method_not_supported"),
        ("POST", "/v1/edits", 404, "unknown_url"),
        ("GET", "/v2/models", 404, "unknown_url"),
        ("GET", "/favicon.ico", 404, "unknown_url"),
    ],
)
def test_unknown_paths_and_methods(
    proxy: Proxy, method: str, path: str, status: int, code: str
) -> None:
    """A wrong path or method gets an error in OpenAI's format."""
    with proxy.client() as client:
        answer = client.request(method, path)

    assert (status, code) == (answer.status_code, answer.json()["error"]["code"])


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o", "/health", "/", "/api/hello"])
def test_head(proxy: Proxy, path: str) -> None:
    """HEAD gets the headers of GET, and no body."""
    with proxy.client() as client:
        answer, head = client.get(path), client.head(path)

    assert (200, 200) == (answer.status_code, head.status_code)
    assert b"" == head.content
    assert answer.headers["content-type"] == head.headers["content-type"]
    assert answer.headers["content-length"] == head.headers["content-length"]


def test_endless_headers(proxy: Proxy) -> None:
    """Headers have a maximum size, and the next request is not affected."""
    address = urlsplit(proxy.url)
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(b"GET /health HTTP/1.1\r\nhost: localhost\r\n")
        line = b"x: " + b"y" * 60_000 + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(100):
                conn.sendall(line)
        with contextlib.suppress(ConnectionResetError):
            assert b"431" in conn.recv(1000)

    with proxy.client() as client:
        assert [200, 200] == [client.get("/health").status_code for _ in range(2)]
        assert 200 == client.post(PATH, content=CHAT + b" " * 2_000_000).status_code


TOKEN = "ghu_0123456789abcdefghij0123456789abcdef"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_http"),
        (f"{TOKEN}\r\n\r\n".encode(), 400, "invalid_http"),
        (f"GET /{TOKEN} HTTP/1.1\r\nno header\r\n\r\n".encode(), 400, "invalid_http"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 512 * 1024, 431, "headers_too_large"),
        (b"GET /" + b"y" * 64 * 1024 + b" HTTP/1.1\r\n\r\n", 414, "url_too_long"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_invalid_http(
    proxy: Proxy,
    sent: bytes,
    status: int,
    code: str,
    form: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client receives an error, and the log has a line without the bytes that were sent."""
    address = urlsplit(proxy.url)
    endpoint = (address.hostname or "", address.port or 0)
    with logging_to_stderr(form, Reporter()), socket.create_connection(endpoint, 10) as conn:
        conn.sendall(sent)
        said = b""
        while part := conn.recv(65536):
            said += part

    start, _, body = said.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert start.startswith(f"HTTP/1.1 {status} ".encode())
    assert (code, "invalid_request_error") == (error["code"], error["type"])
    assert error["hint"] in error["message"]
    assert f"x-request-id: {error['request_id']}".encode() in start
    (line,) = capsys.readouterr().err.splitlines()
    for shown in (str(status), code, "127.0.0.1", error["request_id"]):
        assert shown in line
    assert TOKEN not in line
    assert sent.startswith(b"\x16") == ("the client used https://" in line) or form == "json"
    if form == "json":
        assert "broken_http" == json.loads(line)["event"]


def test_no_error_in_the_middle_of_an_answer(proxy: Proxy, simulator: Simulator) -> None:
    """Invalid bytes after a request close the connection, and cause no error within a stream."""
    simulator.state.pace = 0.05
    address = urlsplit(proxy.url)
    long = [{"role": "user", "content": "Write 600 words"}]
    ask = json.dumps({**json.loads(CHAT), "messages": long, "stream": True}).encode()
    start = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(ask)}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0), 60) as conn:
        conn.sendall(start.encode() + ask)
        said = b""
        while b"data: " not in said:
            said += conn.recv(65536)
        conn.sendall(b"\x16\x03\x01\r\n")
        while part := conn.recv(65536):
            said += part

    assert 1 == said.count(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("responses", {"input": "Hi"}),
        ("messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}),
        ("messages/count_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("embeddings", {"input": "Hi"}),
    ],
)
def test_a_very_long_model_name(proxy: Proxy, path: str, more: dict[str, object]) -> None:
    """A name over the maximum length is refused without a lookup; a shorter name is looked up."""
    with proxy.client() as client:
        for length in (257, 3_000_000):
            answer = client.post(f"/v1/{path}", json={"model": "x" * length, **more})
            error = answer.json()["error"]
            assert (400, "string_above_max_length") == (answer.status_code, error["code"])
            assert f"has {length} characters; the maximum is 256" in error["message"]
            assert "GET /v1/models" in error["hint"]
            assert len(answer.content) < 1000
        answer = client.post(f"/v1/{path}", json={"model": "x" * 256, **more})
        assert "model_not_found" == answer.json()["error"]["code"]


def test_a_very_long_model_name_in_a_path(proxy: Proxy) -> None:
    """The response is 404, and the name is not compared with every model name."""
    with proxy.client() as client:
        answer = client.get(f"/v1/models/{'claude-' * 2000}")

    assert 404 == answer.status_code
    assert "Did you mean" not in answer.json()["error"]["hint"]
