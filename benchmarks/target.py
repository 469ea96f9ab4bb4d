"""Starts a target: this proxy with its default features, as a user runs it."""

import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.processes import TARGET_CORE, end, pinned

KEY: Final = "sk-bench-0123456789abcdef0123456789abcdef"
_START_TIMEOUT: Final = 60.0


@dataclass(frozen=True)
class Fake:
    """The address of the fake upstream, with TLS if it has `certificates`."""

    url: str
    certificates: str | None = None
    plain: str = ""
    """Its address without TLS."""


@dataclass
class Target:
    """A server under test; `process` is its process id, or None if it was started elsewhere."""

    name: str
    url: str
    process: int | None = None
    started: float | None = None
    """Seconds from starting the program until it first answers /v1/models."""
    prefix: str = "/v1"
    key: str = KEY
    models: Mapping[str, str] = field(default_factory=dict)
    """The upstream's model names -> the target's, where they differ."""


def environment(fake: Fake, home: Path) -> dict[str, str]:
    """Return the environment of this proxy: signed in to `fake`, without the user's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COPILOT_PROXY_") and not name.lower().endswith("_proxy")
    }
    ours = {
        "COPILOT_PROXY_HOME_DIR": str(home),
        "COPILOT_PROXY_GITHUB_URL": fake.url,
        "COPILOT_PROXY_GITHUB_API_URL": fake.url,
        "COPILOT_PROXY_GITHUB_TOKEN": "ghu_Bench00000000000000000000000000000000",
        "COPILOT_PROXY_API_KEY": KEY,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    if fake.certificates:
        ours["SSL_CERT_FILE"] = fake.certificates
    return {**kept, **ours}


@contextmanager
def ours(
    fake: Fake,
    folder: Path,
    *,
    build: Sequence[str],
    name: str = "ours",
    flags: Sequence[str] = (),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Target]:
    """Run `copilot-proxy serve` with its default features and an API key.

    `flags` are added to the command `build`, and `settings` to its environment.
    """
    port = free_port()
    command = [*build, "serve", "--port", str(port), *flags]
    environ = {**environment(fake, folder / f"home-{name}"), **settings}
    with started(name, command, environ, folder, port) as target:
        yield target


@contextmanager
def started(
    name: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
    port: int,
    **more: Any,
) -> Iterator[Target]:
    """Run a server on `port`, and yield it once it answers; it logs to `folder`/`name`.log."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("ab") as log:
        started_at = time.monotonic()
        with subprocess.Popen(
            pinned(command, TARGET_CORE),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process:
            try:
                target = Target(name, f"http://127.0.0.1:{port}", process.pid, **more)
                _await_models(target, process, folder / f"{name}.log")
                target.started = time.monotonic() - started_at
                yield target
            finally:
                end(process)


def get(url: str, key: str = KEY) -> bytes:
    """Return the body of a GET request, without certificate checks or HTTP proxies."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"})  # noqa: S310
    with opener.open(request, timeout=60) as answer:
        body: bytes = answer.read()
    return body


def free_port() -> int:
    """Return a port that is currently free."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await_models(target: Target, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if json.loads(get(target.url + target.prefix + "/models", target.key))["data"]:
                return
        except (OSError, ValueError, KeyError):
            time.sleep(0.005)
    raise RuntimeError(f"{target.name} did not start:\n{log.read_text()[-2000:]}")
