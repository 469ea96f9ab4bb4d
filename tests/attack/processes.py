"""Processes that are killed, suspended and restarted at the worst times."""

import os
import signal
import time
from pathlib import Path

from tests.ports import free_port

from .site import Server, Site, Stream, can_listen, until


def killed_worker(site: Site) -> str:
    """If a worker is killed, its streams are visibly cut off; the other worker's are complete."""
    with site.serve("--workers", "2") as server:
        first, second = server.children()
        kept = _streams_without(second, server)
        cut = _streams_without(first, server)
        os.kill(second, signal.SIGKILL)
        assert all(stream.is_whole for stream in kept)
        assert not any(stream.is_whole for stream in cut)
        assert not any("[DONE]" in stream.text for stream in cut), "a cut stream looks complete"
        until(lambda: len(server.children()) == 2, "a new worker")
        server.check()
        return "6 of 6 streams of the other worker complete, 6 of 6 of its own visibly cut"


def _streams_without(worker: int, server: Server) -> list[Stream]:
    """Start six streams while `worker` is suspended, so that another worker receives them."""
    os.kill(worker, signal.SIGSTOP)
    stat = Path(f"/proc/{worker}/stat")
    until(lambda: ") T " in stat.read_text(), "stop of the worker")
    try:
        return [Stream(server, rate=20, count=60) for _ in range(6)]
    finally:
        os.kill(worker, signal.SIGCONT)


def stopped_worker(site: Site) -> str:
    """If a worker is briefly suspended, all streams arrive complete."""
    with site.serve("--workers", "2") as server:
        streams = [Stream(server, rate=50, count=100) for _ in range(8)]
        worker = server.children()[0]
        os.kill(worker, signal.SIGSTOP)
        for _ in range(20):
            server.check()
        time.sleep(3)
        os.kill(worker, signal.SIGCONT)
        assert all(stream.is_whole for stream in streams)
        return "8 of 8 streams complete; the other worker answered 20 requests in the meantime"


def stopped_server(site: Site) -> str:
    """If the whole server is suspended and resumed, all streams arrive complete."""
    with site.serve() as server:
        streams = [Stream(server, rate=50, count=100) for _ in range(8)]
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(float(os.environ.get("STOPPED_SECONDS", "5")))
        server.process.send_signal(signal.SIGCONT)
        assert all(stream.is_whole for stream in streams)
        server.check()
        return "8 of 8 streams complete"


def killed_parent(site: Site) -> str:
    """If the main process is killed, open streams complete, and the port becomes free."""
    with site.serve("--workers", "3") as server:
        stream = Stream(server, rate=50, count=100)
        workers = server.children()
        server.process.kill()
        server.process.wait()
        assert stream.is_whole
        until(lambda: can_listen(server.port), "a free port")
        until(lambda: not any(map(_is_running, workers)), "the end of the workers")
        return "the open stream was completed, then the port was free"


def _is_running(process: int) -> bool:
    try:
        # In a container, nothing may read the exit status of a process whose parent was killed.
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def restarts(site: Site) -> str:
    """After each of a hundred restarts on one port, the server answers, even if it was killed."""
    port = free_port()
    for number in range(int(os.environ.get("RESTARTS", "100"))):
        with site.serve(port=port) as server:
            server.check()
            if number % 10 == 9:
                server.process.kill()
                server.process.wait()
            else:
                assert 0 == server.stop(), server.said
    return f"{number + 1} starts, each answered"


def double_stop(site: Site) -> str:
    """After repeated stop signals, the server stops, and open streams end with an error."""
    with site.serve() as server:
        stream = Stream(server, rate=10, count=1000)
        for _ in range(20):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        server.process.wait(60)
        assert not stream.is_whole
        assert '"error"' in stream.text, stream.text[-500:]
        return f"exit code {server.process.returncode}; the stream ended with an error"
