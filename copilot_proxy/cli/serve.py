"""The ``serve`` command: checks that the account works, then serves until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.boundary import INTERRUPTED
from copilot_proxy.cli.composition import make_connection, make_services, settings_for
from copilot_proxy.cli.console import talk
from copilot_proxy.cli.default_model import not_the_wanted
from copilot_proxy.cli.logs import Reporter, logging_to_stderr
from copilot_proxy.errors import NotSignedIn, UpstreamError
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    import socket

    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.catalogue import Catalogue
    from copilot_proxy.cli.composition import Connection
    from copilot_proxy.cli.server import Server

log = logging.getLogger(__name__)

_PROOF: Final = 5.0
"""Seconds that GitHub has to prove the account; the server starts without it after that."""


class LogFormat(StrEnum):
    """How log lines look."""

    text = "text"
    json = "json"


def serve(
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 127.0.0.1 unless told otherwise.", metavar="ADDRESS"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 8000 unless told otherwise, 0: any.", metavar="NUMBER"
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="Key that clients must send. COPILOT_PROXY_API_KEY keeps it out of sight of "
            "other users of this machine.",
            metavar="KEY",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Web page that may call the server, such as http://localhost:3000; may be "
            "repeated.",
            metavar="ORIGIN",
        ),
    ] = None,
    default_model: Annotated[
        str | None, typer.Option(help="Model that `default` means.", metavar="MODEL")
    ] = None,
    keep_alive: Annotated[
        float | None,
        typer.Option(help="Seconds of silence before a stream is kept awake.", metavar="SECONDS"),
    ] = None,
    fetch_images: Annotated[
        bool,
        typer.Option(
            "--fetch-images", help="Fetch images that a request names by a public https address."
        ),
    ] = False,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="Log lines for a person, or for a program.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Answer from a simulator; no account is needed.")
    ] = False,
) -> int:
    """Serve the OpenAI API on this machine."""
    from copilot_proxy.cli.listener import bind

    flags = {
        "host": host,
        "port": port,
        "api_key": api_key,
        "cors_origins": cors_origin or None,
        "default_model": default_model,
        "keep_alive": keep_alive,
        "fetch_images": fetch_images or None,
        "log_format": log_format.value if log_format else None,
    }
    with settings_for(flags, simulate=simulate) as (settings, simulator), bind(settings) as socket:
        run = _Run(settings, socket, simulator.url if simulator else None)
        with _undisturbed_end(), asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(run.serve())


@contextlib.contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Puts Ctrl+C back to what it was."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # not the main thread: nothing was changed
            signal.signal(signal.SIGINT, before)


class _Run:
    """One run of the server, from the first check to the exit code."""

    def __init__(self, settings: Settings, socket: "socket.socket", simulator: str | None) -> None:
        self._settings = settings
        self._socket = socket
        self._simulator = simulator
        self._reporter = Reporter()

    async def serve(self) -> int:
        """Raises `SignInError` if there is no account that may use Copilot."""
        from copilot_proxy.auth.stores import Credentials

        credentials = Credentials.from_settings(self._settings)
        credential = await credentials.load_async()
        if credential is None:
            raise NotSignedIn(
                hint="Sign in with: copilot-proxy login\n"
                "Or try it without an account: copilot-proxy serve --simulate"
            )
        connection = make_connection(
            self._settings,
            report=self._reporter,
            load=_first(credential, credentials.load_async),
        )
        try:
            return await self._serve(connection, credential)
        finally:
            await connection.aclose()

    async def _serve(self, connection: "Connection", credential: "Credential") -> int:
        from copilot_proxy.auth.threads import in_thread
        from copilot_proxy.cli.listener import listen

        # Loading the framework takes about as long as GitHub's answer: both at once.
        models = asyncio.create_task(connection.relay.models())
        try:
            await in_thread(_load_framework)
            catalogue, trouble = await _proved(models)
        finally:
            models.add_done_callback(_forget)
        with logging_to_stderr(self._settings.log_format, self._reporter):
            server = self._make_server(
                connection, lambda: self._greet(catalogue, trouble, credential)
            )
            with server.capture_signals():
                # A Ctrl+C from before this point ends here rather than in the middle of a start.
                await asyncio.sleep(0)
                listen(self._socket, self._settings)
                await server.serve(sockets=[self._socket])
            # All is said; one more Ctrl+C would only break the tidying up.
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._say("Stopped.", event="stopped")
        return INTERRUPTED if server.was_cut else 0

    def _make_server(self, connection: "Connection", on_ready: Callable[[], None]) -> "Server":
        from copilot_proxy.app import create_app
        from copilot_proxy.cli.server import Server

        services = make_services(
            self._settings,
            report=self._reporter,
            simulated=self._simulator is not None,
            connection=connection,
        )
        return Server(
            create_app(services),
            patience=self._settings.shutdown_timeout,
            on_ready=on_ready,
            on_finishing=self._finishing,
            on_cut=self._cut,
        )

    def _greet(
        self, catalogue: "Catalogue | None", trouble: UpstreamError | None, who: "Credential"
    ) -> None:
        from copilot_proxy.cli.listener import base_url
        from copilot_proxy.cli.welcome import Welcome, first_time_notice

        welcome = Welcome(
            settings=self._settings,
            address=base_url(self._settings.host, self._socket.getsockname()[1]),
            catalogue=catalogue,
            account=f"{who.login} ({who.host})" if who.login else None,
            simulator=self._simulator,
        )
        notice = None if self._simulator else first_time_notice(self._settings.data_dir)
        if notice:
            self._say(notice + "\n", event="notice")
        self._say(welcome.text(), **welcome.fields())
        if catalogue is None:
            self._say(_offline(trouble), event="offline")
        elif other := not_the_wanted(catalogue, self._settings):
            self._say(f"{other}\n", event="default_model")

    def _finishing(self, count: int) -> None:
        answers = "open answer" if count == 1 else "open answers"
        self._say(
            f"Finishing {count} {answers}; press Ctrl+C again to stop now.",
            event="finishing",
            open=count,
        )

    def _cut(self, count: int) -> None:
        self._reporter.stopped = True
        answers = "answer" if count == 1 else "answers"
        self._say(f"Cutting {count} {answers} that had not ended.", event="cut", open=count)

    def _say(self, text: str, **fields: object) -> None:
        """A line for the person, or for the program that reads the log."""
        if self._settings.log_format == "json":
            log.info("%s", text.strip().partition("\n")[0], extra={"fields": fields})
        else:
            talk(text)


def _offline(trouble: UpstreamError | None) -> str:
    """Why there is no list of models, and what becomes of it."""
    later = "The server answers as soon as GitHub does."
    if trouble is None:
        return f"GitHub has not answered yet. {later}"
    why = trouble.message.rstrip()
    why += "" if why.endswith((".", "!", "?")) else "."
    hint = f"\n{trouble.hint}" if trouble.hint else ""
    return f"The list of models cannot be had now: {why} {later}{hint}"


def _first(
    credential: "Credential", load: "Callable[[], Awaitable[Credential | None]]"
) -> "Callable[[], Awaitable[Credential | None]]":
    """`load`, but `credential` the first time: a keyring may ask its owner at every look."""
    known = [credential]

    async def next_one() -> "Credential | None":
        return known.pop() if known else await load()

    return next_one


def _load_framework() -> None:
    import copilot_proxy.app
    import copilot_proxy.cli.server  # noqa: F401


async def _proved(
    models: "asyncio.Task[Catalogue]",
) -> "tuple[Catalogue | None, UpstreamError | None]":
    """The list of models, or why there is none yet; raises `SignInError` if there never will be."""
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


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where there is one: it streams with less work."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
