"""An HTTP proxy that simulates the internet: Copilot's hosts lead to the simulator, over TLS."""

import asyncio
import ssl
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from tests.servers import ThreadedServer, serving

NAMES = ("api.githubcopilot.com", "api.github.com", "github.com")


class Outside(ThreadedServer):
    """Connects tunnels for `NAMES` (over TLS) and for `target`, a URL with a port, to `target`.

    Refuses all other tunnels, and lists their hosts and ports in `refused`, for example
    "example.com:443". Runs inside a `with` block.
    """

    def __init__(self, target: str, folder: Path) -> None:
        super().__init__()
        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*NAMES).configure_cert(self._context)
        place = urlsplit(target)
        self._target = place.hostname, place.port
        self.refused: list[str] = []

    def listening(self) -> AbstractAsyncContextManager[int]:
        """Return a context manager that serves while it is open, and yields the port."""
        return serving(self._tunnel)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one CONNECT request, and copy bytes until one side closes."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, where = head.decode().split()[:2]
            direct = where == "{}:{}".format(*self._target)
            if method != "CONNECT" or not (direct or where in [f"{name}:443" for name in NAMES]):
                self.refused.append(where)
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if not direct:
                await writer.start_tls(self._context)
            other_reader, other = await asyncio.open_connection(*self._target)
            try:
                copies = [_copy(reader, other), _copy(other_reader, writer)]
                tasks = [asyncio.create_task(one) for one in copies]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            finally:
                other.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
