"""Malformed HTTP answers, byte for byte."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from copilot_proxy.composition import make_services
from copilot_proxy.errors import (
    BrokenResponse,
    RequestError,
    UpstreamError,
    UpstreamRefusal,
    UpstreamUnreachable,
)
from copilot_proxy.formats.chat_completions.api import CHAT_COMPLETIONS
from copilot_proxy.relay.records import RequestRecord
from copilot_proxy.relay.relay import Relay
from copilot_proxy.simulator import Simulator
from tests.conftest import settings_at
from tests.selection import every_value
from tests.servers import serving

pytestmark = pytest.mark.usefixtures("no_retry_delays")

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
FINISH = b'{"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}'


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


@asynccontextmanager
async def answering(
    simulator: Simulator, answer: bytes
) -> AsyncIterator[tuple[Relay, list[bytes]]]:
    """Yield a relay to an API that answers chats with these bytes, and the requests to that API."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.partition(b"\r\n")[0])
        if b"/models" in asked[-1]:
            writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            writer.write(answer)
        await writer.drain()
        writer.close()

    async with serving(serve) as port:
        url = f"http://127.0.0.1:{port}"
        made = make_services(settings_at(simulator, copilot_api_url=url), report=lambda _: None)
        try:
            yield made.relay, asked
        finally:
            await made.aclose()


async def text_of(relay: Relay, *, stream: bool) -> str:
    record = RequestRecord("id", "chat_completions")
    request = {**CHAT, "stream": stream}
    async with relay.answer(CHAT_COMPLETIONS, request, record) as reply:
        if not stream:
            return str((await reply.whole())["choices"][0]["message"]["content"])
        parts = [e async for batch in reply.events() for e in batch]
    return "".join(e["choices"][0]["delta"].get("content", "") for e in parts)


_BROKEN = BrokenResponse


@every_value
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (head("302 Found", "location: http://127.0.0.1:1/", "content-length: 0"), _BROKEN, "302"),
        (head("200 OK", "content-type: application/json", "content-length: 99") + b'{"a', _BROKEN,
         "lost"),
        (head("500 No", "content-length: 99") + b"half a sen", UpstreamRefusal, "half a sen"),
        (head("429 No", "content-length: 400000") + b"x" * 300_000, UpstreamRefusal, "xxx"),
        (head("200 OK", "content-type: application/json", "content-length: 2") + b"  ", _BROKEN,
         "empty"),
        (head("200 OK", "content-type: application/json", "content-length: 3") + b"{ab", _BROKEN,
         "not valid JSON"),
        (b"this is not HTTP\r\n\r\n", UpstreamUnreachable, "was lost"),
        (b"", UpstreamUnreachable, "was lost"),
    ],
)  # fmt: skip
async def test_malformed_answers(
    simulator: Simulator, answer: bytes, error: type[UpstreamError], said: str, stream: bool
) -> None:
    """Each answer causes a readable error, and no request is retried or redirected."""
    async with answering(simulator, answer) as (relay, asked):
        with pytest.raises(error) as raised:
            await text_of(relay, stream=stream)

    assert said in raised.value.message
    assert 1 == sum(b"/chat/completions" in line for line in asked)


@pytest.mark.parametrize(
    ("stream", "answer"),
    [
        # Part of a character, whole and streamed.
        (False, head("200 OK", "content-type: application/json")
         + b'{"choices":[{"message":{"content":"Hi\\ud83d"},"finish_reason":"stop"}]}'),
        (True, head("200 OK", "content-type: text/event-stream")
         + b'data: {"choices":[{"delta":{"content":"Hi\\ud83d"},"finish_reason":"stop"}]}\n\n'),
        # No content type, and no blank line after the last event.
        (True, head("200 OK") + b"data: " + FINISH + b"\n\ndata: [DONE]\n"),
        # Compressed in two members; the second one contains the answer.
        (False, head("200 OK", "content-type: application/json", "content-encoding: gzip")
         + gzip.compress(b"  ") + gzip.compress(FINISH)),
        (True, head("200 OK", "content-type: text/event-stream", "content-encoding: gzip")
         + gzip.compress(b": wait\n\n") + gzip.compress(b"data: %b\n\ndata: [DONE]\n\n" % FINISH)),
        # Cut off in the chunk after the end.
        (True, head("200 OK", "content-type: text/event-stream", "transfer-encoding: chunked")
         + b"%x\r\ndata: %b\n\ndata: [DONE]\n\n\r\n5" % (len(FINISH) + 22, FINISH)),
    ],
)  # fmt: skip
async def test_slightly_malformed_answers(
    simulator: Simulator, stream: bool, answer: bytes
) -> None:
    """Slightly malformed answers are accepted."""
    async with answering(simulator, answer) as (relay, _):
        assert "Hi" == (await text_of(relay, stream=stream)).rstrip("\ufffd")


async def test_an_endless_event(simulator: Simulator) -> None:
    """An event without an end is aborted."""
    answer = head("200 OK", "content-type: text/event-stream") + b"data: " + b"x" * 17_000_000
    async with answering(simulator, answer) as (relay, _):
        with pytest.raises(BrokenResponse, match="more than"):
            await text_of(relay, stream=True)


async def test_a_request_that_cannot_be_written(simulator: Simulator) -> None:
    """A body nested too deeply to encode is a client error."""
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    made = make_services(settings_at(simulator), report=lambda _: None)
    with pytest.raises(RequestError, match="nested too deeply"):
        async with made.relay.answer(
            CHAT_COMPLETIONS, {**CHAT, "x": deep}, RequestRecord("id", "x")
        ):
            pass
    await made.aclose()
