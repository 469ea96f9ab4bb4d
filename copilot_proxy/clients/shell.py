"""Writes environment variables in shell syntax."""

import shlex
from collections.abc import Mapping


def exports(variables: Mapping[str, str], platform: str) -> str:
    """Return lines that set `variables`, for PowerShell on Windows and POSIX shells elsewhere."""
    if platform == "win32":
        quoted = {name: value.replace("'", "''") for name, value in variables.items()}
        return "\n".join(f"$env:{name} = '{value}'" for name, value in quoted.items())
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
