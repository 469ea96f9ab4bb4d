"""The servers for testing faults: a simulator, a gateway in front of it, and the tested server."""

import asyncio
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trustme

from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, clear_environment, settings_at
from tests.faults.answers import Seen, read
from tests.faults.cells import ROUTES, Route
from tests.faults.gateway import Gateway
from tests.faults.scripts import SCRIPTS
from tests.faults.table import Row
from tests.matrix_clients import Ask

NAME: Final = "copilot.test"
"""The host name of the gateway with TLS, which only resolves in these tests."""
MIDDLE: Final = 8
"""Number of events before the simulator fails mid-stream, enough for some text on any API."""
TIMEOUT: Final = 60.0
"""Seconds after which an event that should happen immediately counts as missing."""
SHORT_TIMEOUTS: Final = {
    "script:stall_after_all": "copilot_proxy.relay.reply._END_TIMEOUT",
    "stall_after_finish": "copilot_proxy.relay.reply._END_TIMEOUT",
    "script:refusal_without_end": "copilot_proxy.upstreams.http.copilot._ERROR_BODY_TIMEOUT",
}
"""Timeouts that are not settings, shortened because the tests would otherwise take seconds."""
_DRAIN_TIMEOUT: Final = "copilot_proxy.upstreams.http.response._DRAIN_TIMEOUT"
FLAGS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "renewed": {},
    "httpx": {"pool": True},
    "timeouts": {"read_timeout": "0.4"},
    "early": {"read_timeout": "0.4", "header_grace": "0.01"},
}


