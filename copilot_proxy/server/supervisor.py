"""Keeps several worker processes at work on one socket, and ends them together.

The server itself answers nothing. A worker that dies takes its own answers with it and is replaced;
the others go on.
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
from copilot_proxy.server.worker_channel import Start
from copilot_proxy.server.worker_process import WorkerProcess

log = logging.getLogger(__name__)

_PAUSES: Final = (0.5, 30.0)
"""Seconds before a worker is replaced: at first, and at most; doubled in between."""
_STEADY: Final = 10.0
"""Seconds after which a worker that dies was not a failed start."""
_TRIES: Final = 5
"""Failed starts of every worker after which there is no hope."""
_REPORT: Final = 3.0
"""Seconds that a worker has to say how many answers are open, on a machine that is busy."""
_FAREWELL: Final = 6.0
"""Seconds that a worker has to end after it was told to cut; it needs about four of them."""


class Supervisor:
    """Runs `count` workers until it is told to stop; `was_cut` is true if answers that were open
    at the end had to be broken off because the person asked twice."""

    def __init__(
        self,
        start: Start,
        *,
        count: int,
        program: Sequence[str],
        patience: float,
        on_ready: Callable[[], None],
        on_finishing: Callable[[int], None],
        on_cut: Callable[[int], None],
    ) -> None:
        """`start` is what every worker gets, its number and the socket aside."""
        self.was_cut = False
        self._start = start
        self._count = count
        self._program = program
        self._patience = patience
        self._on_ready = on_ready
        self._on_finishing = on_finishing
        self._on_cut = on_cut
        self._workers: dict[int, WorkerProcess] = {}
        self._failures = dict.fromkeys(range(1, count + 1), 0)
        self._was_ready = False
        self._is_cutting = False
        self._stop = asyncio.Event()
        self._news = asyncio.Event()

    def stop(self) -> None:
        """The first time: finish what is open. The second time: at once."""
        if self._stop.is_set():
            self.was_cut = self._is_cutting = True
        self.finish()

    def finish(self) -> None:
        """Lets no one in any more, and ends when what is open has ended."""
        self._stop.set()
        self._news.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """While the block runs, Ctrl+C and a request to end stop the workers instead of Python."""
        with signals.answered(self.stop, self.finish):
            yield

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serves on the one socket given, which listens; closes it. Raises `CopilotProxyError` if
        no worker can be started."""
        (listener,) = sockets
        self._start = replace(self._start, listener=listener.fileno())
        keepers = [asyncio.create_task(self._keep(number)) for number in self._failures]
        for keeper in keepers:
            # One that ends by itself has failed in a way that nobody thought of.
            keeper.add_done_callback(lambda _: self.finish())
        try:
            await self._until(self._is_over)
            listener.close()
            await self._end()
        finally:
            for worker in self._alive():
                worker.kill()
            self._stop.set()
            await asyncio.gather(*keepers)
        if not self._was_ready and self._is_hopeless():
            raise CopilotProxyError(
                f"No worker could be started in {_TRIES} tries.",
                hint="What each said stands above. `--workers 1` does without them.",
            )

    async def _keep(self, number: int) -> None:
        """Keeps worker `number` at work until the end."""
        loop = asyncio.get_running_loop()
        start, pause = replace(self._start, number=number), _PAUSES[0]
        while not self._stop.is_set():
            began = loop.time()
            how = await self._run(start)
            if self._stop.is_set():
                break
            log.warning("Worker %d %s; another one is started.", number, how)
            # The sign-in may be another one by now.
            start = replace(start, credential=None)
            if loop.time() - began >= _STEADY:
                pause = _PAUSES[0]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()
            pause = min(2 * pause, _PAUSES[1])

    async def _run(self, start: Start) -> str:
        """Starts a worker and waits for its end, which is told in words."""
        try:
            worker = await WorkerProcess.start(self._program, start)
        except OSError as error:
            self._failed(start.number)
            return f"could not be started ({error.strerror})"
        self._workers[start.number] = worker
        if self._stop.is_set():
            worker.kill()
        code = await worker.follow(self._told)
        if not worker.is_ready:
            self._failed(start.number)
        return f"(process {worker.id}) {_end_of(code)}"

    def _told(self) -> None:
        for number, worker in self._workers.items():
            if worker.is_ready:
                self._failures[number] = 0
        if not self._was_ready and any(worker.is_ready for worker in self._alive()):
            self._was_ready = True
            self._on_ready()
        self._news.set()

    def _failed(self, number: int) -> None:
        self._failures[number] += 1
        self._news.set()

    def _is_over(self) -> bool:
        return self._stop.is_set() or (not self._was_ready and self._is_hopeless())

    def _is_hopeless(self) -> bool:
        return all(count >= _TRIES for count in self._failures.values())

    async def _end(self) -> None:
        """Lets the workers finish, then cut, then ends them, and says so once for all."""
        self._stop.set()
        for worker in self._alive():
            worker.finish()
        await self._until(
            lambda: self._is_cutting or all(one.finishing is not None for one in self._alive()),
            _REPORT,
        )
        if count := sum(worker.finishing or 0 for worker in self._workers.values()):
            self._on_finishing(count)
        await self._until(lambda: self._is_cutting or not self._alive(), self._patience)
        for worker in self._alive():
            worker.cut_open()
        await self._until(lambda: all(one.cut is not None for one in self._alive()), _REPORT)
        if count := sum(worker.cut or 0 for worker in self._workers.values()):
            self._on_cut(count)
        await self._until(lambda: not self._alive(), _FAREWELL)
        for number, worker in self._workers.items():
            if worker.is_alive:
                log.warning("Worker %d (process %d) hangs and is killed.", number, worker.id)

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self._workers.values() if worker.is_alive]

    async def _until(self, is_so: Callable[[], bool], seconds: float | None = None) -> None:
        """Waits until something is so, but no longer than that; what a worker says, or somebody
        asks for, is a reason to look again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_so():
                    self._news.clear()
                    await self._news.wait()


def _end_of(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
