"""Installs and removes the service; a failed installation restores the previous state."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.launchers import launcher
from copilot_proxy.service.definition import Service, ServiceError, ServiceManager
from copilot_proxy.service.installation import (
    Installation,
    folder_of,
    read_installation,
    remove_installation,
    renewed,
    write_installation,
)
from copilot_proxy.service.launchd import Launchd
from copilot_proxy.service.python_path import stable_path
from copilot_proxy.service.readiness import address_of, health_of, wait_until_ready
from copilot_proxy.service.systemd import Systemd
from copilot_proxy.service.task_scheduler import TaskScheduler
from copilot_proxy.settings import Settings

_PROGRAM: Final = "copilot_proxy.cli.service_process"
_STOP_MARGIN: Final = 15
"""Seconds allowed for stopping once all open requests have finished."""


def manager_for(settings: Settings, platform: str = sys.platform) -> ServiceManager:
    """Return the service manager of the operating system `platform`. Raises `ServiceError`."""
    if platform == "linux":
        return Systemd()
    if platform == "darwin":
        return Launchd()
    if platform == "win32":
        return TaskScheduler(folder_of(settings))
    raise ServiceError(
        f"copilot-proxy cannot install services on {platform}.",
        hint="Have your service manager run: copilot-proxy serve",
    )


def service_for(settings: Settings, *, on_demand: bool = False) -> Service:
    """Return the service for the profile in the settings."""
    listen = None
    if on_demand:
        host = settings.host.strip("[]")
        port = f"[{host}]:{settings.port}" if ":" in host else f"{host}:{settings.port}"
        listen = str(settings.uds.absolute()) if settings.uds else port
    return Service(
        profile=settings.profile,
        # -P keeps Python from importing modules from the folder in which the service happens to
        # start.
        command=(stable_path(sys.executable), "-P", "-m", _PROGRAM, str(folder_of(settings))),
        stop_timeout=int(settings.shutdown_timeout) + _STOP_MARGIN,
        listen=listen,
    )


def check(settings: Settings, *, on_demand: bool) -> None:
    """Raise `UsageError` or `ServiceError` if the service could not work."""
    if settings.port == 0 and not settings.uds:
        raise UsageError("A service needs a fixed port.", hint="Set port to 8000, for example.")
    if on_demand and sys.platform != "linux":
        raise UsageError("--on-demand needs systemd.")
    if launcher() is not None:
        raise ServiceError(
            "This copy of copilot-proxy is temporary, so a service would stop working within days.",
            hint="Install it first: pipx install g-copilot-proxy",
        )
    health, installation = health_of(settings), read_installation(folder_of(settings))
    if health is not None and (
        installation is None or health.get("instance") != installation.instance
    ):
        raise ServiceError(
            f"Another copilot-proxy is running at {address_of(settings)}.", hint="Stop it first."
        )


def install(
    manager: ServiceManager, service: Service, settings: Settings, installation: Installation
) -> dict[str, Any]:
    """Install the service, start it, and return its ``/health`` as soon as it responds.

    An existing installation is replaced. If the server does not start, the old installation is
    restored, and the server's error is raised.
    """
    folder = folder_of(settings)
    files = manager.files(service)
    other = manager.files(service_for(settings, on_demand=service.listen is None))
    before = {path: _content(path) for path in {**other, **files}}
    installation_before = read_installation(folder)
    try:
        _write({**dict.fromkeys(other), **files})
        write_installation(folder, installation)
        manager.activate(service)
        return wait_until_ready(settings, installation.instance, folder)
    except BaseException:
        # This also runs after Ctrl+C. A second error must not hide the first.
        with suppress(CopilotProxyError, OSError):
            _restore(manager, service, settings, before, installation_before)
        raise


def restart(manager: ServiceManager, service: Service, settings: Settings) -> None:
    """Restart the service, and return when the new server responds. Raises the server's error."""
    folder = folder_of(settings)
    old = read_installation(folder)
    if old is None:
        raise ServiceError(
            "The service's settings are missing.", hint="Run: copilot-proxy service install"
        )
    # With a different id, the old server cannot be mistaken for the new one.
    installation = renewed(old)
    write_installation(folder, installation)
    manager.restart(service)
    wait_until_ready(settings, installation.instance, folder)


def uninstall(manager: ServiceManager, settings: Settings) -> bool:
    """Stop and remove the service; return whether there was one."""
    service = service_for(settings)
    found = manager.state(service).installed
    if found:
        manager.deactivate(service)
    remove_installation(folder_of(settings))
    return found


def _restore(
    manager: ServiceManager,
    service: Service,
    settings: Settings,
    before: Mapping[Path, str | None],
    installation: Installation | None,
) -> None:
    folder = folder_of(settings)
    manager.deactivate(service)
    remove_installation(folder)
    if installation is not None:
        write_installation(folder, installation)
    if all(content is None for content in before.values()):
        return
    _write(before)
    sockets = [path for path in before if path.suffix == ".socket" and before[path] is not None]
    manager.activate(service_for(settings, on_demand=bool(sockets)))


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _write(files: Mapping[Path, str | None]) -> None:
    """Write the files, removing those without content."""
    for path, content in files.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
