"""The protocol between the supervisor and its worker processes, over a pair of sockets.

The supervisor first sends a `WorkerConfig`; then both sides send lines. The supervisor's commands
are ``finish`` and ``cut``. A worker's events are ``ready 0``, ``finishing N`` and ``cut N``, where
N is the number of open requests. When one process exits, the other reads the end of the stream.
"""

import io
import pickle
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy.auth.credential import Credential
from copilot_proxy.settings import Settings

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """Everything that a worker needs to start.

    It contains secrets, so it is never passed in arguments or the environment, which other programs
    could read.
    """

    number: int
    """The worker's number, from 1."""
    settings: Settings
    credential: Credential | None
    """The credential loaded by the supervisor; if None, the worker loads it."""
    simulated: bool
    listeners: tuple[int, ...]
    """The file descriptors of the sockets that all workers listen on."""
    metrics_folder: Path | None = None
    """The folder where the workers share their counters."""


class _Pickler(pickle.Pickler):
    """A pickler that also supports the read-only mappings in settings."""

    def reducer_override(self, value: object) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(table: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(table)  # pickle cannot find `mappingproxy` by its own name


def encode_config(config: WorkerConfig) -> bytes:
    """Return `config` in its wire format: a 4-byte length, then a pickle."""
    body = io.BytesIO()
    _Pickler(body).dump(config)
    return _LENGTH.pack(len(body.getvalue())) + body.getvalue()


def receive_config(channel: socket.socket) -> WorkerConfig | None:
    """Return the configuration received from `channel`, or None if the supervisor has exited."""
    head = channel.recv(_LENGTH.size, socket.MSG_WAITALL)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = channel.recv(length, socket.MSG_WAITALL)
    if len(body) < length:
        return None
    config: WorkerConfig = pickle.loads(body)  # noqa: S301  # only our supervisor has the other end
    return config
