"""What a server and its worker processes tell each other, through a pair of sockets.

First the server sends a `Start`, then each side sends lines. The server's are ``finish`` and
``cut``; a worker's are ``ready 0``, ``finishing N`` and ``cut N``, where N counts open answers.
When the other side is gone, the socket ends: so each learns of it, whatever the reason.
"""

import io
import pickle
import socket
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy.auth.credential import Credential
from copilot_proxy.settings import Settings

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, kw_only=True)
class Start:
    """All that a worker needs. It holds secrets, so that it never stands in an argument or in the
    environment, which other programs can read."""

    number: int
    """From 1."""
    settings: Settings
    credential: Credential | None
    """What the server has found; without it the worker looks for itself."""
    simulated: bool
    listener: int
    """The descriptor of the socket that all workers listen on."""


class _Pickler(pickle.Pickler):
    """Takes read-only mappings as well, of which settings are full."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(table: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(table)  # its own name cannot be looked up


def packed(start: Start) -> bytes:
    """`start` as it is sent."""
    body = io.BytesIO()
    _Pickler(body).dump(start)
    return _LENGTH.pack(len(body.getvalue())) + body.getvalue()


def receive(channel: socket.socket) -> Start | None:
    """The start that comes through `channel`; None if the server has gone before it came."""
    head = channel.recv(_LENGTH.size, socket.MSG_WAITALL)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = channel.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        return None
    start: Start = pickle.loads(body)  # noqa: S301  # nobody but our own server has the other end
    return start
