"""Keeps several worker processes running on one socket, and shuts them down together.

The supervisor itself does not serve requests. If a worker dies, its open requests are lost and it
is replaced; other workers are not affected.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server import signals
from copilot_proxy.server.worker_channel import WorkerConfig
from copilot_proxy.server.worker_process import WorkerProcess

log = logging.getLogger(__name__)

_RESTART_DELAYS: Final = (0.5, 30.0)
"""The first and the longest delay in seconds before a worker is replaced; the delay doubles each
time."""
_MIN_UPTIME: Final = 10.0
"""Seconds that a worker must have run for the restart delay to start over."""
_MAX_FAILED_STARTS: Final = 5
"""How many times every worker must fail to start before the supervisor gives up."""
_REPORT_TIMEOUT: Final = 3.0
"""Seconds for a worker to report its open requests; generous, for busy machines."""
_EXIT_TIMEOUT: Final = 6.0
"""Seconds for a worker to exit after the command ``cut``; it needs about four."""


class Supervisor:
    """Runs `count` workers until it is stopped.

    The callbacks are those of `uvicorn_server.Server`, called with the sums over all workers.
    `was_cut` is true if the user asked twice to stop while requests were open.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        count: int,
        program: Sequence[str],
        shutdown_timeout: float,
        on_ready: Callable[[], None],
        on_finishing: Callable[[int], None],
        on_cut: Callable[[int], None],
    ) -> None:
        """`config` is for all workers; the listeners and each worker's number are added to it."""
        self.was_cut = False
        self._config = config
        self._count = count
        self._program = program
        self._shutdown_timeout = shutdown_timeout
        self._on_ready = on_ready
        self._on_finishing = on_finishing
        self._on_cut = on_cut
        self._workers: dict[int, WorkerProcess] = {}
        self._failures = dict.fromkeys(range(1, count + 1), 0)
        self._was_ready = False
        self._is_cutting = False
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()

    def stop(self) -> None:
        """Finish open requests on the first call; cut them off on the second."""
        if self._stop.is_set():
            self.was_cut = self._is_cutting = True
        self.finish()

    def finish(self) -> None:
        """Stop accepting connections, and exit when all open requests have finished."""
        self._stop.set()
        self._changed.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While the block runs, stop the workers on signals instead of exiting Python."""
        with signals.handle_stop_signals(self.stop, self.finish):
            yield

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serve on `sockets`, which must already be listening, and close them.

        Raises `CopilotProxyError` if no worker can be started.
        """
        self._config = replace(self._config, listeners=tuple(one.fileno() for one in sockets))
        tasks = [asyncio.create_task(self._keep_running(number)) for number in self._failures]
        for task in tasks:
            # A task that ends before the shutdown has failed unexpectedly.
            task.add_done_callback(lambda _: self.finish())
        try:
            await self._wait_until(self._should_stop)
            for one in sockets:
                one.close()
            await self._shut_down()
        finally:
            for worker in self._alive():
                worker.kill()
            self._stop.set()
            await asyncio.gather(*tasks)
        if not self._was_ready and self._has_failed_to_start():
            raise CopilotProxyError(
                f"No worker could be started in {_MAX_FAILED_STARTS} attempts.",
                hint="See the workers' errors above, or use --workers 1 to serve from one process.",
            )

    async def _keep_running(self, number: int) -> None:
        """Run worker `number`, restarting it whenever it ends, until the shutdown."""
        loop = asyncio.get_running_loop()
        config, delay = replace(self._config, number=number), _RESTART_DELAYS[0]
        while not self._stop.is_set():
            started = loop.time()
            outcome = await self._run(config)
            if self._stop.is_set():
                break
            log.warning("Worker %d %s; restarting it.", number, outcome)
            # The user may have signed in again, so the new worker must load the credential itself.
            config = replace(config, credential=None)
            if loop.time() - started >= _MIN_UPTIME:
                delay = _RESTART_DELAYS[0]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stop.wait()
            delay = min(2 * delay, _RESTART_DELAYS[1])

    async def _run(self, config: WorkerConfig) -> str:
        """Start a worker, wait until it exits, and describe how it ended."""
        try:
            worker = await WorkerProcess.start(self._program, config)
        except OSError as error:
            self._count_failure(config.number)
            return f"could not be started ({error.strerror})"
        self._workers[config.number] = worker
        if self._stop.is_set():
            worker.kill()
        code = await worker.follow(self._on_worker_event)
        if not worker.is_ready:
            self._count_failure(config.number)
        return f"(process {worker.id}) {_describe_exit(code)}"

    def _on_worker_event(self) -> None:
        for number, worker in self._workers.items():
            if worker.is_ready:
                self._failures[number] = 0
        if not self._was_ready and any(worker.is_ready for worker in self._alive()):
            self._was_ready = True
            self._on_ready()
        self._changed.set()

    def _count_failure(self, number: int) -> None:
        self._failures[number] += 1
        self._changed.set()

    def _should_stop(self) -> bool:
        return self._stop.is_set() or (not self._was_ready and self._has_failed_to_start())

    def _has_failed_to_start(self) -> bool:
        return all(count >= _MAX_FAILED_STARTS for count in self._failures.values())

    async def _shut_down(self) -> None:
        """Wait for open requests, then cut off any that remain, then kill workers still running.

        Reports the sums over all workers.
        """
        self._stop.set()
        for worker in self._alive():
            worker.finish()
        await self._wait_until(
            lambda: self._is_cutting or all(one.finishing is not None for one in self._alive()),
            _REPORT_TIMEOUT,
        )
        for worker in self._alive():
            # A worker that is not ready hangs at startup. One that is ready may have requests that
            # it has not reported.
            if not worker.is_ready:
                worker.kill()
        if count := sum(worker.finishing or 0 for worker in self._workers.values()):
            self._on_finishing(count)
        await self._wait_until(
            lambda: self._is_cutting or not self._alive(), self._shutdown_timeout
        )
        for worker in self._alive():
            worker.cut_requests()
        await self._wait_until(
            lambda: all(one.cut is not None for one in self._alive()), _REPORT_TIMEOUT
        )
        if count := sum(worker.cut or 0 for worker in self._workers.values()):
            self._on_cut(count)
        await self._wait_until(lambda: not self._alive(), _EXIT_TIMEOUT)
        for number, worker in self._workers.items():
            if worker.is_alive:
                log.warning(
                    "Worker %d (process %d) is not responding; killing it.", number, worker.id
                )

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers.values() if worker.is_alive]

    async def _wait_until(
        self, condition: Callable[[], bool], timeout: float | None = None
    ) -> None:
        """Wait until `condition` returns true, for at most `timeout` seconds.

        The condition is checked again after each event from a worker and each request to stop.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
