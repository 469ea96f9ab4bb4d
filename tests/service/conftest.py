"""Fixtures of the service tests: the fixtures for commands, and a systemd instance."""

from tests.cli.conftest import cli, memory_keyring, own_home, program, simulator

__all__ = ["cli", "memory_keyring", "own_home", "program", "simulator"]
