"""``serve``: its messages at startup, while it runs, and at shutdown."""

import contextlib
import errno
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.cli import banner, console
from copilot_proxy.cli.lifecycle_messages import LifecycleMessages
from copilot_proxy.cli.main import run
from copilot_proxy.cli.server_runner import new_event_loop
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.server import listen_socket, port_owner
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import (
    TIMEOUT,
    Terminal,
    client_of,
    is_listening,
    question,
    serve_while,
    sign_in,
    wait_until,
)
from tests.conftest import NO_TLS
from tests.ports import free_port
from tests.selection import first


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for programs that listen on a port without answering."""
    monkeypatch.setattr(port_owner, "_TIMEOUT", 0.05)


def ask_health(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200


def test_the_banner_has_a_curl_command_that_works(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The curl command in the banner gets an answer."""
    answers: list[httpx.Response] = []

    def paste(client: httpx.Client) -> None:
        shown = capsys.readouterr().err
        assert max(map(len, shown.partition("Try it:")[2].split("\n")[:3])) <= 80
        shown = shown.replace("\\\n", "")
        line = next(line for line in shown.splitlines() if line.lstrip().startswith("curl"))
        _, url, _, body = shlex.split(line)
        answers.append(client.post(url, content=body))

    assert serve_while(paste) == 0
    assert answers[0].status_code == 200
    assert "simulator" in answers[0].json()["choices"][0]["message"]["content"]


