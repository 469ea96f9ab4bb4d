"""The ``serve`` command: checks the settings and runs the server."""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from copilot_proxy.cli.server_runner import ServerRunner, new_event_loop
from copilot_proxy.cli.shared_options import SimulateOption, UpstreamOption
from copilot_proxy.cli.sign_in_offer import with_sign_in
from copilot_proxy.cli.simulated_settings import settings_for
from copilot_proxy.composition import check_upstream
from copilot_proxy.errors import UsageError
from copilot_proxy.server.signals import restored_signals
from copilot_proxy.settings import Settings


class LogFormat(StrEnum):
    """The format of log lines."""

    text = "text"
    json = "json"


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 127.0.0.1 by default.", metavar="ADDRESS"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 8000 by default, 0 for any free port.", metavar="NUMBER"
        ),
    ] = None,
    uds: Annotated[
        Path | None,
        typer.Option(
            "--uds",
            help="Unix socket to listen on instead of a port; only you can connect to it.",
            metavar="PATH",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Number of processes that serve requests; 1 is usually enough.", metavar="NUMBER"
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            help="Key that clients must send. Set COPILOT_PROXY_API_KEY instead to hide it from "
            "other users of this machine.",
            metavar="KEY",
        ),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin of a web page that may call the server, such as http://localhost:3000; "
            "may be repeated.",
            metavar="ORIGIN",
        ),
    ] = None,
    default_model: Annotated[
        str | None, typer.Option(help="Model or family that `default` stands for.", metavar="MODEL")
    ] = None,
    upstream: UpstreamOption = None,
    ollama: Annotated[
        bool,
        typer.Option("--ollama", help="Also serve Ollama's API, on this port and on Ollama's own."),
    ] = False,
    ollama_port: Annotated[
        int | None,
        typer.Option(
            help="Second port for Ollama clients; 11434 by default, 0 for none. Implies --ollama.",
            metavar="NUMBER",
        ),
    ] = None,
    keep_alive: Annotated[
        float | None,
        typer.Option(
            help="Seconds without data after which a stream sends a keep-alive.", metavar="SECONDS"
        ),
    ] = None,
    fetch_images: Annotated[
        bool,
        typer.Option(
            "--fetch-images",
            help="Download images and PDFs from public https URLs in requests.",
        ),
    ] = False,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="Format of log lines; text by default.")
    ] = None,
    log_file: Annotated[
        str | None,
        typer.Option(
            help="Also write the log to this file; it is rotated when it becomes large.",
            metavar="PATH",
        ),
    ] = None,
    dump_dir: Annotated[
        str | None,
        typer.Option(
            help="Write every conversation to files in this folder, for debugging; the files are "
            "deleted after a day.",
            metavar="DIR",
        ),
    ] = None,
    simulate: SimulateOption = False,
) -> int:
    """Start a server with the OpenAI, Anthropic and other APIs."""
    has_port = host is not None or port is not None
    if uds and has_port:
        raise UsageError("--uds cannot be combined with --host or --port.")
    flags = {
        "host": host,
        "port": port,
        # A host or port on the command line overrides a socket in the settings.
        "uds": uds or ("" if has_port else None),
        "workers": workers,
        "api_key": api_key,
        "cors_origins": cors_origin or None,
        "default_model": default_model,
        "upstream": upstream.value if upstream else None,
        "ollama": ollama or ollama_port is not None or None,
        "ollama_port": ollama_port,
        "keep_alive": keep_alive,
        "fetch_images": fetch_images or None,
        "log_format": log_format.value if log_format else None,
        "log_file": log_file,
        "dump_dir": dump_dir,
    }
    with settings_for(flags, simulate=simulate) as (settings, simulator):
        return with_sign_in(lambda: _serve(settings, simulator.url if simulator else None))


def _serve(settings: Settings, simulator: str | None) -> int:
    from copilot_proxy.server import ollama_port
    from copilot_proxy.server.file_limits import raise_limit
    from copilot_proxy.server.listen_socket import bound
    from copilot_proxy.server.socket_activation import activated

    if settings.workers > 1 and sys.platform == "win32":
        raise UsageError("More than one worker needs Linux or macOS.")
    check_upstream(settings)
    raise_limit()
    settings, inherited = activated(settings)
    with inherited or bound(settings) as socket, ollama_port.bound(settings) as second:
        server = ServerRunner(settings, socket, simulator, second)
        with restored_signals(), asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(server.run())
