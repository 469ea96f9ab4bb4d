"""The pi-ai process: its environment, and what happens if it or the server dies."""

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.composition import make_backend
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.completion_from_chunks import completion_from_chunks
from copilot_proxy.formats.pi_ai.request_to_model import pi_ai_from_chat
from copilot_proxy.formats.pi_ai.stream_to_chat import PiAiToChat
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from copilot_proxy.upstreams.base import Call
from copilot_proxy.upstreams.pi_ai.failures import request_error
from copilot_proxy.upstreams.pi_ai.package import (
    PACKAGE,
    can_load,
    command_for,
    find_node,
    sidecar_environment,
    version,
)
from copilot_proxy.upstreams.pi_ai.sidecar import Sidecar
from copilot_proxy.upstreams.pi_ai.upstream import PiAiUpstream
from tests.conftest import Proxy, settings_at
from tests.formats.pi_ai.models import GPT_4
from tests.pi_ai.conftest import FOLDER, give_pi_ai, needs_pi_ai
from tests.servers import close

ROOT = Path(__file__).parents[2]
CHAT = "/v1/chat/completions"
ARGUMENTS = ["serve", "--simulate", "--port", "0", "--upstream", "pi-ai"]
HI: Any = {"model": "claude-haiku-4.5", "messages": [{"role": "user", "content": "Say hello"}]}
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")


def node_of(process: int) -> int:
    """Return the id of a process's only child."""
    (child,) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)


def nodes(home: Path) -> set[int]:
    """Return the Node processes that run the sidecar of `home`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            if b"pi_ai/sidecar" in line and os.fsencode(home) in line:
                found.add(int(process.name))
        except OSError:
            continue
    return found


@needs_pi_ai
@needs_proc
def test_a_killed_process_fails_only_open_requests(simulator: Simulator, tmp_path: Path) -> None:
    """The open stream ends with an error event, and the next request is answered by a new
    process."""
    simulator.state.faults.on("stall_mid_stream", times=1)
    home = give_pi_ai(tmp_path / "pi")
    settings = settings_at(simulator, upstream="pi-ai", home_dir=home, header_grace=0.1)
    with Proxy(settings) as proxy, proxy.client() as client:
        with client.stream("POST", CHAT, json={**HI, "stream": True}) as answer:
            lines = answer.iter_lines()
            next(lines)
            simulator.state.recorder.wait_for(lambda one: one.method == "POST")
            (node,) = nodes(home)
            os.kill(node, signal.SIGKILL)
            data = [line for line in lines if line.startswith("data: {")]
        error = json.loads(data[-1].removeprefix("data: "))["error"]
        assert "upstream_broken" == error["code"]
        assert "pi-ai process exited" in error["message"]

        again = client.post(CHAT, json=HI)
        assert "Say hello" in again.json()["choices"][0]["message"]["content"]
    assert not nodes(home), "a process is left behind"


@needs_pi_ai
def test_silence_and_proxies(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process gives up on a silent Copilot after `read_timeout`.

    Programs on this machine are called directly, whatever proxy the environment names.
    """
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    home = give_pi_ai(tmp_path / "pi")
    settings = settings_at(simulator, upstream="pi-ai", home_dir=home, read_timeout=1)
    faults = simulator.state.faults
    with Proxy(settings) as proxy, proxy.client() as client:
        assert 200 == client.post(CHAT, json=HI).status_code
        for fault, status, words in (
            ("stall_before_headers", 504, "did not answer in time"),
            ("stall_mid_stream", 502, "stopped sending"),
        ):
            faults.on(fault, times=1)
            answer = client.post(CHAT, json=HI)
            assert status == answer.status_code
            assert words in answer.json()["error"]["message"]


@needs_pi_ai
def test_a_host_that_cannot_be_reached(simulator: Simulator, tmp_path: Path) -> None:
    """A refused connection is reported as not sent, so clients may retry."""
    home = give_pi_ai(tmp_path / "pi")
    settings = settings_at(simulator, upstream="pi-ai", home_dir=home)
    with Proxy(settings) as proxy, proxy.client() as client:
        assert 200 == client.get("/v1/models").status_code
        simulator.stop()
        answer = client.post(CHAT, json=HI)
    error = answer.json()["error"]
    assert (502, "upstream_unreachable") == (answer.status_code, error["code"])
    assert "x-should-retry" not in answer.headers


