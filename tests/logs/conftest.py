"""The fixtures of the command-line tests, for the tests in this folder."""

from tests.cli.conftest import cli, program, simulator, terminal

__all__ = ["cli", "program", "simulator", "terminal"]
