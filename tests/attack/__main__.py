"""Attacks the server from outside, as listed in docs/reliability.md; run by ``make attack``.

``python -m tests.attack [NAME...]`` runs the named attacks, or all of them, one after another, and
prints a line for each. The exit code is 1 if a promise was broken.
"""

import sys
import time
import traceback
from collections.abc import Callable

from . import crowds, disks, machine, processes
from .site import Impossible, Site, site

ATTACKS: tuple[Callable[[Site], str], ...] = (
    processes.killed_worker,
    processes.stopped_worker,
    processes.stopped_server,
    processes.killed_parent,
    processes.double_stop,
    processes.restarts,
    disks.full_log,
    disks.full_dumps,
    disks.full_data,
    disks.full_sign_in,
    disks.read_only_home,
    disks.moved_log,
    machine.closed_terminal,
    machine.few_files,
    machine.little_memory,
    machine.clock_jumps,
    machine.only_ipv6,
    machine.no_route,
    machine.two_servers,
    crowds.idle_connections,
    crowds.many_streams,
)


def main(names: list[str]) -> int:
    """Run the attacks; return the exit code."""
    known = {attack.__name__: attack for attack in ATTACKS}
    if unknown := set(names) - set(known):
        sys.stderr.write(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join(known)}.\n")
        return 2
    failed = 0
    for name in names or known:
        begun = time.monotonic()
        try:
            with site() as place:
                result = f"held: {known[name](place)}"
        except Impossible as error:
            result = f"not tried: {error}"
        except Exception:
            failed += 1
            result = f"BROKEN: {traceback.format_exc()}"
        sys.stdout.write(f"{name:18}{time.monotonic() - begun:6.1f} s  {result}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
