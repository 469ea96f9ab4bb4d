"""Fixtures of the service tests: those of the commands, and a systemd."""

from tests.cli.conftest import cli, memory_keyring, own_home, program, simulator

__all__ = ["cli", "memory_keyring", "own_home", "program", "simulator"]
