"""Keyring backends for the tests: one that works, and one for each kind of failure."""

import threading
from typing import ClassVar

from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
from keyring.errors import KeyringError, KeyringLocked, PasswordDeleteError


class MemoryKeyring(KeyringBackend):
    """A working keyring, in memory."""

    priority: ClassVar[float] = -1  # keyring never chooses it automatically

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.entries.pop((service, username), None) is None:
            raise PasswordDeleteError("no such entry")


class BrokenKeyring(MemoryKeyring):
    """A keyring that raises `error` from every call."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error

    def delete_password(self, service: str, username: str) -> None:
        raise self.error


class ForgetfulKeyring(MemoryKeyring):
    """A keyring that accepts entries but does not store them."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class PromptingKeyring(MemoryKeyring):
    """A keyring that blocks in a password prompt until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self.released.wait(60)
        return super().get_password(service, username)


class EmptyChain(ChainerBackend):
    """A chain without backends, as keyring creates it on a bare machine."""

    priority: ClassVar[float] = -1
    backends: ClassVar[list[KeyringBackend]] = []


ERRORS = (
    KeyringError("the collection is gone"),
    RuntimeError("org.freedesktop.DBus.Error.ServiceUnknown"),
    OSError(5, "Input/output error"),
    TimeoutError("timed out"),
    ValueError("odd"),
    SystemExit("odd"),
)
LOCKED = KeyringLocked("Failed to unlock the collection!")
