"""Parses a setting that is a command: a program and its arguments, not passed to a shell."""

import os
import shlex


def command_line(value: object) -> tuple[str, ...]:
    """Return the program and its arguments from a list, or from a string with quotes as in a shell.

    On Windows, backslashes in the string are literal. Raises `ValueError`.
    """
    if isinstance(value, str):
        if os.name == "posix":
            parts = shlex.split(value)
        else:
            parts = [part.strip('"') for part in shlex.split(value, posix=False)]
    elif isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        parts = list(value)
    else:
        raise ValueError("expected a command, as a string or a list of strings")
    if any("\0" in part for part in parts) or (parts and not parts[0]):
        raise ValueError("expected the name of a program, and its arguments")
    return tuple(parts)
