"""More connections and streams than any user has."""

import asyncio
import json
import resource

from benchmarks.marks import make_prompt
from benchmarks.upstream_answers import CHAT_MODEL

from .site import CHAT, PATIENCE, Impossible, Site

_IDLE = 10_000
_STREAMS = 1_000
_EVENTS = 40


def idle_connections(site: Site) -> str:
    """While 10,000 connections are idle, other requests are answered."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < _IDLE + 500:
        raise Impossible(f"this machine permits {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with site.serve() as server:

        async def crowd() -> None:
            writers = []
            for _ in range(_IDLE // 100):
                opened = await asyncio.gather(
                    *(asyncio.open_connection("127.0.0.1", server.port) for _ in range(100))
                )
                writers += [writer for _, writer in opened]
            try:
                async with asyncio.timeout(PATIENCE):
                    for _ in range(20):
                        await asyncio.to_thread(server.check)
            finally:
                for writer in writers:
                    writer.close()

        asyncio.run(crowd())
        server.check()
        return f"{_IDLE:,} connections; 20 answers in the meantime"


def many_streams(site: Site) -> str:
    """1,000 simultaneous streams arrive complete."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 2 * _STREAMS + 500:
        raise Impossible(f"this machine permits {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # On a busy machine, so many connections take longer than the usual time for one.
    patience = {"COPILOT_PROXY_CONNECT_TIMEOUT": str(PATIENCE)}
    with site.serve(more=patience) as server:

        async def stream(number: int) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            prompt = make_prompt(rate=10, count=_EVENTS, number=number)
            message = {"role": "user", "content": prompt}
            body = json.dumps({"model": CHAT_MODEL, "stream": True, "messages": [message]})
            head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            writer.write(f"{head}content-length: {len(body)}\r\n".encode())
            writer.write(f"connection: close\r\n\r\n{body}".encode())
            try:
                return await reader.read(-1)
            finally:
                writer.close()

        async def crowd() -> list[bytes]:
            async with asyncio.timeout(PATIENCE * 3):
                return await asyncio.gather(*map(stream, range(_STREAMS)))

        cut = [
            answer
            for answer in asyncio.run(crowd())
            if answer.count(b"~") != _EVENTS or b"data: [DONE]" not in answer
        ]
        assert not cut, f"{len(cut)} of {_STREAMS} incomplete, such as {cut[0][-500:]!r}"
        server.check()
        return f"{_STREAMS:,} streams of {_EVENTS} events, all complete"
