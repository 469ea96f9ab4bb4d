"""These tests use the fixtures of the command line tests."""

from tests.cli.conftest import cli, program, simulator, terminal

__all__ = ["cli", "program", "simulator", "terminal"]
