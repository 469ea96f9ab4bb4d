"""The service as a systemd user unit, on Linux."""

import getpass
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from copilot_proxy.service.commands import run, run_checked
from copilot_proxy.service.definition import (
    DESCRIPTION,
    Service,
    ServiceError,
    ServiceState,
    remove_files,
)

_RESTART_DELAY: Final = 3
"""Seconds until a failed server is started again."""
_OTHER: Final = "Have a container or another service manager run: copilot-proxy serve"
_STATES: Final = ("active", "activating", "reloading")


class Systemd:
    """The user's own systemd."""

    title = "systemd user service"

    def check(self) -> None:
        """Raise `ServiceError` if there is no systemd for this user."""
        if shutil.which("systemctl") is None:
            raise ServiceError("This machine has no systemd.", hint=_OTHER)
        code, output = self._ask("show-environment")
        if code != 0:
            raise ServiceError(
                "systemd is not running for this user: "
                f"{output.splitlines()[-1] if output else 'no reason given'}",
                hint="Log in to this machine directly, not with su or sudo. "
                f"Or {_OTHER[0].lower()}{_OTHER[1:]}",
            )

    def files(self, service: Service) -> Mapping[Path, str]:
        """Return the units."""
        folder = _unit_folder()
        units = {folder / f"{service.name}.service": service_unit(service)}
        if service.listen is not None:
            units[folder / f"{service.name}.socket"] = socket_unit(service)
        return units

    def activate(self, service: Service) -> None:
        """Load the units, and start them now and in future sessions."""
        self._tell("daemon-reload")
        service_name, socket_name = f"{service.name}.service", f"{service.name}.socket"
        if service.listen is None:
            self._ask("disable", "--now", socket_name)
            self._tell("enable", service_name)
            self._tell("restart", service_name)
        else:
            self._ask("disable", "--now", service_name)
            self._tell("enable", socket_name)
            self._tell("restart", socket_name)

    def deactivate(self, service: Service) -> None:
        """Stop, disable and remove the units."""
        for kind in ("socket", "service"):
            self._ask("disable", "--now", f"{service.name}.{kind}")
        remove_files(dict.fromkeys((_unit_folder() / f"{service.name}.socket",), ""))
        remove_files(self.files(service))
        self._tell("daemon-reload")
        for kind in ("socket", "service"):
            self._ask("reset-failed", f"{service.name}.{kind}")

    def restart(self, service: Service) -> None:
        """Restart the service."""
        self._tell("restart", f"{service.name}.service")

    def state(self, service: Service) -> ServiceState:
        """Return the state of the units."""
        unit = _unit_folder() / f"{service.name}.service"
        if not unit.is_file():
            return ServiceState(installed=False)
        self.check()
        shown = self._tell(
            "show", f"{service.name}.service", "--property=ActiveState,MainPID,UnitFileState"
        )
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        on_demand = unit.with_suffix(".socket").is_file()
        process = int(values.get("MainPID") or 0) or None
        return ServiceState(
            installed=True,
            running=values.get("ActiveState") in _STATES and process is not None,
            process=process,
            starts=_starts(values.get("UnitFileState") == "enabled", on_demand),
            on_demand=on_demand,
        )

    def advice(self) -> str | None:
        """Return a note that the service stops when the user logs out, or None if it does not."""
        if _lingers() is not False:
            return None
        return (
            "It runs while you are logged in. To start it at boot, without a login, run: "
            "loginctl enable-linger"
        )

    def _ask(self, *arguments: str) -> tuple[int, str]:
        return run(["systemctl", "--user", *arguments], _environ())

    def _tell(self, *arguments: str) -> str:
        return run_checked(["systemctl", "--user", *arguments], _environ())


def service_unit(service: Service) -> str:
    """Return the server's unit."""
    install = "" if service.listen else "\n[Install]\nWantedBy=default.target\n"
    return f"""\
[Unit]
Description={DESCRIPTION} ({service.name})
StartLimitIntervalSec=0

[Service]
ExecStart={" ".join(map(quoted, service.command))}
Restart=on-failure
RestartSec={_RESTART_DELAY}
KillMode=mixed
TimeoutStopSec={service.stop_timeout}
NoNewPrivileges=true
UMask=0077
{install}"""


def socket_unit(service: Service) -> str:
    """Return the unit of the socket that starts the server when a client connects."""
    listen = service.listen or ""
    extra = "SocketMode=0600\nRemoveOnStop=true\n" if listen.startswith("/") else ""
    return f"""\
[Unit]
Description=Address of {service.name}

[Socket]
ListenStream={listen.replace("%", "%%")}
{extra}
[Install]
WantedBy=sockets.target
"""


def quoted(word: str) -> str:
    """Quote a word of a command line in a unit, where %, $ and backslashes are special."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _unit_folder() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME")
    top = Path(configured) if configured else Path.home() / ".config"
    return top / "systemd" / "user"


def _environ() -> Mapping[str, str]:
    """Return the environment with XDG_RUNTIME_DIR, which systemctl needs but `su` does not set."""
    folder = f"/run/user/{os.getuid()}"
    if "XDG_RUNTIME_DIR" in os.environ or not os.path.isdir(folder):
        return os.environ
    return {**os.environ, "XDG_RUNTIME_DIR": folder}


def _starts(enabled: bool, on_demand: bool) -> str:
    if on_demand:
        return "when a client connects"
    if not enabled:
        return "only manually"
    return "at boot" if _lingers() else "when you log in"


def _lingers() -> bool | None:
    """Return whether the user's systemd runs even without a login, or None if unknown."""
    try:
        code, output = run(["loginctl", "show-user", getpass.getuser(), "--property=Linger"])
    except (ServiceError, OSError):
        return None
    if code != 0:
        # loginctl does not know users without a session. For them, this file shows the setting.
        return None if not output else Path("/var/lib/systemd/linger", getpass.getuser()).exists()
    return output == "Linger=yes"
