"""The server under test, as a separate process that reports its resource usage.

Settings come from the environment. Prints a line of JSON with its address, then, every N seconds (N
is the argument), a line with the bytes of memory and the numbers of open files, tasks, threads and
Python objects.
"""

import asyncio
import gc
import json
import os
import sys
import threading
import time
from typing import Any

from benchmarks.processes import memory
from copilot_proxy.cli.server_runner import ServerRunner, new_event_loop
from copilot_proxy.server.listen_socket import bound
from copilot_proxy.settings import load_settings


def _used(started_at: float, frozen: int) -> dict[str, Any]:
    gc.collect()  # garbage that has not been collected yet is not a leak
    return {
        "time": time.monotonic() - started_at,
        "memory": memory(os.getpid()),
        "files": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "threads": threading.active_count(),
        "objects": _objects() - frozen,
    }


def _objects() -> int:
    """Return the number of objects that the garbage collector tracks, including frozen ones.

    Unlike `gc.get_objects`, this creates no references to them. A reference to a tuple that another
    thread is building would prevent Python from completing it.
    """
    gc.freeze()
    count = gc.get_freeze_count()
    gc.unfreeze()
    return count


async def _watch(port: int, every: float) -> None:
    while not await _is_listening(port):  # noqa: ASYNC110  # there is no event to await
        await asyncio.sleep(0.05)
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    started_at, frozen = time.monotonic(), gc.get_freeze_count()
    while True:
        print(json.dumps(_used(started_at, frozen)), flush=True)
        await asyncio.sleep(every)


async def _is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _serve() -> int:
    settings = load_settings()
    with bound(settings) as socket:
        port = socket.getsockname()[1]
        watching = asyncio.create_task(_watch(port, float(sys.argv[1])))
        try:
            return await ServerRunner(settings, socket, None).run()
        finally:
            watching.cancel()


def main() -> int:
    """Serve until SIGTERM or Ctrl+C; return the exit code."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_serve())


if __name__ == "__main__":
    sys.exit(main())
