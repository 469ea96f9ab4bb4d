"""Checks the service, if one is installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, broken, from_error, off, ok, warning
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.service.definition import ServiceState
from copilot_proxy.service.installation import folder_of, read_failure, read_installation
from copilot_proxy.service.installer import manager_for, service_for
from copilot_proxy.service.readiness import error_of
from copilot_proxy.settings import Settings

_INSTALL = "Run: copilot-proxy service install"


def check_service(context: CheckContext) -> Iterator[Result]:
    """Check whether the service is running and belongs to this installation."""
    settings = context.settings
    try:
        manager = manager_for(settings)
        state = manager.state(service_for(settings))
    except CopilotProxyError as error:
        yield from_error(error)
        return
    if not state.installed:
        yield off("not installed")
        return
    folder = folder_of(settings)
    failure = read_failure(folder)
    if failure is not None and not state.running:
        reason = error_of(failure)
        yield broken(f"The service does not start: {reason.message}", reason.hint or _INSTALL)
    elif read_installation(folder) is None:
        yield broken("The service's settings are missing.", _INSTALL)
    elif not (state.running or waits(state)):
        yield warning("The service is not running.", "Run: copilot-proxy service restart")
    elif _is_changed(settings, state):
        yield warning("The service was installed by another version of copilot-proxy.", _INSTALL)
    else:
        yield ok(f"running; starts {state.starts}" if state.running else f"starts {state.starts}")


def waits(state: ServiceState) -> bool:
    """Return whether the service is waiting for a client to connect before it starts."""
    return state.installed and not state.running and state.on_demand


def is_waiting(settings: Settings) -> bool:
    """Return whether connecting to the server would start it."""
    try:
        return waits(manager_for(settings).state(service_for(settings)))
    except CopilotProxyError:
        return False


def files_of(settings: Settings) -> list[Path]:
    """Return the existing files that define the service."""
    try:
        manager = manager_for(settings)
    except CopilotProxyError:
        return []
    service = service_for(settings, on_demand=sys.platform == "linux")
    return [path for path in manager.files(service) if path.exists()]


def _is_changed(settings: Settings, state: ServiceState) -> bool:
    """Return whether the service's files differ from the ones that would be written now."""
    service = service_for(settings, on_demand=state.on_demand)
    for path, content in manager_for(settings).files(service).items():
        try:
            if path.read_text(encoding="utf-8") != content:
                return True
        except (OSError, UnicodeDecodeError):
            return True
    return False
