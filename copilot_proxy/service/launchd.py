"""The service as a launchd agent, on macOS."""

import os
import plistlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from copilot_proxy.service.commands import run, run_checked
from copilot_proxy.service.definition import Service, ServiceState, remove_files

_RESTART_DELAY: Final = 10
_POLL: Final = 0.1
_PROCESS: Final = re.compile(r"^\s*pid = (\d+)$", re.MULTILINE)


class Launchd:
    """The launchd instance of the user's graphical session."""

    title = "launchd agent"

    def check(self) -> None:
        """Raise `ServiceError` if there is no launchctl."""
        run(["launchctl", "version"])

    def files(self, service: Service) -> Mapping[Path, str]:
        """Return the property list."""
        return {_file(service): property_list(service)}

    def activate(self, service: Service) -> None:
        """Load the agent, which starts it; if it is already loaded, stop it first."""
        _unload(service)
        run_checked(["launchctl", "bootstrap", _domain(), str(_file(service))])

    def deactivate(self, service: Service) -> None:
        """Stop and unload the agent, and remove its file."""
        _unload(service)
        remove_files(self.files(service))

    def restart(self, service: Service) -> None:
        """Restart the agent."""
        run_checked(["launchctl", "kickstart", "-k", _target(service)])

    def state(self, service: Service) -> ServiceState:
        """Return the state of the agent."""
        if not _file(service).is_file():
            return ServiceState(installed=False)
        code, output = run(["launchctl", "print", _target(service)])
        found = _PROCESS.search(output) if code == 0 else None
        return ServiceState(
            installed=True,
            running=found is not None,
            process=int(found[1]) if found else None,
            starts="when you log in",
        )

    def advice(self) -> str | None:
        """Return None, because a launchd agent needs no further steps."""
        return None


def label(service: Service) -> str:
    """Return the name of the agent."""
    return f"g-{service.name}"


def property_list(service: Service) -> str:
    """Return the definition of the agent, as XML."""
    content = {
        "Label": label(service),
        "ProgramArguments": list(service.command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": _RESTART_DELAY,
        "ExitTimeOut": service.stop_timeout,
        "Umask": 0o077,
    }
    return plistlib.dumps(content, sort_keys=False).decode()


def _unload(service: Service) -> None:
    """Stop and unload the agent, and wait until it has exited, since it cannot be loaded again
    before then."""
    run(["launchctl", "bootout", _target(service)])
    deadline = time.monotonic() + service.stop_timeout
    while run(["launchctl", "print", _target(service)])[0] == 0 and time.monotonic() < deadline:
        time.sleep(_POLL)


def _file(service: Service) -> Path:
    return Path.home() / "Library" / "LaunchAgents" / f"{label(service)}.plist"


def _domain() -> str:
    user: int = os.getuid() if hasattr(os, "getuid") else 0
    return f"gui/{user}"


def _target(service: Service) -> str:
    return f"{_domain()}/{label(service)}"
