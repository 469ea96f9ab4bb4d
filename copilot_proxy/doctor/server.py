"""Checks the running server, and whether Ollama clients can find it."""

import socket
from collections.abc import Iterator
from dataclasses import replace

from copilot_proxy import __version__
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Result, broken, off, ok, warning
from copilot_proxy.doctor.server_facts import ServerFacts, read_server
from copilot_proxy.doctor.service import is_waiting
from copilot_proxy.server.discovery import has_old_config
from copilot_proxy.server.port_owner import base_url
from copilot_proxy.settings import Settings

_RESTART = "Stop it and start it again with: copilot-proxy serve"


def check_server(context: CheckContext) -> Iterator[Result]:
    """Check whether the server is running, has this program's version, and can do its job."""
    if is_waiting(context.settings):
        yield ok("starts when a client connects")
        return
    if context.settings.uds is None and context.settings.port == 0:
        yield ok("cannot be checked: with port 0, it listens on any free port")
        return
    facts = context.server()
    if not facts.is_running:
        yield ok(f"not running at {facts.address}")
    elif facts.health is None:
        owner = facts.owner or "another program"
        yield broken(
            f"{facts.address} is in use by {owner}, so the server cannot start there.",
            f"Stop that program, or use another port: copilot-proxy serve --port {_free_port()}",
        )
    else:
        problems = list(_problems(context.settings, facts, facts.health))
        yield from problems
        if not problems:
            simulated = ", with simulated answers" if facts.health.get("simulated") else ""
            yield ok(f"running at {facts.address}{simulated}")


def _problems(
    settings: Settings, facts: ServerFacts, health: dict[str, object]
) -> Iterator[Result]:
    version = str(health.get("version", ""))[:40]
    if version != __version__:
        yield warning(
            f"The server at {facts.address} is version {version}, but this is {__version__}.",
            _RESTART,
        )
    if has_old_config(settings, health.get("settings_read_at")):
        yield warning(
            f"{settings.config_file} was changed after the server at {facts.address} read it, so "
            "the server may use different settings from those shown here.",
            _RESTART,
        )
    if facts.refuses_key:
        yield warning(
            f"The server at {facts.address} was started with a different API key from the one "
            "in the settings.",
            f"Set COPILOT_PROXY_API_KEY to its key, or {_RESTART[0].lower()}{_RESTART[1:]}",
        )
    if health.get("signed_in") == "no":
        yield broken(
            f"The server at {facts.address} has no valid sign-in: {health.get('last_error')}",
            "Sign in with: copilot-proxy login",
        )
    cooldowns = health.get("cooldowns")
    for one in cooldowns if isinstance(cooldowns, list) else ():
        if isinstance(one, dict):
            subject = one.get("model") or "the account"
            yield warning(
                f"Copilot has refused requests for {subject} ({one.get('code')}), so the server "
                "sends none.",
                f"Wait {one.get('retry_in')} s.",
            )


def check_ollama(context: CheckContext) -> Iterator[Result]:
    """Check whether Ollama clients find the server on Ollama's own port."""
    settings = context.settings
    port = settings.ollama_port
    if not settings.ollama:
        yield off("off")
        return
    if port in (0, settings.port):
        yield ok("on the server's port")
        return
    facts = read_server(replace(settings, port=port, uds=None))
    if not facts.is_running or facts.health is not None:
        yield ok(f"also on port {port}")
        return
    what = f"Port {port}, which Ollama clients use, is in use by {facts.owner}"
    if settings.sources.get("ollama_port", "default") == "default":
        yield warning(
            f"{what}, so they do not reach this server.",
            f"Stop that program, or point the clients at {base_url(settings.host, settings.port)}",
        )
    else:
        yield broken(f"{what}, so the server will not start.", "Set ollama_port to another port.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
