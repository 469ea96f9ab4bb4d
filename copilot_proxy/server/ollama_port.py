"""Binds the second port, where clients expect Ollama.

Some clients only try port 11434, and others try it first. The port serves the same paths as the
server's main port.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server.listen_socket import bind
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.settings import Settings


class OllamaPort(NamedTuple):
    """The second port, or the problem that kept it from being opened."""

    listener: socket.socket | None = None
    problem: str | None = None
    """Why the port could not be used; None if nothing failed."""
    url: str | None = None
    """The URL of the second port, without a path; None if there is no second port."""

    @property
    def listeners(self) -> list[socket.socket]:
        """The listening socket, if there is one."""
        return [self.listener] if self.listener is not None else []


@contextmanager
def bound(settings: Settings) -> Iterator[OllamaPort]:
    """Bind the second port if the settings ask for one, and listen on it until the block ends.

    Raises `CopilotProxyError` if the user chose the port and it cannot be used. If the default port
    is unavailable, the server still starts, because the real Ollama may be using it.
    """
    port = settings.ollama_port
    if not settings.ollama or port in (0, settings.port if settings.uds is None else 0):
        yield OllamaPort()
        return
    # A Unix socket has no address for the second port.
    host = settings.host if settings.uds is None else "127.0.0.1"
    try:
        listener = bind(replace(settings, host=host, port=port, uds=None))
    except CopilotProxyError as error:
        if settings.sources.get("ollama_port", "default") == "default":
            yield OllamaPort(problem=error.message)
            return
        raise CopilotProxyError(
            error.message,
            hint="Use another --ollama-port, or --ollama-port 0: Ollama's API is also on the "
            "server's own port.",
        ) from error
    with listener:
        yield OllamaPort(listener, url=base_url(host, listener.getsockname()[1]))
