"""One run of the server, from the proof of the account to the exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from copilot_proxy.cli.announcer import Announcer
from copilot_proxy.cli.boundary import INTERRUPTED
from copilot_proxy.composition import make_backend, make_server
from copilot_proxy.dumps import dumps_for
from copilot_proxy.errors import NotSignedIn, UpstreamError
from copilot_proxy.logs.log_file import LogFile, log_file_for
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.server import signals
from copilot_proxy.server.gc_tuning import collect_rarely_while_serving
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    import socket

    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.catalogue import Catalogue
    from copilot_proxy.composition import Backend
    from copilot_proxy.server.supervisor import Supervisor
    from copilot_proxy.server.uvicorn_server import Server

_PROOF: Final = 5.0
"""Seconds that GitHub has to prove the account before it is said that it has not."""


class ServeRun:
    """Serves on a bound socket until it is told to stop."""

    def __init__(self, settings: Settings, socket: "socket.socket", simulator: str | None) -> None:
        """`simulator` is the simulator's address, if it answers."""
        from copilot_proxy.server.listen_socket import address_of

        self._settings = settings
        self._socket = socket
        self._simulator = simulator
        self._reporter = Reporter()
        self._announcer = Announcer(
            settings, address=lambda: address_of(socket, settings), simulator=simulator
        )
        self._refusal: Exception | None = None
        """Why the start has failed, and there will never be an answer."""

    async def run(self) -> int:
        """The exit code. Raises `SignInError` if there is no account that may use Copilot, and
        `UsageError` if a setting, a certificate file or the log file cannot work."""
        with log_file_for(self._settings) as log_file:
            return await self._signed_in(log_file)

    async def _signed_in(self, log_file: LogFile | None) -> int:
        from copilot_proxy.auth.stores import Credentials

        dumps = dumps_for(self._settings)
        credentials = Credentials.from_settings(self._settings)
        credential = await credentials.load_async()
        if credential is None:
            raise NotSignedIn(
                hint="Sign in with: copilot-proxy login\n"
                "Or try it without an account: copilot-proxy serve --simulate"
            )
        connection = make_backend(
            self._settings,
            report=self._reporter,
            load=first(credential, credentials.load_async),
            dumps=dumps,
            serving=self._settings.workers == 1,
        )
        try:
            return await self._serve(connection, credential, log_file)
        finally:
            await connection.aclose()

    async def _serve(
        self, connection: "Backend", credential: "Credential", log_file: LogFile | None
    ) -> int:
        from copilot_proxy.auth.threads import in_thread
        from copilot_proxy.server.listen_socket import listen

        alone = self._settings.workers == 1
        # Loading the framework takes about as long as GitHub's answer: both at once.
        models = asyncio.create_task(connection.relay.names.models())
        models.add_done_callback(_forget)
        await in_thread(_load_framework if alone else _load_supervisor)

        greeting: asyncio.Task[None] | None = None

        async def greet() -> None:
            # The server answers while GitHub has not; the block says what GitHub has said.
            try:
                catalogue, trouble = await _proved(models)
                self._announcer.greet(catalogue, trouble, credential)
            except Exception as error:  # nobody waits for this task: whatever it is, it is told
                self._refusal = error
                server.finish()

        def ready() -> None:
            nonlocal greeting
            greeting = asyncio.create_task(greet())

        with logging_to_stderr(self._settings.log_format, self._reporter, log_file):
            server: Server | Supervisor
            server = (
                self._server(connection, ready) if alone else self._supervisor(credential, ready)
            )
            with server.capture_signals():
                # A Ctrl+C from before this point ends here rather than in the middle of a start.
                await asyncio.sleep(0)
                listen(self._socket, self._settings)
                with collect_rarely_while_serving():
                    await server.serve(sockets=[self._socket])
            if greeting is not None:
                greeting.cancel()
            self._ended()
        return INTERRUPTED if server.was_cut else 0

    def _ended(self) -> None:
        # All is said; one more Ctrl+C would only break the tidying up.
        signals.ignore()
        if self._refusal is not None:
            raise self._refusal
        self._announcer.stopped()

    def _server(self, connection: "Backend", on_ready: Callable[[], None]) -> "Server":
        return make_server(
            self._settings,
            connection,
            report=self._reporter,
            simulated=self._simulator is not None,
            on_ready=on_ready,
            on_finishing=self._announcer.finishing,
            on_cut=self._cut,
        )

    def _supervisor(self, credential: "Credential", on_ready: Callable[[], None]) -> "Supervisor":
        from copilot_proxy.server.supervisor import Supervisor
        from copilot_proxy.server.worker_channel import Start
        from copilot_proxy.server.worker_process import command

        start = Start(
            number=0,
            settings=self._settings,
            credential=credential,
            simulated=self._simulator is not None,
            listener=self._socket.fileno(),
        )
        return Supervisor(
            start,
            count=self._settings.workers,
            program=command(),
            patience=self._settings.shutdown_timeout,
            on_ready=on_ready,
            on_finishing=self._announcer.finishing,
            on_cut=self._announcer.cut,
        )

    def _cut(self, count: int) -> None:
        self._reporter.is_cutting = True
        self._announcer.cut(count)


def first(
    credential: "Credential", load: "Callable[[], Awaitable[Credential | None]]"
) -> "Callable[[], Awaitable[Credential | None]]":
    """`load`, but `credential` the first time: a keyring may ask its owner at every look."""
    known = [credential]

    async def next_one() -> "Credential | None":
        return known.pop() if known else await load()

    return next_one


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one: it streams with less work."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _load_framework() -> None:
    import copilot_proxy.app
    import copilot_proxy.server.uvicorn_server  # noqa: F401


def _load_supervisor() -> None:
    import copilot_proxy.server.supervisor  # noqa: F401


async def _proved(
    models: "asyncio.Task[Catalogue]",
) -> "tuple[Catalogue | None, UpstreamError | None]":
    """The list of models, or why there is none yet; raises what says that there never will be."""
    done, _ = await asyncio.wait({models}, timeout=_PROOF)
    if not done:
        return None, None
    try:
        return models.result(), None
    except UpstreamError as error:
        return None, error


def _forget(models: "asyncio.Task[Catalogue]") -> None:
    """Takes note of a failure that came too late, so that asyncio does not complain about it."""
    if not models.cancelled():
        models.exception()
