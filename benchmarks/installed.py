"""Installs this proxy as a person does: the package alone, in an environment of its own.

The environment of the tests has packages that nobody else has, and some would be loaded: Litestar
looks for pydantic, for one.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.processes import ROOT

_FOLDER: Final = ROOT / "build" / "installed"


def own_build() -> list[str]:
    """The command of what the checkout holds now; it takes some seconds, the first time more."""
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
