"""A simulator of github.com, api.github.com and the Copilot API: a real server on loopback."""

from .faults import CATALOGUE as FAULTS
from .server import Simulator
from .state import SIMULATED_TOKEN

__all__ = ["FAULTS", "SIMULATED_TOKEN", "Simulator"]
