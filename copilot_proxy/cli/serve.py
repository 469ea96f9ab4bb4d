"""The ``serve`` command: checks that the account works, then serves until it is told to stop."""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from copilot_proxy.cli.serve_run import ServeRun, new_loop
from copilot_proxy.cli.upstream_option import UpstreamOption
from copilot_proxy.composition import check_upstream, settings_for
from copilot_proxy.errors import UsageError
from copilot_proxy.server.signals import put_back
from copilot_proxy.settings import Settings


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
        typer.Option(help="How many processes answer requests; 1 is plenty.", metavar="NUMBER"),
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
    upstream: UpstreamOption = None,
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
    log_file: Annotated[
        str | None,
        typer.Option(
            help="Also write the log to this file; it is begun anew when it gets large.",
            metavar="PATH",
        ),
    ] = None,
    dump_dir: Annotated[
        str | None,
        typer.Option(
            help="Write every conversation to files in this folder, for a day; to find out what "
            "was really said.",
            metavar="DIR",
        ),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Answer from a simulator; no account is needed.")
    ] = False,
) -> int:
    """Serve the OpenAI and Anthropic APIs on this machine."""
    has_port = host is not None or port is not None
    if uds and has_port:
        raise UsageError("--uds takes the place of --host and --port: give one or the other.")
    flags = {
        "host": host,
        "port": port,
        # A port that is asked for now wins over a socket in the file.
        "uds": uds or ("" if has_port else None),
        "workers": workers,
        "api_key": api_key,
        "cors_origins": cors_origin or None,
        "default_model": default_model,
        "upstream": upstream.value if upstream else None,
        "keep_alive": keep_alive,
        "fetch_images": fetch_images or None,
        "log_format": log_format.value if log_format else None,
        "log_file": log_file,
        "dump_dir": dump_dir,
    }
    with settings_for(flags, simulate=simulate) as (settings, simulator):
        return _serve(settings, simulator.url if simulator else None)


def _serve(settings: Settings, simulator: str | None) -> int:
    from copilot_proxy.server.file_limits import raise_limit
    from copilot_proxy.server.listen_socket import bound

    if settings.workers > 1 and sys.platform == "win32":
        raise UsageError("More than one worker needs Linux or macOS.")
    check_upstream(settings)
    raise_limit()
    with bound(settings) as socket:
        serving = ServeRun(settings, socket, simulator)
        with put_back(), asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(serving.run())
