"""Leases: a server is in use until every holder has ended, for whatever reason."""

import subprocess
import sys
import threading
from pathlib import Path

from copilot_proxy.server.leases import hold_lease, is_used, start_lock, wait_until_unused

HOLDER = """
import sys
from pathlib import Path
from copilot_proxy.server.leases import hold_lease
with hold_lease(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_holder_that_is_killed(tmp_path: Path) -> None:
    """The lease ends with its holder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert b"held\n" == holder.stdout.readline()
        waiting = threading.Thread(target=wait_until_unused, args=[tmp_path])
        waiting.start()
        assert is_used(tmp_path)
        holder.kill()
        waiting.join(60)

    assert not waiting.is_alive()
    assert not is_used(tmp_path)
    assert ["start.lock"] == [path.name for path in tmp_path.iterdir()]


def test_two_holders(tmp_path: Path) -> None:
    """The server is in use until the last holder has ended."""
    with hold_lease(tmp_path):
        with hold_lease(tmp_path):
            pass
        assert is_used(tmp_path)
    assert not is_used(tmp_path)


def test_the_start_lock(tmp_path: Path) -> None:
    """Only one process at a time starts or stops a server."""
    entered = threading.Event()

    def enter() -> None:
        with start_lock(tmp_path):
            entered.set()

    other = threading.Thread(target=enter)
    with start_lock(tmp_path):
        other.start()
        assert not entered.wait(0.05)
    assert entered.wait(60)
    other.join()
