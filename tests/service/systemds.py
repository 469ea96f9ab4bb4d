"""A separate systemd for a test: a user instance, independent of the machine's instance."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PROGRAM: Final = "/lib/systemd/systemd"
_CGROUPS: Final = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"))
_TIMEOUT: Final = 60.0
_SCRIPT: Final = """
for folder in $GROUPS_OF_TEST; do echo $$ > "$folder/cgroup.procs" || exit 9; done
mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir -p /run/systemd/system || exit 9
exec "$0" --user --log-target=console --log-level=warning
"""
"""What systemd needs: a writable part of the cgroup tree, and the marker of a running systemd.

The marker exists only in a mount namespace.
"""


def reason_missing() -> str | None:
    """Return why this machine cannot run a systemd for a test, or None if it can."""
    if sys.platform != "linux" or not shutil.which("systemctl") or not os.path.exists(_PROGRAM):
        return "there is no systemd"
    if os.geteuid() != 0:
        return "only root can start a systemd without changing the user's own"
    if not all((folder / "cgroup.procs").is_file() for folder in _CGROUPS):
        return "the cgroups are laid out differently"
    return None


@contextmanager
def user_systemd(home: Path) -> Iterator[dict[str, str]]:
    """Run a systemd for a user with this home; yield the variables to connect to it."""
    runtime = Path(tempfile.mkdtemp(prefix="systemd-"))  # short, since it contains sockets
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"]}
    groups = [folder / runtime.name for folder in _CGROUPS]
    for group in groups:
        group.mkdir()
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SCRIPT, _PROGRAM],
        env={**environ, "GROUPS_OF_TEST": " ".join(map(str, groups))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + _TIMEOUT
        while _state(environ) != "active":
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # no event announces it
        yield environ
    finally:
        subprocess.run(["systemctl", "--user", "exit"], env=environ, check=False)
        try:
            process.wait(_TIMEOUT)
        finally:
            process.kill()
            process.communicate()
            for group in groups:
                with suppress(OSError):
                    for one in sorted(group.rglob("*/"), reverse=True):
                        one.rmdir()
                    group.rmdir()
            shutil.rmtree(runtime, ignore_errors=True)


def _state(environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["systemctl", "--user", "is-active", "default.target"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()
