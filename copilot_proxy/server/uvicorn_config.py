"""The uvicorn configuration for serving the application."""

import asyncio
from functools import partial
from typing import Any, Final

import uvicorn

from copilot_proxy.server.http_protocol import BoundedProtocol
from copilot_proxy.settings import Settings

_KEEP_ALIVE: Final = 75
"""Seconds after which an idle connection is closed."""
_PING_INTERVAL: Final = 20
"""Seconds between pings on a WebSocket; also the timeout for the answer to a ping."""


def server_config(app: Any, settings: Settings) -> uvicorn.Config:
    """Return the uvicorn configuration for serving `app`."""
    protocol: Any = partial(
        BoundedProtocol,
        receive_timeout=settings.receive_timeout,
        send_timeout=settings.read_timeout,
    )
    return uvicorn.Config(
        app,
        http=protocol,
        ws=_web_socket_protocol,  # type: ignore[arg-type]  # anything that returns a protocol
        # The library's limit is higher than ours, so that a message that is slightly too long is
        # refused with an error, rather than by closing the connection. Much longer ones would delay
        # other requests, since a message is decoded in a single step.
        ws_max_size=settings.max_body_bytes * 5 // 4,
        ws_ping_interval=_PING_INTERVAL,
        ws_ping_timeout=_PING_INTERVAL,
        # Compressing data that does not leave the machine would only take time.
        ws_per_message_deflate=False,
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE,
    )


def _web_socket_protocol(**arguments: Any) -> asyncio.Protocol:
    from copilot_proxy.server.web_socket_protocol import DrainingWebSocket

    return DrainingWebSocket(**arguments)
