"""Every command with `--debug`, on success and on failure: secrets are only in the store."""

import io
import json
import os
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from copilot_proxy.auth import device_flow, verification
from copilot_proxy.cli.main import run
from copilot_proxy.simulator import Simulator
from copilot_proxy.simulator.exchange_answers import EXCHANGE_ANSWERS
from tests.cli.conftest import Cli, Ran, Terminal, memory_keyring, own_home, terminal
from tests.cli.conftest import simulator as github
from tests.secrets.marks import Marks, files, sent
from tests.secrets.mirror import Mirror
from tests.selection import sample, share

__all__ = ["github", "memory_keyring", "own_home", "terminal"]

STORE = "credentials.json"
ASKING: list[tuple[str, ...]] = [
    ("status",),
    ("status", "--json"),
    ("models",),
    ("models", "--json"),
    ("chat", "Hi"),
    ("chat", "Hi", "--verbose", "--json"),
]
TOKEN_IN = ("login", "--with-token", "--store", "file")
DOCTOR = [("doctor",), ("doctor", "--report")]
COMMANDS = [*ASKING, *DOCTOR, ("login", "--store", "file", "--no-browser"), TOKEN_IN, ("logout",)]
TROUBLES = [(200, "exchange"), (302, "redirect")] + [
    (status, kind)
    for status in (200, 400, 401, 403, 404, 429, 500)
    for kind in ("github", "text", "html")
]
TROUBLES = sample(TROUBLES, alike=lambda trouble: trouble[0])


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process, with `stdin` as its input."""

    def call(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = run(arguments)
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def marks() -> Marks:
    return Marks()


@pytest.fixture
def home(own_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder for all of the program's files, in a HOME that is otherwise empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(device_flow, "_MARGIN", 0.0)
    monkeypatch.setattr(verification, "_RETRY_DELAYS", (0.0, 0.0, 0.0))
    return own_home


def said(ran: Ran) -> dict[str, str]:
    return {"stdout": ran.out, "stderr": ran.err}


def test_a_complete_sign_in(
    cli: Cli, github: Simulator, home: Path, marks: Marks, tmp_path: Path
) -> None:
    """After a sign-in, the token is only in the store, and `logout` removes it."""
    login = cli("login", "--store", "file", "--debug")
    assert login.code == 0
    kept = (home / STORE).read_text()
    ran = {" ".join(command): cli(*command, "--debug") for command in ASKING}
    marks.learn(github)
    token = marks.add("the token", json.loads(kept)["token"])
    assert {} == {what: one.err for what, one in ran.items() if one.code}
    assert len(marks.known) >= 5
    places = {
        f"{name} of {what}": text for what, one in ran.items() for name, text in said(one).items()
    }
    assert [] == marks.found(
        {**said(login), **places, **files(tmp_path, but=(STORE,)), **sent(github)}
    )
    assert [] == marks.found({STORE: kept}, but=token)
    assert cli("logout").code == 0
    assert [] == marks.found(files(tmp_path))


@pytest.mark.parametrize(
    ("trouble", "place"),
    sample(product(sorted(EXCHANGE_ANSWERS), ["environment", "store"]), alike=lambda case: case[0]),
)
def test_every_refusal_of_the_exchange(
    cli: Cli,
    github: Simulator,
    home: Path,
    marks: Marks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trouble: str,
    place: str,
) -> None:
    """Refusals of a token from the environment or the file do not show the token."""
    token = marks.add("the token", github.state.issue_oauth_token("Iv1.b507a08c87ecfe98"))
    if place == "environment":
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", token)
    else:
        assert cli(*TOKEN_IN, stdin=token).code == 0
    github.state.faults.on(trouble)
    for command in share([("status",), ("models",), *DOCTOR], trouble, 2):
        assert [] == marks.found(said(cli(*command, "--debug")))
    assert [] == marks.found({**files(tmp_path, but=(STORE,)), **sent(github)})


@pytest.mark.parametrize(("status", "kind"), TROUBLES)
def test_github_echoes_the_token(
    cli: Cli,
    home: Path,
    marks: Marks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    kind: str,
) -> None:
    """Every command reports the error without the token."""
    token = marks.new("the token", "gho_")
    typed = marks.new("the token that is typed", "ghu_")
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", token)
    with Mirror(status, kind) as mirror:
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_URL", mirror.url)
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_API_URL", mirror.url)
        for command in share(COMMANDS, (status, kind), 2):
            if command[0] == "login" and kind == "github" and status == 200:
                continue  # this sign-in waits for user input
            ran = cli(*command, "--debug", stdin=typed)
            assert [] == marks.found(said(ran)), command
    assert mirror.paths
    others = {f"what GitHub got, {number}": one for number, one in enumerate(mirror.others)}
    assert [] == marks.found({**files(tmp_path, but=(STORE,)), **others})


PROXIES = {
    "nobody there": "http://mona:{}@127.0.0.1:1",
    "one that refuses": "http://mona:{}@127.0.0.1:{port}",
    "secure, nobody there": "https://mona:{}@127.0.0.1:1",
    "a name that is none": "http://mona:{}@proxy.invalid:1",
    "unknown scheme": "gopher://mona:{}@127.0.0.1:1",
    "socks": "socks5://mona:{}@127.0.0.1:1",
    "a slash in the password": "http://mona:{}/more@127.0.0.1:1",
    "a hash in the password": "http://mona:{}#more@127.0.0.1:1",
    "no host": "http://mona:{}@",
    "no address": "{}",
    "a port that is none": "http://mona:{}@127.0.0.1:{{}}",
}


@pytest.mark.parametrize(
    ("proxy", "host"),
    sample(product(PROXIES, [None, "tenant.ghe.com"]), alike=lambda case: case[0]),
)
def test_the_password_of_a_proxy(
    cli: Cli,
    home: Path,
    marks: Marks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    proxy: str,
    host: str | None,
) -> None:
    """Proxy errors do not show the proxy's password."""
    password = marks.new("the password")
    token = marks.new("the token", "ghu_")
    for name in ("COPILOT_PROXY_GITHUB_URL", "COPILOT_PROXY_GITHUB_API_URL"):
        monkeypatch.delenv(name, raising=False)
    with Mirror(407, "text") as mirror:
        address = PROXIES[proxy].replace("{port}", str(mirror.port)).replace("{}", password, 1)
        monkeypatch.setenv("HTTPS_PROXY", address)
        if host is None:
            monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", token)
            asking = [("status",), ("models",), ("chat", "Hi"), TOKEN_IN, *DOCTOR]
            commands = share(asking, proxy, 2)
        else:
            commands = [(*TOKEN_IN, "--host", host)]
        for command in commands:
            ran = cli(*command, "--debug", stdin=token)
            assert ran.code != 0
            assert [] == marks.found(said(ran)), command
    assert bool(mirror.paths) == (proxy == "one that refuses")
    assert [] == marks.found(files(tmp_path))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("API_KEY", "{}\n"),
        ("API_KEY", "{}é"),
        ("API_KEYS", "{}"),
        ("API_KEYS", "a={},b={}"),
        ("API_KEYS", "a={}é"),
        ("GITHUB_TOKEN", "{}\x1b"),
        ("GITHUB_TOKEN", "{}é"),
        ("GITHUB_URL", "https://mona:{}@github.com"),
        ("GITHUB_URL", "https://github.com/?token={}"),
        ("GITHUB_API_URL", "{}"),
        ("COPILOT_API_URL", "https://{}@example.com"),
    ],
)
def test_an_invalid_setting(
    marks: Marks,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    setting: str,
    value: str,
) -> None:
    """The setting is named without its value, which may be a misplaced secret."""
    secret = marks.new("what was set", "ghu_")
    monkeypatch.setenv(f"COPILOT_PROXY_{setting}", value.replace("{}", secret))
    assert run(["serve", "--port", "0", "--debug"]) == 2
    err = capsys.readouterr().err
    assert f"COPILOT_PROXY_{setting}" in err
    assert [] == marks.found({"stderr": err})


