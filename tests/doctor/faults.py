"""The list of planted faults; other modules in this folder add to it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.doctor.machine import Machine

Plant = Callable[[Machine], None]


@dataclass(frozen=True)
class Fault:
    """A fault, and what the doctor must report about it."""

    plant: Plant
    check: str
    """The name of the check that finds it."""
    status: str
    remedy: str
    """Text that the first line of the output contains."""

    @property
    def name(self) -> str:
        return self.plant.__name__


FAULTS: list[Fault] = []


def fault(check: str, status: str, remedy: str) -> Callable[[Plant], Plant]:
    """Add a fault to the list; the decorated function plants it."""

    def add(plant: Plant) -> Plant:
        FAULTS.append(Fault(plant, check, status, remedy))
        return plant

    return add
