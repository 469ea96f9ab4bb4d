"""Faults of the service, with a fake systemctl."""

from copilot_proxy.service.installation import (
    Failure,
    Installation,
    folder_of,
    write_failure,
    write_installation,
)
from copilot_proxy.service.installer import manager_for, service_for
from copilot_proxy.settings import Settings, load_settings
from tests.doctor.faults import fault
from tests.doctor.machine import Machine


def install(machine: Machine, state: str, *, changed: str = "") -> Settings:
    """Write the files of an installation, with a systemctl that reports `state`."""
    process = 4242 if state == "active" else 0
    machine.program(
        "systemctl",
        f"#!/bin/sh\necho ActiveState={state}; echo MainPID={process}; "
        "echo UnitFileState=enabled\n",
    )
    settings = load_settings()
    for path, content in manager_for(settings, "linux").files(service_for(settings)).items():
        machine.file(str(path.relative_to(machine.user)), content + changed)
    write_installation(folder_of(settings), Installation("instance", {}))
    return settings


@fault("service", "warning", "copilot-proxy service restart")
def service_that_does_not_run(machine: Machine) -> None:
    install(machine, "inactive")


@fault("service", "broken", "Choose another port")
def service_that_cannot_start(machine: Machine) -> None:
    settings = install(machine, "failed")
    text = "Error: Port 8000 is taken by nginx.\nChoose another port."
    write_failure(folder_of(settings), Failure("instance", 1, text))
    machine.expected.append("Port 8000 is taken by nginx.")


@fault("service", "broken", "copilot-proxy service install")
def service_without_its_settings(machine: Machine) -> None:
    settings = install(machine, "inactive")
    folder_of(settings).joinpath("service.json").unlink()


@fault("service", "warning", "copilot-proxy service install")
def service_of_another_version(machine: Machine) -> None:
    install(machine, "active", changed="# an older form\n")
