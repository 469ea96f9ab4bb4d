"""Limits of the system, clocks that jump, and missing networks."""

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.ports import free_port

from .site import PROGRAM, Impossible, Site, Stream, until


def closed_terminal(site: Site) -> str:
    """With stdin, stdout or stderr closed, the server starts, answers and stops."""
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        with site.serve(shell=closed) as server:
            server.check()
            assert 0 == server.stop(), (closed, server.said)
    return "input, output, errors, and all three"


def few_files(site: Site) -> str:
    """With 64 file descriptors, clients wait or are refused, but later requests are answered."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with site.serve(prepare=limit) as server:
        idle = []
        for _ in range(200):
            with contextlib.suppress(OSError):
                idle.append(socket.create_connection(("127.0.0.1", server.port), 5))
        for one in idle:
            one.close()
        until(server.is_answering, "an answer after the crowd")
        assert "Traceback" not in server.said
        assert len(server.said) < 20_000, "a line for each failure"
        return f"{len(idle)} connections at once, then answers as before"


def little_memory(site: Site) -> str:
    """With 1.5 GB of memory, the server answers or refuses many large requests, and survives."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1536 * 2**20, 1536 * 2**20))

    with site.serve(prepare=limit) as server:
        statuses: list[int] = []

        def large() -> None:
            with contextlib.suppress(OSError):
                statuses.append(server.ask(" word" * (5 * 2**20)).status)

        threads = [threading.Thread(target=large) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        server.check()
        assert set(statuses) <= {200, 413, 429, 503}, statuses
        return f"16 requests of 25 MiB: {sorted(set(statuses))}, then answers as before"


def clock_jumps(site: Site) -> str:
    """If the clock jumps a day ahead and two days back, streams stay complete."""
    library = next(
        iter(
            [
                *Path("/usr/lib").glob("*/faketime/libfaketime.so.1"),
                *Path("/usr/lib").glob("faketime/libfaketime.so.1"),
            ]
        ),
        None,
    )
    if library is None:
        raise Impossible("needs libfaketime")
    offset = site.folder / "offset"
    offset.write_text("+0")
    more = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        # In seconds. Reading the file every time would slow down the start many times over.
        "FAKETIME_CACHE_DURATION": "1",
        # The monotonic clock does not jump.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with site.serve(more=more) as server:
        for jump in ("+0", "+1d", "-1d", "+1d", "+0"):
            stream = Stream(server, rate=50, count=150)
            offset.write_text(jump)
            server.check()
            assert stream.is_whole, (jump, stream.failure)
        assert 0 == server.stop()
        assert "Traceback" not in server.said, server.said[-3000:]
    return "streams during four jumps were complete"


def only_ipv6(site: Site) -> str:
    """With `--host ::1`, the server answers there and nowhere else."""
    try:
        free_port("::1")
    except OSError as error:
        raise Impossible("this machine has no IPv6") from error
    with site.serve(host="::1") as server:
        server.check()
        assert Stream(server, rate=0, count=20).is_whole
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), 2).close()
            raise AssertionError("it listens on IPv4, too")
        return "an answer and a stream over ::1, nothing on 127.0.0.1"


def no_route(site: Site) -> str:
    """On a machine without a network, the simulator works, and other requests get a clear error."""
    if not shutil.which("unshare") or os.geteuid():
        raise Impossible("a network namespace needs root")
    script = """
ip link set lo up 2>/dev/null || true
"$0" serve --simulate --port 8000 & server=$!
for try in $(seq 600); do grep -q ":1F40 .* 0A " /proc/net/tcp && break; sleep 0.1; done
"$0" chat --simulate hi; echo "simulated: $?"
COPILOT_PROXY_GITHUB_TOKEN=ghu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "$0" chat hi; echo "github: $?"
kill $server; wait $server; echo "server: $?"
"""
    environment = {
        name: value
        for name, value in site.environment().items()
        if not name.startswith("COPILOT_PROXY_GITHUB")
    }
    started = time.monotonic()
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", script, str(PROGRAM)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    shown = done.stdout + done.stderr
    if "unshare" in done.stderr and "simulated" not in shown:
        raise Impossible("this machine gives no network namespace")
    assert "simulated: 0" in shown, shown
    assert "server: 0" in shown, shown
    assert "github: 0" not in shown, shown
    assert "Traceback" not in shown, shown
    sentence = next(line for line in shown.splitlines() if line.startswith("Error: "))
    return f"simulator answers; after {time.monotonic() - started:.0f} s in all: {sentence[:70]}"


def two_servers(site: Site) -> str:
    """Two servers that share a sign-in and a ledger both answer, and record every request."""
    with site.serve() as one, site.serve() as other:
        streams = [Stream(server, rate=50, count=50) for server in (one, other) for _ in range(4)]
        for _ in range(50):
            one.check()
            other.check()
        assert all(stream.is_whole for stream in streams)
        assert [0, 0] == [one.stop(), other.stop()]
    requests = site.recorded_requests()
    assert 108 == requests, requests
    return f"108 answers, {requests} rows in their ledger"
