"""The sidecar's HTTP client: how it reports answers, ends calls, and restricts hosts."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat
from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat
from copilot_proxy.formats.types import ChatCompletion, Json, PiAiRequest
from copilot_proxy.settings import load_settings
from copilot_proxy.upstreams.pi_ai.failures import request_error
from copilot_proxy.upstreams.pi_ai.package import command_for
from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
from copilot_proxy.upstreams.pi_ai.sidecar_process import SidecarCommand, SidecarMessage
from tests.formats.pi_ai.models import CLAUDE, GPT_4
from tests.pi_ai.conftest import give_pi_ai, needs_pi_ai
from tests.servers import serving

pytestmark = needs_pi_ai

OPEN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: Text/Event-Stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def said(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'id': 'x', 'choices': [choice]})}\n\n".encode()


def events(*data: Json) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in data)


class Upstream:
    """A server that sends the given bytes, and records requests."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.connections: list[asyncio.StreamWriter] = []
        """The connection of each request."""
        self.tasks: set[asyncio.Task[None] | None] = set()
        self.gone = asyncio.Event()
        self.answer: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                self.heads.append(head)
                self.connections.append(writer)
                await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
                assert self.answer is not None
                await self.answer(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def set_answer(self, *parts: bytes) -> None:
        """Answer all later requests with these parts, and keep the connection open."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            for part in parts:
                writer.write(part)
                await writer.drain()

        self.answer = answer


class Client:
    """The sidecar, and the server that it calls."""

    def __init__(
        self, sidecar: Sidecar, upstream: Upstream, url: str, command: SidecarCommand
    ) -> None:
        self.sidecar = sidecar
        self.upstream = upstream
        self.url = url
        self.command = command

    async def first(self, **more: Any) -> SidecarMessage:
        """Return the outcome of the call."""
        async with self.sidecar.exchange(self.request(**more)) as exchange:
            return (await exchange.read())[0]

    async def answer(self, model: Any = GPT_4) -> ChatCompletion:
        """Return the completion, or raise the client's error."""
        reader = PiAiToChat("m", include_usage=True)
        chunks: list[Any] = []
        async with self.sidecar.exchange(self.request(model)) as exchange:
            while messages := await exchange.read():
                for one in messages:
                    chunks += reader.feed(json.loads(bytes(one.event))) if one.event else []
        return completion_from_chunks(chunks + reader.close())

    def request(self, model: Any = GPT_4, **more: Any) -> PiAiRequest:
        hello = {"model": model.id, "messages": [{"role": "user", "content": "Hi"}]}
        body = pi_ai_from_chat(hello, model, []).body
        parts = {name: body[name] for name in ("pi", "context", "options", "payload", "opaque")}
        return {"url": self.url, "token": "t", "headers": {}, "request": parts, **more}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """One process and one server for all tests."""
    home = tmp_path_factory.mktemp("home") / "pi"
    settings = load_settings({"upstream": "pi-ai", "home_dir": give_pi_ai(Path(home))})
    command = command_for(settings)
    patient = SidecarCommand([*command.arguments, "100"], command.environ)
    sidecar, upstream = Sidecar("pi-ai", lambda: patient), Upstream()
    async with serving(upstream.take) as port:
        yield Client(sidecar, upstream, f"http://127.0.0.1:{port}", patient)
        # Closing the process closes all connections.
        await sidecar.aclose()
    await asyncio.gather(*filter(None, upstream.tasks))


@pytest.fixture
def client(running: Client) -> Client:
    """The sidecar, after clearing the requests from earlier tests."""
    running.upstream.heads.clear()
    running.upstream.connections.clear()
    running.upstream.gone.clear()
    return running


def text_of(completion: ChatCompletion) -> str:
    text: str = completion["choices"][0]["message"]["content"]
    return text


async def test_a_complete_answer_is_returned_at_once(client: Client) -> None:
    """After the last event, an open connection does not delay the answer."""
    client.upstream.set_answer(OPEN, said("Hello", "stop"), b"data: [DONE]\n\n")

    assert "Hello" == text_of(await client.answer())


async def test_the_connection_of_a_complete_answer_is_reused(client: Client) -> None:
    """If the end of a body arrives a little late, it is read, and the connection is reused."""
    body = said("Hello", "stop") + b"data: [DONE]\n\n"
    client.upstream.set_answer(CHUNKED, b"%x\r\n%b\r\n" % (len(body), body), b"0\r\n\r\n")

    # The next request may be sent before the end has been read.
    for _ in range(50):
        assert "Hello" == text_of(await client.answer())
        if len(set(client.upstream.connections)) < len(client.upstream.connections):
            return
    raise AssertionError("no connection was reused")


async def test_the_wait_after_the_finish_is_short(client: Client) -> None:
    """After the finish reason, the sidecar waits only briefly for missing events."""
    client.upstream.set_answer(OPEN, said("Hello", "stop"))

    assert "Hello" == text_of(await client.answer())
    await client.upstream.gone.wait()


async def test_a_connection_that_breaks_after_the_finish(client: Client) -> None:
    """If a connection breaks after the finish reason, nothing is lost."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        piece = said("Hello", "stop")
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        writer.close()

    client.upstream.answer = answer

    assert "Hello" == text_of(await client.answer())


@pytest.mark.parametrize("ending", [b"", b'data: {"type": "message_stop"}\n\n'])
async def test_a_malformed_event_is_an_error(client: Client, ending: bytes) -> None:
    """A malformed event is an error, although pi-ai would skip it."""
    start = {"type": "message_start", "message": {"id": "m", "usage": {}}}
    done = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
    client.upstream.set_answer(
        OPEN,
        events(start) + b'data: {"type": "content_blo\n\n' + events(done, {"type": "message_stop"}),
        ending,
    )

    with pytest.raises(CopilotProxyError, match="not a JSON object"):
        await client.answer(CLAUDE)


async def test_a_refusal_whose_body_stalls(client: Client) -> None:
    """A refusal is reported with the part of its body that has arrived."""
    client.upstream.set_answer(
        b"HTTP/1.1 429 No\r\nretry-after: 7\r\ncontent-length: 99\r\n\r\nSlow"
    )

    reported = (await client.first()).refused or {}

    assert (429, "7", "Slow") == (
        reported["status"],
        reported["headers"]["retry-after"],
        reported["body"],
    )


async def test_an_endless_refusal_is_cut_off(client: Client) -> None:
    """The body of a refusal is read only up to a limit."""
    client.upstream.set_answer(b"HTTP/1.1 500 No\r\n\r\n" + b"x" * 1_000_000)

    reported = (await client.first()).refused or {}

    assert 256 * 1024 == len(reported["body"])


ASK_ANOTHER = """
const { createFetch } = await import(process.argv[1]);
const undici = { Agent: class {}, request: () => console.log("client") };
const request = { url: "https://a.example", report() {} };
const fetch = createFetch(undici, {});
for (const url of ["https://b.example/x", "https://a.example:8/x", "http://a.example/x"]) {
  await fetch(request, url, {}).catch((error) => console.log(error.message));
}
"""


def test_only_the_host_of_the_request_is_called() -> None:
    """No other host is called, so a token is never sent elsewhere."""
    module = str(files("copilot_proxy.upstreams.pi_ai") / "fetch.mjs")
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", ASK_ANOTHER, module],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ["Requests may only be sent to Copilot."] * 3 == ran.stdout.splitlines()


async def test_a_redirect_is_not_followed(client: Client) -> None:
    """A redirect is reported and not followed."""
    client.upstream.set_answer(
        f"HTTP/1.1 307 No\r\nlocation: {client.url}/x\r\ncontent-length: 0\r\n\r\n".encode()
    )

    reported = (await client.first()).refused or {}

    assert 307 == reported["status"]
    assert 1 == len(client.upstream.heads)


async def test_only_our_headers_are_sent(client: Client) -> None:
    """Each header is sent once, ours instead of pi-ai's."""
    client.upstream.set_answer(OPEN, said("Hello", "stop"), b"data: [DONE]\n\n")
    headers = {"x-initiator": "agent", "openai-intent": "conversation-panel", "user-agent": "us"}

    await client.first(headers=headers)

    lines = client.upstream.heads[0].split("\r\n")[1:-2]
    names = [line.partition(":")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"x-initiator: agent", "openai-intent: conversation-panel", "user-agent: us"} < set(
        lines
    )
    assert "authorization: bearer t" in lines


async def test_a_refused_connection(client: Client) -> None:
    """A refused connection is reported with Node's error code."""
    reported = (await client.first(url="http://127.0.0.1:9")).unreachable or {}

    error = request_error(reported, "http://127.0.0.1:9")
    assert "refused the connection" in error.message


async def test_open_calls_end_with_stdin(client: Client) -> None:
    """If the server is killed, open calls are aborted, so nothing more is billed."""
    client.upstream.set_answer(OPEN, said("Hel"))
    process = await asyncio.create_subprocess_exec(
        *client.command.arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(client.command.environ),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"ask": 1, "window": 9, **client.request()}).encode() + b"\n")
    while "event" not in json.loads(await process.stdout.readline()):
        pass

    process.stdin.close()

    assert 0 == await process.wait()
    await client.upstream.gone.wait()
