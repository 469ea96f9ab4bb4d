"""Checks the installation: the command on the PATH, and Node and pi-ai if they are used."""

import filecmp
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from copilot_proxy import __version__
from copilot_proxy.composition import check_upstream
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, from_error, off, ok, warning
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.launchers import launcher

_COMMAND: Final = "copilot-proxy"
_ALIAS: Final = "g-copilot-proxy"
_ENTRY: Final = b"copilot_proxy.__main__"
"""Every script that starts this program contains this text, however the script was installed."""
_SCRIPT_BYTES: Final = 64 * 1024


def check_program(context: CheckContext) -> Iterator[Result]:
    """Check whether the command on the PATH is this program."""
    version = ".".join(map(str, sys.version_info[:3]))
    found = shutil.which(_COMMAND, path=context.environ.get("PATH"))
    own = _own_script()
    if launcher() is not None:
        yield ok(f"version {__version__}, Python {version}, run without installation")
    elif found is None:
        folder = own.parent if own else Path(sys.executable).parent
        yield warning(
            f"The command {_COMMAND} is not on the PATH.",
            f"Add {folder} to the PATH, or, if you used pipx, run: pipx ensurepath",
        )
    elif own is not None and not _is_same(Path(found), own):
        if _is_ours(Path(found)):
            yield warning(
                f"{found} comes first on the PATH, but {own} is running: there are two "
                "installations.",
                f"Remove one of them, or run {own} by its full path.",
            )
        else:
            yield warning(
                f"{found} comes first on the PATH and is another program with the same name.",
                f"Use the command {_ALIAS} instead, or put {own.parent} first on the PATH.",
            )
    else:
        yield ok(f"version {__version__}, Python {version}")


def _own_script() -> Path | None:
    """Return the script installed with this Python, if any."""
    names = (_COMMAND, f"{_COMMAND}.exe")
    started = Path(sys.argv[0]) if sys.argv else Path()
    if started.name in (*names, _ALIAS, f"{_ALIAS}.exe") and started.is_file():
        return started.with_name(started.name.removeprefix("g-"))
    folder = Path(sys.executable).parent
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _is_same(one: Path, other: Path) -> bool:
    """Return whether the two are the same script or identical copies; pipx copies scripts on
    Windows."""
    try:
        return one.samefile(other) or filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _is_ours(path: Path) -> bool:
    """Return whether `path` is a script of this program, without running it."""
    try:
        with path.open("rb") as file:
            return _ENTRY in file.read(_SCRIPT_BYTES) or os.name == "nt"
    except OSError:
        return False


def check_upstream_program(context: CheckContext) -> Iterator[Result]:
    """Check whether Node and pi-ai are installed, if they are used."""
    if context.settings.upstream != "pi-ai":
        yield off("not used; Copilot is called directly")
        return
    try:
        check_upstream(context.settings)
    except CopilotProxyError as error:
        yield from_error(error)
    else:
        yield ok("installed")
