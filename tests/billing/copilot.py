"""A fake GitHub and Copilot that charges known amounts and remembers its charges.

It is a separate small server: it shares no code with the product or with its simulator.
"""

import asyncio
import json
import re
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.billing import answers
from tests.billing.bills import LISTED, bill_of, bill_of_turn
from tests.billing.orders import EMBEDDING_MODEL, MODELS, MOVED_MODEL
from tests.servers import ThreadedServer, serving

_ORDER: Final = re.compile(r"order (\d+) (\w+)")
_STREAMED: Final = re.compile(r'"stream":\s*true')
_REFUSAL: Final = {"error": {"message": "It is not allowed.", "code": "invalid_request_body"}}
_WRONG_API: Final = {"error": {"message": "It is not here.", "code": "unsupported_api_for_model"}}
_TURN_SECONDS: Final = 0.2
"""Duration of an agent's answer in seconds, so that many run concurrently."""
_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 500: "Server Error"}


@dataclass
class Charge:
    """The charges for the calls of one order."""

    calls: int = 0
    """The number of calls that were processed, excluding refused ones."""
    nano: int = 0
    seen: set[str] = field(default_factory=set)
    """Paths that have refused the order once."""


def _listed(name: str, endpoints: list[str], kind: str = "chat") -> dict[str, Any]:
    prices = {key: float(value) for key, value in LISTED.items()}
    limits = {"max_prompt_tokens": 200_000, "max_output_tokens": 64_000, "max_inputs": 2}
    return {
        "id": name,
        "name": name,
        "object": "model",
        "vendor": "Anthropic" if name.startswith("claude") else "OpenAI",
        "version": name,
        "model_picker_enabled": True,
        "capabilities": {
            "type": kind,
            "family": name,
            "limits": limits,
            "supports": {"streaming": True, "tool_calls": True},
        },
        "billing": {"token_prices": {"batch_size": 1_000_000, "default": prices}},
        "supported_endpoints": endpoints,
    }


_LIST: Final = {
    "object": "list",
    "data": [
        *(_listed(name, [path.replace("/v1/r", "/r").replace("/v1/c", "/c")])
          for name, path in MODELS.items()),
        _listed(MOVED_MODEL, ["/chat/completions", "/responses"]),
        _listed(EMBEDDING_MODEL, [], "embeddings"),
    ],
}  # fmt: skip


class FakeCopilot(ThreadedServer):
    """Serves in a separate thread, inside a `with` block."""

    def __init__(self) -> None:
        super().__init__()
        self.charges: dict[int, Charge] = {}
        """The charges for each order, by the order's number."""
        self._prompts: dict[int, int] = {}
        """The number of tokens in each agent's last prompt."""

    def listening(self) -> AbstractAsyncContextManager[int]:
        """Return a context manager that serves while it is open, and yields the port."""
        return serving(self._serve, backlog=500)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"(?i)content-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            path = head.split(" ", 2)[1]
            order = _ORDER.search(body.decode())
            if path.endswith("/count_tokens"):
                _send(writer, {"input_tokens": 7})
            elif order:
                if not await self._order(reader, writer, path, body.decode(), order):
                    return
            else:
                _send(writer, self._about(path))
            await writer.drain()

    def _about(self, path: str) -> dict[str, Any]:
        if path.endswith("/models"):
            return _LIST
        if path.startswith("/copilot_internal/v2/token"):
            return {
                "token": "tid=1;exp=4102444800",
                "expires_at": 4_102_444_800,
                "refresh_in": 86_400,
                "endpoints": {"api": self.url},
            }
        return {"login": "fake", "id": 1}

    async def _order(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        path: str,
        body: str,
        order: re.Match[str],
    ) -> bool:
        """Answer an order; return whether the connection can be reused."""
        number, kind = int(order[1]), order[2]
        charge = self.charges.setdefault(number, Charge())
        if kind == "refused":
            _send(writer, _REFUSAL, 400)
            return True
        if kind == "stale" and path not in charge.seen:
            charge.seen.add(path)
            _send(writer, {"message": "token expired"}, 401)
            return True
        if f'"{MOVED_MODEL}"' in body and path == "/chat/completions":
            _send(writer, _WRONG_API, 400)
            return True
        if kind == "turn":
            agent = number // 1000
            bill, self._prompts[agent] = bill_of_turn(
                number, len(body), self._prompts.get(agent, 0)
            )
        else:
            bill = bill_of(number, at_list_price=kind == "silent")
        charge.calls += 1
        charge.nano += bill.nano
        if kind == "unwell":
            _send(writer, {"error": {"message": "It broke."}}, 500)
            return True
        charged = answers.usage_of(
            bill, total=kind not in ("parts", "silent"), parts=kind != "silent"
        )
        if kind == "billed" and not _STREAMED.search(body):
            _send(writer, {"error": {"message": "It broke."}, **charged}, 500)
            return True
        if path == "/embeddings":
            vectors = [
                {"object": "embedding", "index": index, "embedding": [0.5]}
                for index in range(len(_ORDER.findall(body)))
            ]
            tokens = {"prompt_tokens": bill.fresh, "total_tokens": bill.fresh}
            _send(writer, {"object": "list", "data": vectors, "usage": tokens, **charged})
            return True
        if not _STREAMED.search(body):
            return await _whole(reader, writer, kind, answers.whole(path, bill, charged))
        return await _stream(reader, writer, kind, answers.stream(path, bill, charged))


async def _whole(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    kind: str,
    answer: dict[str, Any],
) -> bool:
    if kind == "left":
        await _wait_for_end(reader)
        return False
    if kind == "cut":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{")
        return False
    _send(writer, answer)
    return True


async def _stream(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    kind: str,
    parts: answers.Stream,
) -> bool:
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    _write_chunk(writer, parts.begin)
    await writer.drain()
    if kind == "left":
        await _wait_for_end(reader)
        return False
    if kind == "cut":
        return False
    if kind == "turn":
        await asyncio.sleep(_TURN_SECONDS)
    if kind == "erring":
        _write_chunk(writer, parts.early)
    elif kind == "billed":
        _write_chunk(writer, parts.billed)
    else:
        _write_chunk(writer, parts.cost + (parts.failure if kind == "failing" else parts.end))
    writer.write(b"0\r\n\r\n")
    return True


async def _wait_for_end(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        await reader.read()


def _write_chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


def _send(writer: asyncio.StreamWriter, answer: dict[str, Any], status: int = 200) -> None:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
