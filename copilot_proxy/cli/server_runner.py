"""Runs the server for ``serve``: checks the account, serves, and returns the exit code."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from copilot_proxy.cli.error_boundary import INTERRUPTED
from copilot_proxy.cli.lifecycle_messages import LifecycleMessages
from copilot_proxy.composition import make_backend, make_server
from copilot_proxy.dumps import dumps_for
from copilot_proxy.errors import NotSignedIn, UpstreamError
from copilot_proxy.logs.log_file import LogFile, log_file_for
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.server import signals
from copilot_proxy.server.gc_tuning import tune_gc_for_serving
from copilot_proxy.settings import Settings
from copilot_proxy.temporary_folders import temporary_folder

if TYPE_CHECKING:
    import socket

    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.catalogue import Catalogue
    from copilot_proxy.composition import Backend
    from copilot_proxy.server.ollama_port import OllamaPort
    from copilot_proxy.server.supervisor import Supervisor
    from copilot_proxy.server.uvicorn_server import Server

_MODELS_TIMEOUT: Final = 5.0
"""Seconds to wait for the model list before showing the banner without it."""

_ANNOUNCE_ATTEMPTS: Final = 60
_ANNOUNCE_SECONDS: Final = 1.0
"""Seconds before another attempt to print the banner."""


class ServerRunner:
    """Runs the server on a bound socket until the user stops the server."""

    def __init__(
        self,
        settings: Settings,
        socket: "socket.socket",
        simulator: str | None,
        ollama: "OllamaPort | None" = None,
    ) -> None:
        """`simulator` is the URL of the simulator, if one is used. `ollama` is the port for
        Ollama clients, if there is one."""
        from copilot_proxy.server.listen_socket import server_url

        self._settings = settings
        self._socket = socket
        self._sockets = [socket, *(ollama.listeners if ollama else ())]
        self._simulator = simulator
        self._reporter = Reporter()
        self._messages = LifecycleMessages(
            settings,
            address=lambda: server_url(socket, settings),
            simulator=simulator,
            ollama=ollama,
        )
        self._startup_error: Exception | None = None
        """An error that prevents the server from ever answering requests."""

    async def run(self) -> int:
        """Serve, and return the exit code.

        Raises `SignInError` if no account with Copilot is signed in, and `UsageError` if a setting,
        a certificate file or the log file is unusable.
        """
        with log_file_for(self._settings) as log_file:
            return await self._sign_in_and_serve(log_file)

    async def _sign_in_and_serve(self, log_file: LogFile | None) -> int:
        from copilot_proxy.auth.stores import Credentials

        dumps = dumps_for(self._settings)
        credentials = Credentials.from_settings(self._settings)
        credential = await credentials.load_async()
        if credential is None:
            raise NotSignedIn
        backend = make_backend(
            self._settings,
            report=self._reporter,
            load=known_credential_first(credential, credentials.load_async),
            dumps=dumps,
            serving=self._settings.workers == 1,
        )
        try:
            return await self._serve(backend, credential, log_file)
        finally:
            await backend.aclose()

    async def _serve(
        self, backend: "Backend", credential: "Credential", log_file: LogFile | None
    ) -> int:
        from copilot_proxy.daemon_threads import run_in_thread
        from copilot_proxy.server.listen_socket import listen

        single = self._settings.workers == 1
        # Importing the server takes about as long as waiting for GitHub, so do both in parallel.
        models = asyncio.create_task(backend.relay.models.catalogue())
        models.add_done_callback(_retrieve_exception)
        await run_in_thread(_import_server if single else _import_supervisor)

        announcement: asyncio.Task[None] | None = None

        async def announce() -> None:
            # The server already accepts requests; only the banner waits for GitHub.
            try:
                catalogue, upstream_error = await _wait_for_models(models)
                await self._announce(catalogue, upstream_error, credential)
            except Exception as error:  # no task awaits this one, so `_finish` raises the error
                self._startup_error = error
                server.finish()

        def on_ready() -> None:
            nonlocal announcement
            announcement = asyncio.create_task(announce())

        with (
            logging_to_stderr(self._settings.log_format, self._reporter, log_file),
            nullcontext() if single else temporary_folder() as shared,
        ):
            server: Server | Supervisor
            server = (
                self._server(backend, on_ready)
                if shared is None
                else self._supervisor(credential, on_ready, shared)
            )
            with server.capture_signals():
                # Let an earlier Ctrl+C take effect here, rather than in the middle of the startup.
                await asyncio.sleep(0)
                for one in self._sockets:
                    listen(one, self._settings)
                with tune_gc_for_serving():
                    await server.serve(sockets=self._sockets)
            if announcement is not None:
                announcement.cancel()
            self._finish()
        return INTERRUPTED if server.was_cut else 0

    async def _announce(
        self, catalogue: "Catalogue | None", error: UpstreamError | None, credential: "Credential"
    ) -> None:
        """Print the banner, and retry if its code cannot be loaded.

        That happens if clients use up all of the process's file descriptors.
        """
        for _ in range(_ANNOUNCE_ATTEMPTS):
            try:
                self._messages.ready(catalogue, error, credential)
            except OSError:
                await asyncio.sleep(_ANNOUNCE_SECONDS)
            else:
                return

    def _finish(self) -> None:
        # The server has stopped; another Ctrl+C would only interrupt the cleanup.
        signals.ignore_stop_signals()
        if self._startup_error is not None:
            raise self._startup_error
        self._messages.stopped()

    def _server(self, backend: "Backend", on_ready: Callable[[], None]) -> "Server":
        return make_server(
            self._settings,
            backend,
            report=self._reporter,
            simulated=self._simulator is not None,
            on_ready=on_ready,
            on_finishing=self._messages.finishing,
            on_cut=self._cut,
        )

    def _supervisor(
        self, credential: "Credential", on_ready: Callable[[], None], metrics_folder: Path
    ) -> "Supervisor":
        from copilot_proxy.server.supervisor import Supervisor
        from copilot_proxy.server.worker_channel import WorkerConfig
        from copilot_proxy.server.worker_process import worker_command

        config = WorkerConfig(
            number=0,
            settings=self._settings,
            credential=credential,
            simulated=self._simulator is not None,
            metrics_folder=metrics_folder,
            listeners=tuple(one.fileno() for one in self._sockets),
        )
        return Supervisor(
            config,
            count=self._settings.workers,
            program=worker_command(),
            shutdown_timeout=self._settings.shutdown_timeout,
            on_ready=on_ready,
            on_finishing=self._messages.finishing,
            on_cut=self._messages.cut,
        )

    def _cut(self, count: int) -> None:
        self._reporter.is_cutting = True
        self._messages.cut(count)


def known_credential_first(
    credential: "Credential", load: "Callable[[], Awaitable[Credential | None]]"
) -> "Callable[[], Awaitable[Credential | None]]":
    """Return a loader that returns `credential` the first time, and calls `load` after that.

    This avoids reading the keyring again, which may prompt the user.
    """
    known = [credential]

    async def load_next() -> "Credential | None":
        return known.pop() if known else await load()

    return load_next


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Create an event loop, with uvloop if that is installed, since it streams faster."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _import_server() -> None:
    import copilot_proxy.app
    import copilot_proxy.server.uvicorn_server  # noqa: F401


def _import_supervisor() -> None:
    import copilot_proxy.server.supervisor  # noqa: F401


async def _wait_for_models(
    models: "asyncio.Task[Catalogue]",
) -> "tuple[Catalogue | None, UpstreamError | None]":
    """Return the catalogue and None, or None and a temporary error.

    Both are None if GitHub does not respond in time. Raises errors that are permanent, such as
    `SignInError`.
    """
    done, _ = await asyncio.wait({models}, timeout=_MODELS_TIMEOUT)
    if not done:
        return None, None
    try:
        return models.result(), None
    except UpstreamError as error:
        return None, error


def _retrieve_exception(models: "asyncio.Task[Catalogue]") -> None:
    """Retrieve an exception that nobody awaited, so that asyncio does not log a warning."""
    if not models.cancelled():
        models.exception()
