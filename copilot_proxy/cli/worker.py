"""A worker: a process that answers requests for a server that has several.

It takes no part in the terminal: Ctrl+C and the end of the terminal are the server's to answer,
which then tells its workers. If the server is gone, it finishes what is open and ends.
"""

import asyncio
import signal
import socket
import sys
from dataclasses import replace
from typing import Final

from copilot_proxy.cli.boundary import give_up_stderr, guard, open_streams
from copilot_proxy.cli.serve_run import first, new_loop
from copilot_proxy.cli.startup import hasten
from copilot_proxy.composition import make_backend, make_server
from copilot_proxy.dumps import dumps_for
from copilot_proxy.logs.log_file import log_file_for
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.server.gc_tuning import collect_rarely_while_serving
from copilot_proxy.server.uvicorn_server import Server
from copilot_proxy.server.worker_channel import Start, receive

LEEWAY: Final = 3.0
"""Seconds that a worker waits longer for its answers than the server does, which tells it to cut
them, all workers at once; only a worker without a server decides by itself."""


def main() -> None:
    """The entry point; the argument is the descriptor of the socket to the server."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # They were held back from before this process began.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    hasten()
    open_streams()
    channel = socket.socket(fileno=int(sys.argv[1]))
    code = guard(lambda: work(channel), debug=False)
    give_up_stderr()
    sys.exit(code)


def work(channel: socket.socket) -> None:
    """Serves as the server at the other end of `channel` says, until it says stop or is gone."""
    start = receive(channel)
    if start is None:
        channel.close()
        return
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_Work(start).run(channel))


class _Work:
    def __init__(self, start: Start) -> None:
        self._start = start
        self._reporter = Reporter()

    async def run(self, channel: socket.socket) -> None:
        settings = self._start.settings
        reader, self._writer = await asyncio.open_unix_connection(sock=channel)
        # The server itself has the file that is named, each worker one beside it.
        with (
            log_file_for(settings, worker=self._start.number + 1) as log_file,
            logging_to_stderr(settings.log_format, self._reporter, log_file),
        ):
            try:
                await self._serve(reader)
            finally:
                self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        from copilot_proxy.auth.stores import Credentials

        start = self._start
        settings = replace(
            start.settings, shutdown_timeout=start.settings.shutdown_timeout + LEEWAY
        )
        look = Credentials.from_settings(settings).load_async
        load = first(start.credential, look) if start.credential else look
        connection = make_backend(
            settings,
            report=self._reporter,
            load=load,
            dumps=dumps_for(settings),
            serving=True,
        )
        server = make_server(
            settings,
            connection,
            report=self._reporter,
            simulated=start.simulated,
            supervised=True,
            on_ready=lambda: self._tell("ready", 0),
            on_finishing=lambda count: self._tell("finishing", count),
            on_cut=self._cut,
        )
        orders = asyncio.create_task(_obey(reader, server))
        try:
            with socket.socket(fileno=start.listener) as listener, collect_rarely_while_serving():
                await server.serve(sockets=[listener])
        finally:
            orders.cancel()
            await connection.aclose()

    def _cut(self, count: int) -> None:
        self._reporter.is_cutting = True
        self._tell("cut", count)

    def _tell(self, event: str, count: int) -> None:
        self._writer.write(f"{event} {count}\n".encode())


async def _obey(reader: asyncio.StreamReader, server: Server) -> None:
    try:
        async for line in reader:
            if line == b"cut\n":
                server.cut()
            else:
                server.finish()
    finally:
        server.finish()  # the server that gave the orders is gone


if __name__ == "__main__":
    main()
