"""The servers on which faults happen: a simulator, a gateway in front of it, and behind both the
server under test."""

import asyncio
import os
import socket
import ssl
import tempfile
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
"""The host of the gateway that speaks TLS; only these tests can look it up."""
MIDDLE: Final = 8
"""Events before the simulator fails in mid-stream: with any API some of the text has come."""
TIMEOUT: Final = 10.0
"""Seconds that this machine may take for what is done at once."""
HURRIED: Final = {
    "script:stall_after_all": "copilot_proxy.relay.reply._END_TIMEOUT",
    "stall_after_finish": "copilot_proxy.relay.reply._END_TIMEOUT",
    "script:refusal_without_end": "copilot_proxy.upstreams.http.copilot._ERROR_BODY_TIMEOUT",
}
"""Timeouts that are not settings, and would cost seconds."""
FLAGS: Final[dict[str, dict[str, Any]]] = {
    "plain": {},
    "renewed": {},
    "httpx": {"pool": True},
    "impatient": {"read_timeout": "0.4"},
    "early": {"read_timeout": "0.4", "header_grace": "0.01"},
}


class Stand:
    """A simulator, a gateway in front of it, and a server that uses them."""

    def __init__(
        self,
        simulator: Simulator,
        gateway: Gateway,
        proxy: Proxy,
        http: httpx.Client,
        *,
        tries: int,
    ) -> None:
        """`tries` is how often a request is made until it is answered: a server with short
        timeouts can fail one on a busy machine."""
        self.simulator = simulator
        self.gateway = gateway
        self.proxy = proxy
        self.http = http
        self.tries = tries
        self.blind = False
        """Whether the gateway's name cannot be looked up."""
        self._full: dict[tuple[str, bool], str] = {}

    def full(self, route: Route, stream: bool) -> str:
        """Return what the client gets without a fault."""
        key = (route.name, stream)
        if key not in self._full:
            self._full[key] = self.answer(route, stream)
        return self._full[key]

    def answer(self, route: Route, stream: bool) -> str:
        """Return the text of an answer without a fault."""
        for _ in range(self.tries):
            seen = self.ask(route, stream)
            if seen.error is None:
                return seen.text
        raise AssertionError(seen.answer.text)

    def ask(self, route: Route, stream: bool, *, own: bool = False, size: int = 0) -> Seen:
        """Sends a request of `size` bytes or a few more; `own` with a Copilot token of the
        client's own."""
        client = route.client
        turns = client.user("Write 30 words" + " please" * (size // 7))
        body = client.body(Ask(route.model, turns, stream=stream))
        headers = {}
        if own:
            headers["authorization"] = f"Bearer {self.simulator.state.issue_copilot_token()[0]}"
        asked, connects = len(self.gateway.posts), self.gateway.connects
        seen = read(client, self.http.post(client.path, json=body, headers=headers), stream)
        seen.asked = len(self.gateway.posts) - asked
        seen.connects = self.gateway.connects - connects
        return seen

    def held(self) -> tuple[int, int, int]:
        """Return the server's tasks, the gateway's connections, the process's file descriptors."""
        loop = self.proxy._loop

        async def tasks() -> int:
            return len(asyncio.all_tasks()) - 1  # but for this one

        counted = asyncio.run_coroutine_threadsafe(tasks(), loop).result(TIMEOUT)
        return counted, len(self.gateway.open), len(os.listdir("/dev/fd"))

    @contextmanager
    def fault(self, row: Row) -> Iterator[None]:
        """Make the fault happen to the requests in the block."""
        with pytest.MonkeyPatch.context() as patch:
            if row.made in HURRIED:
                patch.setattr(HURRIED[row.made], 0.05)
            # Names are remembered for a while: here the name server is asked each time.
            patch.setattr("copilot_proxy.upstreams.http.dns_cache._MAX_AGE", 0.0)
            try:
                self._on(row)
                yield
            finally:
                self.simulator.state.faults.clear()
                self.gateway.script = None
                self.gateway.welcome = "good"
                self.gateway.impatient = False
                self.blind = False
                if row.made == "refused":
                    self.gateway.listen()

    def _on(self, row: Row) -> None:
        kind, _, name = row.made.rpartition(":")
        if kind in ("new", "welcome") or name in ("unknown_name", "hang_up", "break_up"):
            self.gateway.hang_up(broken=name == "break_up")
        match kind, name:
            case (("script" | "new"), _):
                self.gateway.script = SCRIPTS[name]
            case "welcome", _:
                self.gateway.welcome = name
            case _, "refused":
                self.gateway.refuse()
            case _, "unknown_name":
                self.blind = True
            case _, "head":
                self.gateway.impatient = True
            case _, ("hang_up" | "break_up"):
                pass
            case _:
                self.simulator.state.faults.on(name, value=row.value, times=row.times)


class Stands:
    """The stands of the table, each made on first use."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._made: dict[str, Stand] = {}

    def __enter__(self) -> "Stands":
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        self._home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._patch = patch
        clear_environment(patch, self._home)
        # How often a token is renewed has its own tests.
        patch.setattr("copilot_proxy.auth.copilot_auth._FORCED", 1000)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, kind: str) -> Stand:
        if kind not in self._made:
            # One each: where tokens expire they do so for everybody.
            self._simulator = self._stack.enter_context(
                Simulator(catalogue="2026-03", pace=0, middle=MIDDLE)
            )
            self._made[kind] = self._secure() if kind == "tls" else self._plain(**FLAGS[kind])
            stand = self._made[kind]
            for route in ROUTES:
                for stream in route.streams:
                    stand.full(route, stream)
        return self._made[kind]

    def _plain(self, **flags: Any) -> Stand:
        gateway = self._stack.enter_context(Gateway(self._simulator.url))
        return self._behind(gateway, **flags)

    def _behind(self, gateway: Gateway, *, pool: bool = False, **flags: Any) -> Stand:
        settings = settings_at(self._simulator, copilot_api_url=gateway.url, **flags)
        with pytest.MonkeyPatch.context() as patch:
            if pool:
                # httpx knows how to pass a proxy; this machine is reached without it.
                patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
            proxy = self._stack.enter_context(Proxy(settings))
        http = self._stack.enter_context(
            # A connection that is kept would be closed at any time, and be counted.
            proxy.client(limits=httpx.Limits(max_keepalive_connections=0))
        )
        tries = 5 if {"read_timeout", "connect_timeout"} & flags.keys() else 1
        return Stand(self._simulator, gateway, proxy, http, tries=tries)

    def _secure(self) -> Stand:
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
        stand_of: list[Stand] = []
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **more: Any) -> Any:
            if host not in (NAME, NAME.encode()):
                return look_up(host, *args, **more)
            if stand_of and stand_of[0].blind:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return look_up("127.0.0.1", *args, **more)

        self._patch.setattr(socket, "getaddrinfo", getaddrinfo)
        stand = self._behind(gateway, connect_timeout="0.5")
        stand_of.append(stand)
        return stand
