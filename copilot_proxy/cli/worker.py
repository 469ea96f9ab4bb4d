"""The program of a worker process, which serves requests under a supervisor.

It ignores Ctrl+C and the closing of the terminal, which the supervisor handles by sending commands
to its workers. If the supervisor has exited, the worker finishes its open requests and exits.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from copilot_proxy.auth.credential import Credential
from copilot_proxy.cli.error_boundary import flush_stderr, open_streams, run_command
from copilot_proxy.cli.server_runner import known_credential_first, new_event_loop
from copilot_proxy.cli.startup import speed_up_startup
from copilot_proxy.composition import make_backend, make_server
from copilot_proxy.dumps import dumps_for
from copilot_proxy.logs.log_file import log_file_for
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.server.gc_tuning import tune_gc_for_serving
from copilot_proxy.server.uvicorn_server import Server
from copilot_proxy.server.worker_channel import WorkerConfig, receive_config

LEEWAY: Final = 3.0
"""How many seconds longer than the supervisor a worker waits for open requests. Normally, the
supervisor cuts off the requests of all workers at the same time. A worker does so only if the
supervisor has exited."""


def main() -> None:
    """Run the program. The argument is the file descriptor of the supervisor's socket."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Unblock the signals, which the supervisor blocked before it started this process.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    speed_up_startup()
    open_streams()
    channel = socket.socket(fileno=int(sys.argv[1]))
    code = run_command(lambda: run_worker(channel), debug=False)
    flush_stderr()
    sys.exit(code)


def run_worker(channel: socket.socket) -> None:
    """Serve with the configuration from `channel` until the supervisor exits or says to stop."""
    config = receive_config(channel)
    if config is None:
        channel.close()
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_Worker(config).run(channel))


class _Worker:
    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._reporter = Reporter()

    async def run(self, channel: socket.socket) -> None:
        settings = self._config.settings
        reader, self._writer = await asyncio.open_unix_connection(sock=channel)
        # The supervisor writes to the configured log file, and each worker to a file next to it.
        with (
            log_file_for(settings, worker=self._config.number + 1) as log_file,
            logging_to_stderr(settings.log_format, self._reporter, log_file),
        ):
            try:
                await self._serve(reader)
            finally:
                self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        from copilot_proxy.auth.stores import Credentials
        from copilot_proxy.metrics.workers import SharedMetrics

        config = self._config
        settings = replace(
            config.settings, shutdown_timeout=config.settings.shutdown_timeout + LEEWAY
        )
        load: Callable[[], Awaitable[Credential | None]]
        load = Credentials.from_settings(settings).load_async
        if config.credential is not None:
            load = known_credential_first(config.credential, load)
        backend = make_backend(
            settings,
            report=self._reporter,
            load=load,
            dumps=dumps_for(settings),
            serving=True,
            metrics=SharedMetrics(config.metrics_folder, config.number),
        )
        server = make_server(
            settings,
            backend,
            report=self._reporter,
            simulated=config.simulated,
            supervised=True,
            on_ready=lambda: self._send("ready", 0),
            on_finishing=lambda count: self._send("finishing", count),
            on_cut=self._cut,
        )
        commands = asyncio.create_task(_handle_commands(reader, server))
        try:
            with ExitStack() as stack, tune_gc_for_serving():
                sockets = [
                    stack.enter_context(socket.socket(fileno=one)) for one in config.listeners
                ]
                await server.serve(sockets=sockets)
        finally:
            commands.cancel()
            await backend.aclose()

    def _cut(self, count: int) -> None:
        self._reporter.is_cutting = True
        self._send("cut", count)

    def _send(self, event: str, count: int) -> None:
        self._writer.write(f"{event} {count}\n".encode())


async def _handle_commands(reader: asyncio.StreamReader, server: Server) -> None:
    try:
        async for line in reader:
            if line == b"cut\n":
                server.cut()
            else:
                server.finish()
    finally:
        server.finish()  # the supervisor has closed the channel or exited


if __name__ == "__main__":
    main()
