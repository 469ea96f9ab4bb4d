"""The fixtures of the command-line tests, which these tests use as well."""

from tests.cli.conftest import cli, program, simulator, terminal

__all__ = ["cli", "program", "simulator", "terminal"]