def test_the_banner_has_everything_that_a_client_needs(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stderr has the URL, key, three models with prices, and how to stop; stdout is empty."""
    urls: list[str] = []
    assert serve_while(lambda client: urls.append(str(client.base_url))) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert f"Base URL   {urls[0].rstrip('/')}/v1" in err
    assert "not required" in err
    assert re.search(r"Models     claude-sonnet-[\d.]+ \([^)]+\), \S+ \([^)]+\), \S+ \(", err)
    assert "Stop with Ctrl+C." in err
    assert err.endswith("Stopped.\n")


def test_the_banner_does_not_show_the_key(
    account: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The banner names the variable that contains the key, and the curl command uses it."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", "my-own-key-123456")
    codes: list[int] = []

    def use(client: httpx.Client) -> None:
        codes.append(client.get("/v1/models").status_code)
        codes.append(
            client.get("/v1/models", headers={"x-api-key": "my-own-key-123456"}).status_code
        )

    assert serve_while(use) == 0
    err = capsys.readouterr().err
    assert codes == [401, 200]
    assert "my-own-key" not in err
    assert "set by COPILOT_PROXY_API_KEY" in err
    assert '-H "Authorization: Bearer $COPILOT_PROXY_API_KEY"' in err


def test_named_keys_are_shown_by_name(
    account: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and limits are shown, and the log has the name of the key, but no key is shown."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEYS", "laptop=my-own-key-1,ci=my-own-key-2")

    def use(client: httpx.Client) -> None:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
        headers = {"authorization": "Bearer my-own-key-2"}
        assert client.post("/v1/chat/completions", json=body).status_code == 401
        assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200

    assert serve_while(use) == 0
    err = capsys.readouterr().err
    assert "named keys from COPILOT_PROXY_API_KEYS: laptop, ci" in err
    assert '"Authorization: Bearer KEY"' in err
    assert "key ci" in err
    assert "my-own-key" not in err


def test_a_key_from_a_flag_is_a_placeholder(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The curl command has a placeholder, since no variable contains the key."""
    assert serve_while(lambda client: None, "--api-key", "my-own-key-123456") == 0
    err = capsys.readouterr().err
    assert "my-own-key" not in err
    assert "set by --api-key" in err
    assert '"Authorization: Bearer KEY"' in err


@pytest.mark.parametrize(
    ("flags", "code"), [((), "unsupported_value"), (("--fetch-images",), "invalid_image_url")]
)
def test_images_are_fetched_only_with_the_flag(
    account: Simulator, flags: tuple[str, ...], code: str
) -> None:
    """Without the flag, no URL is fetched; with the flag, only URLs on other machines are."""
    codes: list[str] = []

    def use(client: httpx.Client) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://127.0.0.1/a.png"}}
        asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": [image]}]}
        codes.append(client.post("/v1/chat/completions", json=asked).json()["error"]["code"])

    assert serve_while(use, *flags) == 0
    assert codes == [code]


def test_each_request_has_a_log_line_without_its_text(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The log has the model, status, tokens and errors of a request, but no prompt."""

    def use(client: httpx.Client) -> None:
        client.post("/v1/chat/completions", json=question("my secret plan", service_tier="flex"))
        client.post("/v1/chat/completions", json=question("my secret plan", stream=True)).read()
        client.post("/v1/chat/completions", json=question("my secret plan", model="nope\nmodel"))
        client.post("/v1/chat/completions", json={})
        client.get("/v1/models")
        client.get("/api/tags?key=secret")
        client.get("/health")

    assert serve_while(use) == 0
    err = capsys.readouterr().err
    lines = [line[9:] for line in err.partition("Stop with Ctrl+C.")[2].strip().splitlines()]
    assert "secret" not in err
    assert "Copilot sent values that this version does not know: " in lines.pop(1)
    assert lines[0].startswith("200 claude-sonnet-4.5 ")
    assert "1 note" in lines[0]
    assert lines[1].startswith("200 claude-sonnet-4.5 ")
    assert lines[2].startswith("404 nope?model ")
    assert " model_not_found, " in lines[2]
    assert [line.rpartition(" ")[0] for line in lines[3:6]] == [
        "400 POST /v1/chat/completions missing_required_parameter",
        "200 GET",
        "404 GET /api/tags unknown_url",
    ]
    assert len(lines) == 7  # the last line says that the server stopped


def test_a_json_log_is_json_from_the_first_line_to_the_last(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line on stderr is a JSON object."""

    def use(client: httpx.Client) -> None:
        client.post("/v1/chat/completions", json=question("Hi"))
        client.get("/nowhere")

    assert serve_while(use, "--log-format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    # The simulated list has invented fields; the line after the first request names them.
    assert lines.pop(3)["event"] == "drift"
    assert [line["event"] for line in lines] == ["notice", "ready", "request", "http", "stopped"]
    assert lines[1]["message"].endswith(" is ready.")
    assert len(set(lines[1]["models"])) == 3
    assert lines[1]["models"][0].startswith("claude-sonnet-")
    assert lines[2]["model"] == "claude-sonnet-4.5"
    assert lines[2]["tokens_out"] > 0
    assert lines[3].pop("request_id")
    assert lines[3] | {"time": ""} == {
        "time": "",
        "error": "unknown_url",
        "level": "info",
        "event": "http",
        "key": None,
        "method": "GET",
        "path": "/nowhere",
        "status": 404,
    }


def test_the_notice_is_shown_once(account: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The notice about unofficial use is shown only at the first start."""
    notice = "not made or endorsed by GitHub"
    assert serve_while(ask_health) == 0
    assert notice in capsys.readouterr().err
    assert serve_while(ask_health) == 0
    assert notice not in capsys.readouterr().err


def test_the_notice_with_a_read_only_folder(tmp_path: Path) -> None:
    """The notice is shown even if the program cannot save that it was shown."""
    (tmp_path / "file").touch()
    assert banner.first_time_notice(tmp_path / "file" / "data") is not None


def test_simulated(capsys: pytest.CaptureFixture[str]) -> None:
    """No account is needed; the banner says so, and explains how to simulate failures."""
    codes: list[int] = []

    def use(client: httpx.Client) -> None:
        shown = capsys.readouterr().err
        assert "Simulated: no account is used" in shown
        assert "not made or endorsed" not in shown
        joined = shown.replace("\\\n", "")
        line = next(line for line in joined.splitlines() if "-X PUT" in line)
        _, _, method, url, _, body = shlex.split(line)
        assert (
            httpx.request(method, url, content=body, verify=NO_TLS, timeout=60).status_code == 200
        )
        asked = question("Hi", model="default")
        codes.extend(client.post("/v1/chat/completions", json=asked).status_code for _ in "12")

    assert serve_while(use, "--simulate") == 0
    assert codes[0] >= 500
    assert codes[1] == 200


def test_not_signed_in(capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 3; the hint says how to sign in, or to try the server without an account."""
    assert run(["serve", "--port", "0"]) == 3
    err = capsys.readouterr().err
    assert "Sign in with: copilot-proxy login" in err
    assert "copilot-proxy serve --simulate" in err


def test_no_copilot(account: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 4, and the error has GitHub's message."""
    account.state.plan = "none"
    assert run(["serve", "--port", "0"]) == 4
    assert "mona-none" in capsys.readouterr().err


@pytest.mark.parametrize("workers", first(["1", "2"]))
def test_an_invalid_certificate_file(
    account: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    workers: str,
) -> None:
    """The error appears when GitHub is contacted, and the server ends with a hint."""
    if workers != "1" and sys.platform == "win32":
        pytest.skip("Windows has one process")
    file = tmp_path / "company.der"
    file.write_bytes(b"\x30\x82 no PEM")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    secure = account.url.replace("http:", "https:")
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_API_URL", secure)
    assert run(["serve", "--port", "0", "--workers", workers]) == 2
    err = capsys.readouterr().err
    assert f"Error: SSL_CERT_FILE is set to {file}, which has no certificates" in err
    assert "Unset it to use the system's certificates" in err
    assert "Traceback" not in err
    assert "ready" not in err


def test_a_start_that_fails_unexpectedly(
    account: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error ends the server with exit code 1 and no traceback."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("copilot_proxy.cli.lifecycle_messages.LifecycleMessages.ready", fail)
    assert run(["serve", "--port", "0"]) == 1
    err = capsys.readouterr().err
    assert "An unexpected error occurred in copilot-proxy (ZeroDivisionError)" in err
    assert "Traceback" not in err


def test_github_is_down_at_the_start(
    account: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server starts, reports that GitHub is down, and works once GitHub is back."""
    monkeypatch.setattr("copilot_proxy.auth.token_state._MAX_BACKOFF", 0.0)
    account.state.github_down = True
    codes: list[int] = []

    def use(client: httpx.Client) -> None:
        account.state.github_down = False
        codes.append(client.post("/v1/chat/completions", json=question("Hi")).status_code)

    assert serve_while(use) == 0
    assert codes == [200]
    err = capsys.readouterr().err
    assert "The list of models could not be loaded: " in err
    assert ". Requests will work as soon as GitHub responds.\n" in err
    assert '"model":"default"' in err


def test_health_is_answered_before_github_answers(account: Simulator) -> None:
    """The server accepts requests immediately; only the banner waits for GitHub."""
    account.state.faults.on("stall_before_headers", path="/copilot_internal/v2/token")
    port = free_port()
    with Terminal("serve", "--port", str(port)) as terminal:
        account.state.recorder.wait_for(lambda one: "token" in one.path, timeout=TIMEOUT)
        wait_until(lambda: is_listening(port))
        with client_of(port) as client:
            health = client.get("/health").json()
        assert "is ready" not in "".join(terminal.lines)

    assert ("ok", "unknown") == (health["status"], health["signed_in"])


def test_githubs_message_gets_a_full_stop(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub's message gets a period before the next sentence."""
    account.state.faults.on("models_500")
    assert serve_while(ask_health) == 0
    err = capsys.readouterr().err
    line = next(line for line in err.splitlines() if "could not be loaded: " in line)
    before, after = line.split(" Requests will work")
    assert before.endswith(".")
    assert after == " as soon as GitHub responds."


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "other machines use http://<this machine>:8100/v1, and need the key"),
        ("::", "other machines use http://<this machine>:8100/v1, and need the key"),
        ("192.0.2.1", "other machines use the same URL, and need the key"),
        ("127.0.0.1", None),
    ],
)
def test_a_server_for_the_network(host: str, shown: str | None) -> None:
    """The banner says how other machines reach the server."""
    text = banner.Banner(
        settings=load_settings({"host": host, "api_key": "k" * 20}),
        address=port_owner.base_url(host, 8100),
        catalogue=None,
    ).text()
    assert ("Network " in text) is (shown is not None)
    assert shown is None or shown in text


def test_the_network_needs_a_key_that_is_not_guessed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short key is refused and not shown; the hint generates a good key."""
    monkeypatch.setenv("COPILOT_PROXY_API_KEY", "kkkkkkk")
    assert run(["serve", "--host", "0.0.0.0", "--simulate"]) == 2
    err = capsys.readouterr().err
    assert "fewer than 8 characters" in err
    assert "secrets.token_urlsafe" in err
    assert "kkkkkkk" not in err


def test_commands_in_the_banner_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands include the program's path if needed, and --simulate for a simulated server."""
    program = tmp_path / "copilot-proxy"
    program.touch()  # so that the program on the PATH is another file
    monkeypatch.setattr(sys, "argv", [str(program), "serve"])
    text = banner.Banner(
        settings=load_settings(),
        address="http://127.0.0.1:8000",
        catalogue=parse_models([{"id": "a"}]),
        simulator="http://127.0.0.1:9",
    ).text()
    console.print_message(text)
    shown = capsys.readouterr().err
    assert f"list all: {tmp_path}/copilot-proxy models --simulate\n" in shown
    assert f"{tmp_path}/copilot-proxy simulate --list-faults" in shown
    put = shown[shown.index("curl -X PUT") :].partition("List all")[0]
    assert max(map(len, put.splitlines())) <= 80


def test_the_banner_says_what_its_prices_are_for() -> None:
    """A dollar price has its unit; models without such a price have none."""
    prices = {"batch_size": 1_000_000, "default": {"input_price": 200, "output_price": 1000}}
    models = {
        "($2/$10); prices per million input/output tokens; list": {"token_prices": prices},
        "(3x); list": {"multiplier": 3},
    }
    for shown, billing in models.items():
        text = banner.Banner(
            settings=load_settings(),
            address="http://127.0.0.1:8000",
            catalogue=parse_models([{"id": "a", "billing": billing}]),
        ).text()
        assert f"a {shown}" in text


def test_no_files_left_for_the_banner(
    account: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process reaches its limit of open files at the start, the banner is printed later."""
    ready, failures = LifecycleMessages.ready, [OSError(errno.EMFILE, "Too many open files")]
    printed = threading.Event()

    def ready_later(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        ready(*arguments)
        printed.set()

    def wait(client: httpx.Client) -> None:
        assert printed.wait(60)

    monkeypatch.setattr("copilot_proxy.cli.server_runner._ANNOUNCE_SECONDS", 0)
    monkeypatch.setattr(LifecycleMessages, "ready", ready_later)
    assert serve_while(wait) == 0
    assert "copilot-proxy 0.1.0 is ready." in capsys.readouterr().err


@pytest.mark.parametrize("then", ["models_500", "comments"])
def test_github_is_slow_at_the_start(
    account: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    then: str,
) -> None:
    """The banner waits for GitHub only for a limited time."""
    monkeypatch.setattr("copilot_proxy.cli.server_runner._MODELS_TIMEOUT", 0.05)
    account.state.faults.on("stall_before_headers", path="/models", value=0.5, times=1)
    account.state.faults.on(then)
    assert serve_while(lambda client: account_is_asked(account)) == 0
    assert "GitHub has not responded yet." in capsys.readouterr().err


def account_is_asked(account: Simulator) -> None:
    account.state.recorder.wait_for(
        lambda one: one.path == "/models" and one.done.is_set(), timeout=60
    )


def test_port_taken_by_another_server(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says which program uses the port and what to do."""
    codes: list[int] = []

    def use(client: httpx.Client) -> None:
        port = client.base_url.port or 0
        done = subprocess.run(
            [sys.executable, "-m", "copilot_proxy", "serve", "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        codes.append(done.returncode)
        assert done.stderr == (
            f"Error: Port {port} is in use by another copilot-proxy.\n"
            f"Use --port {port + 1} or COPILOT_PROXY_PORT={port + 1}, or stop that program.\n"
        )

    assert serve_while(use) == 0
    assert codes == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="the process is looked up in /proc")
def test_port_taken_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """On Linux, the error includes the program's name and process id."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(["serve", "--simulate", "--port", str(port)]) == 1
    name = Path("/proc/self/comm").read_text().strip()
    assert f"in use by {name} (process {os.getpid()})" in capsys.readouterr().err


def test_port_taken_by_an_unknown_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the program cannot be identified, the error says "another program"."""
    monkeypatch.setattr(port_owner, "Path", lambda _: Path("/nowhere"))
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert run(["serve", "--simulate", "--port", str(other.getsockname()[1])]) == 1
    assert "in use by another program." in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="the process is looked up in /proc")
def test_processes_of_other_users_are_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that this user may not inspect are skipped."""

    def refuse(_: object) -> str:
        raise PermissionError

    monkeypatch.setattr(os, "readlink", refuse)
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert run(["serve", "--simulate", "--port", str(other.getsockname()[1])]) == 1
    assert "in use by another program." in capsys.readouterr().err


def test_port_65535_has_no_next(capsys: pytest.CaptureFixture[str]) -> None:
    """The hint names an existing port, even for an address other than loopback."""
    host = "0.0.0.0"
    try:
        taken = socket.create_server((host, 65535))
    except OSError:
        pytest.skip("the last port is in use")
    with taken:
        assert run(["serve", "--host", host, "--api-key", "k" * 8, "--port", "65535"]) == 1
    assert (
        "Use --port 8000 or COPILOT_PROXY_PORT=8000, or stop that program."
        in capsys.readouterr().err
    )


def test_port_taken_before_listening(
    account: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """A port that is taken between binding and listening causes the same error."""
    settings = load_settings({"port": free_port()})
    with listen_socket.bind(settings) as ours, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", settings.port))
        other.listen()
        with pytest.raises(Exception, match="is in use by"):
            listen_socket.listen(ours, settings)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (PermissionError(13, "Permission denied"), "needs more privileges"),
        (OSError(99, "Cannot assign requested address"), "does not belong to this machine"),
        (OSError(105, "No buffer space"), "Cannot listen on 127.0.0.1, port 8000: No buffer space"),
    ],
)
def test_other_errors_of_the_port(failure: OSError, said: str) -> None:
    """Other system errors have readable messages."""
    assert said in listen_socket._failed(failure, load_settings()).message


def test_a_host_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """A host that cannot be resolved is a usage error."""
    assert run(["serve", "--host", "nowhere.invalid", "--api-key", "k" * 8]) == 2
    assert "'nowhere.invalid' cannot be resolved" in capsys.readouterr().err


def test_the_network_needs_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key, the server does not listen on the network; the hint generates a good key."""
    assert run(["serve", "--host", "0.0.0.0", "--simulate"]) == 2
    err = capsys.readouterr().err
    assert "could use your Copilot" in err
    made = subprocess.run(
        ["sh", "-c", err.splitlines()[-1]], capture_output=True, text=True, check=True
    )
    key = load_settings({"api_key": made.stdout.strip()}).api_key
    assert key is not None
    assert len(key.reveal()) == 32


def test_commands_for_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands to paste match the system's shell."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert listen_socket._make_key_command().startswith("$env:COPILOT_PROXY_API_KEY = ")
    greeting = banner.Banner(settings=load_settings(), address="http://x", catalogue=None)
    body = json.dumps(question("Hi", model="default"), separators=(",", ":"))
    assert greeting.curl().endswith('-d "' + body.replace('"', '\\"') + '"')


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_base_url(host: str, url: str) -> None:
    """Clients on this machine can use the URL, whatever address the server listens on."""
    assert port_owner.base_url(host, 8000) == url


@pytest.mark.parametrize("host", ["::1", "::", "localhost"])
def test_listens_on_other_hosts(host: str) -> None:
    """Host names and IPv6 work; listening on all IPv6 addresses includes IPv4."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    settings = load_settings({"host": host, "port": 0, "api_key": "k" * 8})
    try:
        bound = listen_socket.bind(settings)
    except (OSError, CopilotProxyError):
        pytest.skip("this machine has no IPv6")
    with bound:
        listen_socket.listen(bound, settings)
        port = bound.getsockname()[1]
        assert bound.proto == socket.IPPROTO_TCP
        if host != "::1":
            assert is_listening(port)


def test_a_free_port(account: Simulator) -> None:
    """Port 0 picks a free port, and the banner shows it."""
    with Terminal("serve", "--port", "0") as terminal:
        shown = terminal.wait_for("Stop with Ctrl+C.")
        line = next(line for line in shown.splitlines() if "Base URL" in line)
        url = line.split()[-1]
        assert httpx.get(f"{url}/models", verify=NO_TLS, timeout=60).status_code == 200
        terminal.press("c")
        assert terminal.end() == 0


@contextlib.contextmanager
def long_answer(url: str, record: list[str]) -> Iterator[threading.Thread]:
    """Open a stream, and append its lines to `record`; at the end, wait until it is complete."""
    begun = threading.Event()

    def read() -> None:
        body = question("Write 600 words", stream=True)
        with httpx.stream(
            "POST", f"{url}/chat/completions", json=body, timeout=60, verify=NO_TLS
        ) as answer:
            for line in answer.iter_lines():
                record.append(line)
                begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(60)
    yield reader
    reader.join(60)
    assert not reader.is_alive()


def url_in(terminal: Terminal) -> str:
    shown = terminal.wait_for("Stop with Ctrl+C.")
    return next(line for line in shown.splitlines() if "Base URL" in line).split()[-1]


@pytest.mark.parametrize("how", first(["ctrl-c", "sigterm"]))
def test_stopping_lets_open_answers_end(account: Simulator, how: str) -> None:
    """The first Ctrl+C or SIGTERM lets open requests finish; the exit code is 0."""
    account.state.pace = 0.05
    record: list[str] = []
    with Terminal("serve", "--port", "0") as terminal:
        with long_answer(url_in(terminal), record):
            if how == "ctrl-c":
                terminal.press("c")
            else:
                terminal.kill(signal.SIGTERM)
            terminal.wait_for("Finishing 1 open request; press Ctrl+C again to stop now.")
            account.state.pace = 0
        assert terminal.end() == 0
        assert "Traceback" not in terminal.text
        assert terminal.lines[-1] == "" or "Stopped." in terminal.text
    assert record[-2] == "data: [DONE]"
    assert "error" not in record[-4]


def test_a_second_ctrl_c_aborts_open_requests(account: Simulator) -> None:
    """Clients get an error, the log says so, and the exit code is 130."""
    account.state.pace = 0.05
    record: list[str] = []
    with Terminal("serve", "--port", "0") as terminal:
        with long_answer(url_in(terminal), record):
            terminal.press("c")
            terminal.wait_for("Finishing 1 open request")
            terminal.press("c")
        assert terminal.end() == 130
        assert "server_stopped" in terminal.text
        assert "client disconnected" not in terminal.text
        assert "Traceback" not in terminal.text
    assert record[-2] == "data: [DONE]"
    error = json.loads(record[-4].removeprefix("data: "))["error"]
    assert error["code"] == "server_stopped"
    account.state.recorder.wait_for(
        lambda one: one.path == "/chat/completions" and one.done.is_set(), timeout=60
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGHUP")
def test_a_closed_terminal_lets_open_answers_end(account: Simulator) -> None:
    """The shell and the system both send SIGHUP; open requests finish, and the server ends."""
    account.state.pace = 0.05
    record: list[str] = []
    with Terminal("serve", "--port", "0") as terminal:
        url = url_in(terminal)
        with long_answer(url, record):
            terminal.kill(signal.SIGHUP)
            terminal.wait_for("Finishing 1 open request")
            terminal.hang_up()
            terminal.kill(signal.SIGHUP)
            account.state.pace = 0
        assert record[-2] == "data: [DONE]"
        assert "error" not in record[-4]
        assert terminal.wait() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_nohup(account: Simulator) -> None:
    """A server started with nohup outlives the terminal."""
    command = ["nohup", sys.executable, "-m", "copilot_proxy", "serve", "--port", "0"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as p:
        assert p.stderr
        url = next(line for line in p.stderr if "Base URL" in line).split()[-1]
        next(line for line in p.stderr if "Stop with" in line)
        p.send_signal(signal.SIGHUP)
        assert httpx.get(f"{url}/models", verify=NO_TLS, timeout=60).status_code == 200
        p.send_signal(signal.SIGTERM)
        assert p.wait(60) == 0


@pytest.mark.parametrize("stream", [True, False])
def test_stopping_here(
    account: Simulator, capsys: pytest.CaptureFixture[str], stream: bool
) -> None:
    """A request that outlasts the shutdown timeout is aborted, and its client receives an error."""
    account.state.faults.on("stall_before_headers", path="/chat/completions")
    answers: list[httpx.Response] = []

    def use(client: httpx.Client) -> None:
        def wait() -> None:
            answers.append(client.post("/v1/chat/completions", json=question("Hi", stream=stream)))

        waiting = threading.Thread(target=wait)
        waiting.start()
        account.state.recorder.wait_for(lambda one: one.path == "/chat/completions", timeout=60)
        os.kill(os.getpid(), signal.SIGINT)
        waiting.join()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COPILOT_PROXY_SHUTDOWN_TIMEOUT", "0.05")
        assert serve_while(use) in (0, 130)
    assert answers[0].status_code == 503
    assert answers[0].json()["error"]["code"] == "server_stopped"
    err = capsys.readouterr().err
    assert "Finishing 1 open request" in err
    assert re.search(r" cut \S+ .*server_stopped", err)


def test_ctrl_c_while_the_server_starts(account: Simulator) -> None:
    """There is no traceback, whether or not the server accepts connections yet."""
    account.state.faults.on("stall_before_headers", path="/models")
    with Terminal("serve", "--port", "0") as terminal:
        account.state.recorder.wait_for(lambda one: one.path == "/models", timeout=60)
        terminal.press("c")
        assert terminal.end() in (0, 130)
        assert "Traceback" not in terminal.text


def test_the_suggested_models() -> None:
    """Models that need enabling are not suggested, whatever their API; the default comes first."""
    entries = [
        {"id": "off", "policy": {"state": "disabled"}},
        {"id": "a", "vendor": "A"},
        {"id": "b", "vendor": "A"},
        {"id": "free", "vendor": "Big A", "billing": {"multiplier": 0}},
        {"id": "other-api", "vendor": "B", "supported_endpoints": ["/responses"]},
    ]
    catalogue = parse_models({"data": entries})
    chosen = banner.suggest(catalogue, load_settings({"default_model": "b"}))
    assert [model.id for model in chosen] == ["b", "free", "other-api"]
    prices = {"gpt-5.3-codex": 14, "gpt-6-mini": 1, "gpt-6.1": 10, "gpt-6.1-large": 60}
    sizes = [
        {
            "id": name,
            "vendor": "A",
            "billing": {"token_prices": {"default": {"input_price": cost, "output_price": cost}}},
            "model_picker_category": "lightweight" if "mini" in name else "versatile",
        }
        for name, cost in prices.items()
    ]
    chosen = banner.suggest(parse_models({"data": [{"id": "x"}, *sizes]}), load_settings())
    assert "gpt-6.1" == next(model.id for model in chosen if model.vendor == "A")
    none = parse_models({"data": entries[:1]})
    assert banner.suggest(none, load_settings()) == []


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvloop, the server runs on asyncio's own event loop."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    loop.close()
    assert type(loop).__module__.startswith("asyncio")


def test_help_imports_nothing_heavy() -> None:
    """The help of any command imports no HTTP library, no server and no keyring."""
    code = (
        "import sys\n"
        "from copilot_proxy.cli.main import run\n"
        "for command in ('serve', 'chat', 'models', 'simulate'):\n"
        "    run([command, '--help'])\n"
        "heavy = {'httpx', 'litestar', 'uvicorn', 'keyring', 'rich.markdown', 'msgspec'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
