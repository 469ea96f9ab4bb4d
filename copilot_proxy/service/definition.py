"""Defines a service for all operating systems, and the protocol of their service managers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from copilot_proxy.errors import CopilotProxyError

_NAME: Final = "copilot-proxy"
DESCRIPTION: Final = "GitHub Copilot as a local API server"


class ServiceError(CopilotProxyError):
    """The operating system's service manager is missing or has refused something."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The server of one profile as a service."""

    profile: str | None
    command: tuple[str, ...]
    """The command line of the server, with absolute paths."""
    stop_timeout: int
    """Seconds that it may take to stop."""
    listen: str | None = None
    """The address that systemd listens on for it (``ListenStream=``); None if it does so itself."""

    @property
    def name(self) -> str:
        """Its name; each profile has its own service."""
        return f"{_NAME}-{self.profile}" if self.profile else _NAME


@dataclass(frozen=True)
class ServiceState:
    """The state of a service, as the operating system reports it."""

    installed: bool
    running: bool = False
    process: int | None = None
    starts: str = ""
    """When it starts, such as ``when you log in``."""
    on_demand: bool = False
    """Whether it starts when a client connects."""


class ServiceManager(Protocol):
    """The service manager of an operating system; methods raise `ServiceError`."""

    title: str
    """Its name for the service, such as ``systemd user service``."""

    def check(self) -> None:
        """Raise `ServiceError` if this machine cannot run services for the user."""
        ...

    def files(self, service: Service) -> Mapping[Path, str]:
        """Return the files that define the service, with their content."""
        ...

    def activate(self, service: Service) -> None:
        """Register the files, which have been written, and start the service or restart it."""
        ...

    def deactivate(self, service: Service) -> None:
        """Stop the service and unregister it; the files are removed afterwards."""
        ...

    def restart(self, service: Service) -> None:
        """Restart the service, or start it."""
        ...

    def state(self, service: Service) -> ServiceState:
        """Return its state."""
        ...

    def advice(self) -> str | None:
        """Return what the user should know after the installation."""
        ...


def remove_files(files: Mapping[Path, str]) -> None:
    """Remove the files that exist."""
    for path in files:
        path.unlink(missing_ok=True)
