"""The program that ``run`` starts as a server: it runs ``serve`` until no client holds a lease."""

import os
import signal
import sys
import threading
from pathlib import Path

from copilot_proxy.cli.error_boundary import flush_stderr, open_streams
from copilot_proxy.cli.main import run
from copilot_proxy.cli.startup import speed_up_startup
from copilot_proxy.server.leases import is_used, start_lock, wait_until_unused


def main() -> None:
    """Run the program. The arguments are the folder with the leases, followed by those for
    ``serve``."""
    folder, *arguments = sys.argv[1:]
    speed_up_startup()
    open_streams()
    threading.Thread(target=_stop_when_unused, args=[Path(folder)], daemon=True).start()
    code = run(["serve", *arguments])
    flush_stderr()
    sys.exit(code)


def _stop_when_unused(folder: Path) -> None:
    try:
        while True:
            wait_until_unused(folder)
            with start_lock(folder):
                if not is_used(folder):
                    _stop()
                    # Until this process has exited, no client may look for a server here.
                    threading.Event().wait()
    except OSError:
        # The user has removed the folder, so no client can find this server anymore.
        _stop()


def _stop() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGTERM)
    else:
        # The main thread waits for events, and wakes up only if it receives a signal itself.
        identity = threading.main_thread().ident
        signal.pthread_kill(identity, signal.SIGTERM) if identity else os._exit(0)


if __name__ == "__main__":
    main()