def test_an_invalid_configuration_file(
    home: Path, marks: Marks, capsys: pytest.CaptureFixture[str]
) -> None:
    """TOML errors do not quote the line."""
    home.mkdir()
    for text in ('api_key = "{}', "api_key = {}", '[api_keys]\nx = ["{}"]', '"{}" = 1'):
        secret = marks.new(text, "ghu_")
        (home / "config.toml").write_text(text.replace("{}", secret))
        assert run(["serve", "--debug"]) == 2
    assert [] == marks.found({"stderr": capsys.readouterr().err})


def test_the_browser_gets_no_secret(
    terminal: Callable[..., Terminal], github: Simulator, home: Path, marks: Marks, tmp_path: Path
) -> None:
    """The browser is opened with GitHub's page, without a key or token."""
    browser, output = tmp_path / "browser", tmp_path / "output"
    browser.write_text(f'#!/bin/sh\n(echo "$@"; env) >{output}.new && mv {output}.new {output}\n')
    browser.chmod(0o700)
    key = marks.new("the API key")
    github.state.device_flow = ["pending", "ok"]
    child = terminal(
        "login",
        "--store",
        "file",
        BROWSER=str(browser),
        COPILOT_PROXY_API_KEY=key,
        COPILOT_PROXY_API_KEYS=f"laptop={marks.new('a named key')}",
    )
    child.expect("Signed in as")
    assert child.end() == 0
    marks.learn(github)
    assert "/login/device" in output.read_text()
    places = {"what the browser was given": output.read_text(), "the terminal": child.raw}
    assert [] == marks.found({**places, **files(home, but=(STORE,))})
    assert os.environ.get("COPILOT_PROXY_API_KEY") is None
