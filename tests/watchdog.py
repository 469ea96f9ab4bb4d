"""Measures how long the event loop of a real server is blocked, in a separate process.

``python -m tests.watchdog URL TOKEN`` serves with GitHub and Copilot at URL. It prints its own URL.
For each line that it reads, it prints the longest pause since the previous line, in milliseconds.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from copilot_proxy.server.gc_tuning import tune_gc_for_serving
from copilot_proxy.settings import load_settings
from tests.conftest import Proxy

_INTERVAL = 0.002
"""Interval between clock readings in seconds."""


class Watchdog:
    """The server in a separate process."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process = process
        self.url = url

    def longest_pause(self) -> float:
        """Return the longest pause of the loop since the last call, in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline()) / 1000


@contextlib.contextmanager
def watched(url: str, token: str) -> Iterator[Watchdog]:
    """Run a server with GitHub and Copilot at `url` while the block runs."""
    command = [sys.executable, "-m", "tests.watchdog", url, token]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Watchdog(process, process.stdout.readline().strip())
        finally:
            process.communicate(timeout=60)


class _Watch:
    """The longest pause by the wall clock, limited to the CPU time of this process.

    Therefore, a pause does not count if the machine was busy with other processes.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        wall, computed = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(_INTERVAL)
            now, computing = time.perf_counter(), time.process_time()
            pause = min(now - wall - _INTERVAL, computing - computed)
            self.longest = max(self.longest, pause)
            wall, computed = now, computing


class _Watched(Proxy):
    def __enter__(self) -> "_Watched":
        super().__enter__()
        self.watch = _Watch()
        asyncio.run_coroutine_threadsafe(self.watch.run(), self._loop)
        return self


def main() -> None:
    """Serve until stdin ends."""
    url, token = sys.argv[1:]
    settings = load_settings(
        {"github_url": url, "github_api_url": url, "github_token": token, "ollama": True}
    )
    with tune_gc_for_serving(), _Watched(settings) as proxy:
        sys.stdout.write(f"{proxy.url}\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            sys.stdout.write(f"{proxy.watch.longest * 1000}\n")
            sys.stdout.flush()
            proxy.watch.longest = 0.0


if __name__ == "__main__":
    main()
