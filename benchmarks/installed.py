"""Installs this proxy as a user would: the package alone, in its own environment.

The test environment has additional packages, some of which would be loaded: for example, Litestar
imports pydantic if it is installed.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT

_FOLDER: Final = ROOT / "build" / "installed"


def own_build() -> list[str]:
    """Install this checkout and return its command; the first time takes longer."""
    python = _FOLDER / "bin" / "python"
    if not python.exists():
        _run(sys.executable, "-m", "venv", str(_FOLDER))
    _pip(python, "install", str(ROOT))
    _pip(python, "install", "--force-reinstall", "--no-deps", str(ROOT))
    return [str(python.with_name("copilot-proxy"))]


def _pip(python: Path, *arguments: str) -> None:
    _run(str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
