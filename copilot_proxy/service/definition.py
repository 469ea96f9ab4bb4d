"""The definition of a service on any operating system, and the interface of service managers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from copilot_proxy.errors import CopilotProxyError

_NAME: Final = "copilot-proxy"
DESCRIPTION: Final = "GitHub Copilot as a local API server"


class ServiceError(CopilotProxyError):
    """The operating system's service manager is missing, or has refused a request."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The server of one profile, as a service."""

    profile: str | None
    command: tuple[str, ...]
    """The command line of the server, with absolute paths."""
    stop_timeout: int
    """Maximum seconds that stopping may take."""
    listen: str | None = None
    """The address that systemd listens on for the server (``ListenStream=``); None if the server
    listens itself."""

    @property
    def name(self) -> str:
        """The name of the service; each profile has its own service."""
        return f"{_NAME}-{self.profile}" if self.profile else _NAME


@dataclass(frozen=True)
class ServiceState:
    """The state of a service, as reported by the operating system."""

    installed: bool
    running: bool = False
    process: int | None = None
    starts: str = ""
    """When the service starts, such as ``when you log in``."""
    on_demand: bool = False
    """Whether the service starts when a client connects."""


class ServiceManager(Protocol):
    """The service manager of an operating system. Methods raise `ServiceError`."""

    title: str
    """The operating system's name for the service, such as ``systemd user service``."""

    def check(self) -> None:
        """Raise `ServiceError` if this machine cannot run services for the user."""
        ...

    def files(self, service: Service) -> Mapping[Path, str]:
        """Return the files that define the service, and their contents."""
        ...

    def activate(self, service: Service) -> None:
        """Register the files, which have already been written, and start or restart the service."""
        ...

    def deactivate(self, service: Service) -> None:
        """Stop the service, unregister it, and remove its files."""
        ...

    def restart(self, service: Service) -> None:
        """Restart the service, or start it if it is not running."""
        ...

    def state(self, service: Service) -> ServiceState:
        """Return the state of the service."""
        ...

    def advice(self) -> str | None:
        """Return what the user should know after the installation, or None."""
        ...


def remove_files(files: Mapping[Path, str]) -> None:
    """Remove the files that exist."""
    for path in files:
        path.unlink(missing_ok=True)
