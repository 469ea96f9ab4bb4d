"""The fixtures of the command-line tests, for use in these tests."""

from tests.cli.conftest import cli, program, simulator, terminal

__all__ = ["cli", "program", "simulator", "terminal"]
