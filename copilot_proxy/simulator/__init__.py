"""A simulator of github.com, api.github.com and the Copilot API: a real server on loopback."""

from .catalogue import CATALOGUES
from .faults import CATALOGUE as FAULTS
from .server import Simulator
from .state import SIMULATED_TOKEN, Options

__all__ = ["CATALOGUES", "FAULTS", "SIMULATED_TOKEN", "Options", "Simulator"]