@needs_pi_ai
def test_without_a_list_of_models_the_reason_is_reported(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Without the model list, the error says that Copilot is unreachable."""
    settings = settings_at(simulator, upstream="pi-ai", home_dir=give_pi_ai(tmp_path / "pi"))
    simulator.stop()
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post(CHAT, json=HI)
    error = answer.json()["error"]
    assert (502, "upstream_unreachable") == (answer.status_code, error["code"])
    assert "refused the connection" in error["message"]
    assert "Check the address" in error["hint"]


@needs_pi_ai
def test_files_that_are_missing(simulator: Simulator, tmp_path: Path) -> None:
    """Clients get the reason and the repair command, and the installer notices the damage."""
    home = tmp_path / "pi"
    package = home / "pi-ai" / "node_modules" / PACKAGE
    package.mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"version": version()}))
    settings = settings_at(simulator, upstream="pi-ai", home_dir=home)
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post(CHAT, json=HI)
    error = answer.json()["error"]
    assert (503, "upstream_unreachable") == (answer.status_code, error["code"])
    assert "files are missing or damaged" in error["message"]
    assert "Install it with: copilot-proxy pi-ai install" == error["hint"]

    (package / "package.json").unlink()
    with Proxy(settings) as proxy, proxy.client() as client:
        answer = client.post(CHAT, json=HI)
    error = answer.json()["error"]
    assert (500, "server_misconfigured") == (answer.status_code, error["code"])
    assert "Install it with: copilot-proxy pi-ai install" == error["hint"]

    assert not can_load(find_node(), home / "pi-ai")
    assert can_load(find_node(), FOLDER)


class Server:
    """A separate ``copilot-proxy serve --simulate --upstream pi-ai``."""

    def __init__(self, home: Path) -> None:
        self.log = home / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "copilot_proxy", *ARGUMENTS],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(ROOT),
                    "COPILOT_PROXY_HOME_DIR": str(home),
                    "COPILOT_PROXY_GITHUB_TOKEN": "gho_" + "s" * 36,
                    "COPILOT_PROXY_API_KEY": "local-key-123",
                    "GH_TOKEN": "ghp_" + "s" * 36,
                },
                stderr=log,
                start_new_session=True,
            )
        self.client = httpx.Client(
            base_url=self._url(),
            headers={"authorization": "Bearer local-key-123"},
            trust_env=False,
            timeout=60,
        )

    def _url(self) -> str:
        while self.process.poll() is None:
            if "Stop with Ctrl+C" in self.log.read_text():
                found = re.search(r"Base URL\s+(\S+)/v1", self.log.read_text())
                assert found
                return found[1]
            select.select([], [], [], 0.05)
        raise AssertionError(self.log.read_text())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(give_pi_ai(tmp_path / "pi"))
    yield server
    server.client.close()
    server.process.kill()
    server.process.wait(60)


def until_gone(process: int) -> None:
    """Wait until the process has exited, or the test times out."""
    while Path(f"/proc/{process}/cmdline").exists():
        try:
            if not Path(f"/proc/{process}/cmdline").read_bytes():
                return  # it has exited, but its status has not been read yet
        except OSError:
            return
        select.select([], [], [], 0.01)


@needs_pi_ai
@needs_proc
def test_no_process_survives_a_killed_server(server: Server) -> None:
    """The process ends even if the server is killed."""
    assert 200 == server.client.post(CHAT, json=HI).status_code
    node = node_of(server.process.pid)

    server.process.kill()

    until_gone(node)


@needs_pi_ai
@needs_proc
def test_command_line_and_environment_contain_no_secret(server: Server) -> None:
    """The command line and the environment contain no token, key or setting."""
    assert 200 == server.client.post(CHAT, json=HI).status_code
    node = Path(f"/proc/{node_of(server.process.pid)}")
    shown = (node / "cmdline").read_bytes() + (node / "environ").read_bytes()

    for secret in (
        b"COPILOT_PROXY",
        b"gho_",
        b"ghp_",
        b"tid=",
        b"local-key",
        SIMULATED_TOKEN.encode(),
    ):
        assert secret not in shown


@needs_pi_ai
@needs_proc
def test_ctrl_c_lets_open_answers_end(server: Server) -> None:
    """Ctrl+C also reaches the process, which continues until the answer is complete."""
    long = {**HI, "messages": [{"role": "user", "content": "Write 60 words"}], "stream": True}
    with server.client.stream("POST", CHAT, json=long) as answer:
        lines = answer.iter_lines()
        next(lines)
        node = node_of(server.process.pid)
        os.kill(node, signal.SIGINT)
        os.killpg(server.process.pid, signal.SIGINT)
        *_, finish, last = [line for line in lines if line]
    assert "data: [DONE]" == last
    assert '"finish_reason":"stop"' in finish
    assert 0 == server.process.wait(60)
    assert "Requests go to Copilot through pi-ai." in server.log.read_text()
    until_gone(node)


def request_to(server: asyncio.Server) -> dict[str, Any]:
    """Return a message that makes the process call the test's server."""
    body = pi_ai_from_chat(HI, GPT_4, []).body
    return {
        "url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        "token": "t",
        "headers": {},
        "request": {name: body[name] for name in ("pi", "context", "options", "payload", "opaque")},
    }


@needs_pi_ai
async def test_a_reader_that_does_not_read_stops_the_sender(tmp_path: Path) -> None:
    """If the reader stops reading, the process stops reading an endless answer from Copilot."""
    blocked = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunk = {"id": "x", "choices": [{"index": 0, "delta": {"content": "x" * 1000}}]}
        event = f"data: {json.dumps(chunk)}\n\n".encode() * 10
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            for _ in range(10_000):  # a hundred megabytes
                writer.write(event)
                async with asyncio.timeout(2):
                    await writer.drain()
        except TimeoutError:
            blocked.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    settings = load_settings({"upstream": "pi-ai", "home_dir": give_pi_ai(tmp_path / "pi")})
    sidecar = Sidecar("pi-ai", lambda: command_for(settings))
    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    try:
        async with sidecar.exchange(request_to(server)):
            await blocked.wait()
    finally:
        await sidecar.aclose()
        await close(server)


def test_the_environment_of_the_process() -> None:
    """The process gets the certificate variables, and no other settings from the user.

    Proxy URLs may contain passwords, so they are sent over the pipe.
    """
    given = {
        "PATH": "/bin",
        "Path": "C:\\",
        "HOME": "/home/me",
        "https_proxy": "http://user:password@proxy:1",
        "NO_PROXY": "x",
        "SSL_CERT_FILE": "/ca.pem",
        "NODE_OPTIONS": "--inspect",
        "COPILOT_PROXY_API_KEY": "key",
        "OPENAI_API_KEY": "key",
        "PI_CACHE_RETENTION": "long",
    }

    assert {
        "PATH": "/bin",
        "Path": "C:\\",
        "HOME": "/home/me",
        "SSL_CERT_FILE": "/ca.pem",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
    } == sidecar_environment(given)
    named = sidecar_environment({"NODE_EXTRA_CA_CERTS": "/other.pem"})
    assert "/other.pem" == named["NODE_EXTRA_CA_CERTS"]


def test_the_native_upstream_does_not_load_it(tmp_path: Path) -> None:
    """The native upstream does not import the modules for pi-ai."""
    script = (
        "import sys; from copilot_proxy.cli.main import run;"
        "code = run(['chat', '--simulate', 'Hi']);"
        "print([m for m in sys.modules if 'pi_ai' in m or 'sidecar' in m], code)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "", "PYTHONPATH": str(ROOT), "COPILOT_PROXY_HOME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )

    assert "[] 0" == ran.stdout.splitlines()[-1]


class Spy:
    """Replaces the process and records its messages."""

    def __init__(self) -> None:
        self.message: Any = None

    def exchange(self, request: Any, size: int) -> Any:
        self.message = request
        raise RequestError("That is all.")

    async def aclose(self) -> None:
        """Do nothing."""


async def test_the_message_to_the_process(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message contains the initiator, the vision flag, the host, the token, and the proxy."""
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:8080")
    settings = settings_at(
        simulator, upstream="pi-ai", copilot_api_url="https://api.githubcopilot.com"
    )
    connection = make_backend(settings, report=lambda record: None)
    spy = Spy()
    assert isinstance(connection.upstream, PiAiUpstream)
    connection.upstream.sidecar = spy  # type: ignore[assignment]  # it is enough of one
    call = Call(
        api="pi_ai",
        path=None,
        body=pi_ai_from_chat(HI, GPT_4, []).body,
        request_id="r",
        initiator="agent",
        vision=True,
    )
    with pytest.raises(RequestError, match="That is all"):
        await connection.upstream.send(call)
    await connection.aclose()

    assert "https://api.githubcopilot.com" == spy.message["url"]
    assert "http://proxy.example:8080" == spy.message["proxy"]
    assert spy.message["token"].startswith("tid=")
    headers = spy.message["headers"]
    assert ("agent", "true") == (headers["x-initiator"], headers["copilot-vision-request"])


@needs_pi_ai
async def test_a_proxy_is_used(tmp_path: Path) -> None:
    """The proxy in the message is used, with its password.

    If the proxy refuses, the error names it, and nothing has been sent.
    """
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if b"elsewhere" in heads[-1]:
            writer.write(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 429 No\r\ncontent-length: 4\r\n\r\nSlow")
        await writer.drain()
        writer.close()

    settings = load_settings({"upstream": "pi-ai", "home_dir": give_pi_ai(tmp_path / "pi")})
    sidecar = Sidecar("pi-ai", lambda: command_for(settings))
    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    request = {**request_to(server), "proxy": f"http://me:word@127.0.0.1:{port}"}
    try:
        async with sidecar.exchange({**request, "url": "http://copilot.example"}) as exchange:
            refused = (await exchange.read())[0].refused or {}
        async with sidecar.exchange({**request, "url": "http://elsewhere.example"}) as exchange:
            failed = (await exchange.read())[0].unreachable or {}
    finally:
        await sidecar.aclose()
        await close(server)

    assert heads[0].startswith(b"CONNECT copilot.example:80 ")
    assert b"bWU6d29yZA==" in heads[0]  # me:word
    assert heads[1].startswith(b"POST /chat/completions ")
    assert (429, "Slow") == (refused["status"], refused["body"])
    assert (
        "The proxy refused to connect" in request_error(failed, "http://elsewhere.example").message
    )


@needs_pi_ai
async def test_split_surrogate_pairs_are_joined(tmp_path: Path) -> None:
    """Split surrogate pairs are joined, and lone surrogates are harmless."""
    pieces = ["a\ud83e", "\udd8ab", "\ud83e", "", "\ud83e"]
    choices: list[Any] = [{"index": 0, "delta": {"content": piece}} for piece in pieces]
    choices[-1]["finish_reason"] = "stop"
    events = [json.dumps({"id": "x", "choices": [choice]}) for choice in choices]
    body = "".join(f"data: {event}\n\n" for event in events)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        writer.write(b"connection: close\r\n\r\n" + body.encode())
        await writer.drain()
        writer.close()

    settings = load_settings({"upstream": "pi-ai", "home_dir": give_pi_ai(tmp_path / "pi")})
    sidecar = Sidecar("pi-ai", lambda: command_for(settings))
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader = PiAiToChat("m")
    chunks: list[Any] = []
    try:
        async with sidecar.exchange(request_to(server)) as exchange:
            while messages := await exchange.read():
                for one in messages:
                    chunks += reader.feed(json.loads(bytes(one.event))) if one.event else []
    finally:
        await sidecar.aclose()
        await close(server)

    text = completion_from_chunks(chunks + reader.close())["choices"][0]["message"]["content"]
    assert "a🦊b" == text[:3]
    assert text.encode()
