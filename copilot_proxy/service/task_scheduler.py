"""The service as a task that starts when the user logs in, on Windows."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Final
from xml.sax.saxutils import escape

from copilot_proxy.service.commands import run, run_checked
from copilot_proxy.service.definition import DESCRIPTION, Service, ServiceState, remove_files

_NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_RUNNING: Final = ("Running", "267009")
"""The status and the last result of a running task; either is enough. Windows translates the
status, but the result, SCHED_S_TASK_RUNNING, is the same in all languages. Source: Microsoft's
constants of the Task Scheduler."""


class TaskScheduler:
    """The Windows Task Scheduler."""

    title = "scheduled task"

    def __init__(self, folder: Path) -> None:
        """`folder` is where the task's definition is written."""
        self._folder = folder

    def check(self) -> None:
        """Raise `ServiceError` if there is no schtasks."""
        run(["schtasks", "/?"])

    def files(self, service: Service) -> Mapping[Path, str]:
        """Return the definition of the task."""
        return {self._file: task(service, _user())}

    def activate(self, service: Service) -> None:
        """Register the task and start it."""
        run(["schtasks", "/End", "/TN", service.name])
        run_checked(["schtasks", "/Create", "/F", "/TN", service.name, "/XML", str(self._file)])
        run_checked(["schtasks", "/Run", "/TN", service.name])

    def deactivate(self, service: Service) -> None:
        """Stop the task, and delete it and its definition."""
        run(["schtasks", "/End", "/TN", service.name])
        run(["schtasks", "/Delete", "/F", "/TN", service.name])
        remove_files(self.files(service))

    def restart(self, service: Service) -> None:
        """Restart the task."""
        run(["schtasks", "/End", "/TN", service.name])
        run_checked(["schtasks", "/Run", "/TN", service.name])

    def state(self, service: Service) -> ServiceState:
        """Return the state of the task."""
        code, output = run(["schtasks", "/Query", "/TN", service.name, "/FO", "CSV", "/NH", "/V"])
        if code != 0:
            return ServiceState(installed=False)
        running = any(f'"{word}"' in output for word in _RUNNING)
        return ServiceState(True, running=running, starts="when you log in")

    def advice(self) -> str | None:
        """Return None, because a scheduled task needs no further steps."""
        return None

    @property
    def _file(self) -> Path:
        return self._folder / "task.xml"


def task(service: Service, user: str) -> str:
    """Return the definition of the task for `user` (``DOMAIN\\name``), as XML in ASCII.

    Windows reads this correctly whichever encoding it assumes, and whatever characters paths and
    names contain.
    """
    program, *arguments = service.command
    # The variant of the program without a console window.
    windowless = str(PureWindowsPath(program).with_name("pythonw.exe"))
    text = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="{_NAMESPACE}">
  <RegistrationInfo>
    <Description>{escape(DESCRIPTION)}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>{escape(user)}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>255</Count>
    </RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(windowless)}</Command>
      <Arguments>{escape(subprocess.list2cmdline(arguments))}</Arguments>
    </Exec>
  </Actions>
</Task>
"""
    return text.encode("ascii", "xmlcharrefreplace").decode()


def _user() -> str:
    name = os.environ.get("USERNAME", "")
    domain = os.environ.get("USERDOMAIN")
    return f"{domain}\\{name}" if domain else name