class Setup:
    """A simulator, a gateway in front of it, and a server that uses them."""

    def __init__(
        self,
        simulator: Simulator,
        gateway: Gateway,
        proxy: Proxy,
        http: httpx.Client,
        *,
        is_hasty: bool,
    ) -> None:
        """`is_hasty` means that the server has short timeouts.

        On a busy machine, short timeouts may end requests that should succeed, so those are
        retried.
        """
        self.simulator = simulator
        self.gateway = gateway
        self.proxy = proxy
        self.http = http
        self.is_hasty = is_hasty
        self.lookup_fails = False
        """Whether the gateway's name cannot be looked up."""
        self._full: dict[tuple[str, bool], str] = {}

    def full(self, route: Route, stream: bool) -> str:
        """Return the client's result without a fault."""
        key = (route.name, stream)
        if key not in self._full:
            self._full[key] = self.answer(route, stream)
        return self._full[key]

    def answer(self, route: Route, stream: bool) -> str:
        """Return the text of an answer without a fault."""
        deadline = time.monotonic() + TIMEOUT
        while (seen := self.ask(route, stream)).error is not None:
            if not self.is_hasty or time.monotonic() > deadline:
                raise AssertionError(seen.answer.text)
        return seen.text

    def ask(self, route: Route, stream: bool, *, own: bool = False, size: int = 0) -> Seen:
        """Send a request with about `size` additional bytes.

        With `own`, the client sends its own Copilot token.
        """
        client = route.client
        turns = client.user("Write 30 words" + " please" * (size // 7))
        asked = Ask(route.model, turns, stream=stream)
        body = client.body(asked)
        headers = {}
        if own:
            headers["authorization"] = f"Bearer {self.simulator.state.issue_copilot_token()[0]}"
        calls, connects = len(self.gateway.posts), self.gateway.connects
        answer = self.http.post(client.path_of(asked), json=body, headers=headers)
        seen = read(client, answer, stream)
        seen.calls = len(self.gateway.posts) - calls
        seen.connects = self.gateway.connects - connects
        return seen

    def held(self) -> tuple[int, int, int]:
        """Return the number of server tasks, gateway connections and open file descriptors."""
        loop = self.proxy._loop

        async def tasks() -> int:
            return len(asyncio.all_tasks()) - 1  # without this one

        counted = asyncio.run_coroutine_threadsafe(tasks(), loop).result(TIMEOUT)
        return counted, len(self.gateway.open), len(os.listdir("/dev/fd"))

    @contextmanager
    def fault(self, row: Row) -> Iterator[None]:
        """Cause the fault for requests inside the ``with`` block."""
        with pytest.MonkeyPatch.context() as patch:
            if row.cause in SHORT_TIMEOUTS:
                patch.setattr(SHORT_TIMEOUTS[row.cause], 0.05)
            patch.setattr(_DRAIN_TIMEOUT, 0.3)
            # Disable the DNS cache, so that every connection looks up the name.
            patch.setattr("copilot_proxy.upstreams.http.dns_cache._MAX_AGE", 0.0)
            try:
                self._on(row)
                yield
            finally:
                self.simulator.state.faults.clear()
                self.gateway.script = None
                self.gateway.handshake = "good"
                self.gateway.resets_early = False
                self.lookup_fails = False
                if row.cause == "refused":
                    self.gateway.listen()

    def _on(self, row: Row) -> None:
        kind, _, name = row.cause.rpartition(":")
        if kind in ("new", "handshake") or name in ("unknown_name", "hang_up", "break_up"):
            self.gateway.hang_up(broken=name == "break_up")
        match kind, name:
            case (("script" | "new"), _):
                self.gateway.script = SCRIPTS[name]
            case "handshake", _:
                self.gateway.handshake = name
            case _, "refused":
                self.gateway.refuse()
            case _, "unknown_name":
                self.lookup_fails = True
            case _, "head":
                self.gateway.resets_early = True
            case _, ("hang_up" | "break_up"):
                pass
            case _:
                self.simulator.state.faults.on(name, value=row.value, times=row.times)


class Setups:
    """The setups of the table, each created on first use."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._setups: dict[str, Setup] = {}

    def __enter__(self) -> "Setups":
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        self._home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._patch = patch
        clear_environment(patch, self._home)
        # The limit on renewals has its own tests.
        patch.setattr("copilot_proxy.auth.copilot_auth._FORCED_BURST", 1000)
        # Connections of complete answers are always kept, which the counts in the table depend on.
        patch.setattr(_DRAIN_TIMEOUT, TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, kind: str) -> Setup:
        if kind not in self._setups:
            # Setups share no simulator, since an expired token affects all users of a simulator.
            self._simulator = self._stack.enter_context(
                Simulator(catalogue="2026-03", pace=0, middle=MIDDLE)
            )
            self._setups[kind] = self._secure() if kind == "tls" else self._plain(**FLAGS[kind])
            setup = self._setups[kind]
            for route in ROUTES:
                for stream in route.streams:
                    setup.full(route, stream)
        return self._setups[kind]

    def _plain(self, **flags: Any) -> Setup:
        gateway = self._stack.enter_context(Gateway(self._simulator.url))
        return self._behind(gateway, **flags)

    def _behind(self, gateway: Gateway, *, pool: bool = False, **flags: Any) -> Setup:
        settings = settings_at(self._simulator, copilot_api_url=gateway.url, ollama=True, **flags)
        with pytest.MonkeyPatch.context() as patch:
            if pool:
                # With a proxy, the server uses httpx, but it contacts loopback directly.
                patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
            proxy = self._stack.enter_context(Proxy(settings))
        http = self._stack.enter_context(
            # Kept connections could be closed at any time, which would change the counts.
            proxy.client(limits=httpx.Limits(max_keepalive_connections=0))
        )
        is_hasty = bool({"read_timeout", "connect_timeout"} & flags.keys())
        return Setup(self._simulator, gateway, proxy, http, is_hasty=is_hasty)

    def _secure(self) -> Setup:
        authority = trustme.CA()
        file = self._home / "authority.pem"
        authority.cert_pem.write_to_path(file)
        self._patch.setenv("SSL_CERT_FILE", str(file))
        certificates = {
            "good": authority.issue_cert(NAME),
            "untrusted": trustme.CA().issue_cert(NAME),
            "other_name": authority.issue_cert("elsewhere.test"),
        }
        contexts = {}
        for name, certificate in certificates.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(contexts[name])
        gateway = Gateway(self._simulator.url, name=NAME, contexts=contexts)
        self._stack.enter_context(gateway)
        made: list[Setup] = []
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
            if host not in (NAME, NAME.encode()):
                return look_up(host, *args, **more)
            if made and made[0].lookup_fails:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return look_up("127.0.0.1", *args, **more)

        self._patch.setattr(socket, "getaddrinfo", getaddrinfo)
        setup = self._behind(gateway, connect_timeout="0.5")
        made.append(setup)
        return setup
