"""``login``: from the first message to the stored token."""

import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keyring
import pytest

from copilot_proxy.auth import stores
from copilot_proxy.auth.stores import Credentials
from copilot_proxy.catalogue import parse_models
from copilot_proxy.cli import login as login_module
from copilot_proxy.cli import login_screen
from copilot_proxy.ledger.writer import Writer
from copilot_proxy.settings import load_settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.keyrings import LOCKED, BrokenKeyring, MemoryKeyring, PromptingKeyring
from tests.cli.conftest import Cli, Terminal
from tests.ledger.rows import record, row

FILE = "credentials.json"


def stored(home: Path) -> dict[str, Any] | None:
    file = home / FILE
    return json.loads(file.read_text()) if file.exists() else None


def models(simulator: Simulator) -> int:
    """Return the number of enabled models in Copilot's model picker."""
    return len(parse_models(simulator.state.catalogue).picker_models)


# Without a terminal.


def test_a_sign_in_reports_login_plan_and_models(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """Plain lines go to stderr, nothing goes to stdout, and the token file is private."""
    ran = cli("login", "--store", "file")
    lines = ran.err.splitlines()

    assert (0, "") == (ran.code, ran.out)
    assert lines[0].startswith(f"Open {simulator.url}/login/device and enter the code ")
    assert "Waiting up to 15 minutes for your approval." == lines[1]
    assert f"The token is stored in the file {own_home / FILE}." in lines
    assert f"Signed in as mona (Pro plan, {models(simulator)} models)." in lines
    assert 0o600 == stat.S_IMODE((own_home / FILE).stat().st_mode)


def test_a_keyring_that_hangs_does_not_delay_a_sign_in_to_the_file(
    cli: Cli,
    simulator: Simulator,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An older sign-in in the keyring is only looked for briefly."""
    monkeypatch.setattr(stores, "_ASIDE_TIMEOUT", 0.05)
    backend = PromptingKeyring()
    keyring.set_keyring(backend)
    ran = cli("login", "--store", "file")
    backend.released.set()

    assert 0 == ran.code
    assert stored(own_home) is not None
    assert [] == caplog.messages  # such as "Waiting for the system keyring"


def test_no_token_is_printed(cli: Cli, simulator: Simulator, own_home: Path) -> None:
    """GitHub's token, Copilot's token and the device code are not printed."""
    ran = cli("login", "--store", "file")
    kept = stored(own_home)
    assert kept is not None

    assert ("mona", "github.com") == (kept["login"], kept["host"])
    for secret in (kept["token"], "tid=", "ghu_"):
        assert secret not in ran.err


def test_tokens_are_stored_in_the_keyring_by_default(
    cli: Cli, simulator: Simulator, memory_keyring: MemoryKeyring, own_home: Path
) -> None:
    """With a keyring, no token file is written."""
    ran = cli("login")

    assert 0 == ran.code
    assert "The token is stored in the system keyring." in ran.err
    assert [("g-copilot-proxy", "github")] == list(memory_keyring.entries)
    assert stored(own_home) is None


def test_without_keyring_and_terminal_the_sign_in_does_not_start(
    cli: Cli, simulator: Simulator
) -> None:
    """The sign-in does not start if there is no way to store the token."""
    ran = cli("login")

    assert 1 == ran.code
    assert "No keyring is available." in ran.err
    assert "copilot-proxy login --store file" in ran.err
    assert [] == simulator.state.requests

    with_token = cli("login", "--with-token", stdin="ghu_unknown\n")
    assert "copilot-proxy login --with-token --store file" in with_token.err


def test_a_locked_keyring(cli: Cli, simulator: Simulator) -> None:
    """A locked keyring is detected before the sign-in."""
    keyring.set_keyring(BrokenKeyring(LOCKED))
    ran = cli("login")

    assert 1 == ran.code
    assert "The keyring is locked." in ran.err
    assert [] == simulator.state.requests


@pytest.mark.parametrize("store", ["keyring", "file"])
def test_the_requested_store_is_checked_first(
    cli: Cli, simulator: Simulator, own_home: Path, store: str
) -> None:
    """The requested store is checked before the sign-in."""
    (own_home / FILE).mkdir(parents=True)
    keyring.set_keyring(BrokenKeyring(OSError("gone")))
    ran = cli("login", "--store", store)

    assert 1 == ran.code
    assert ran.err.startswith("Error: ")
    assert [] == simulator.state.requests


def test_the_file_may_be_chosen_although_there_is_a_keyring(
    cli: Cli, simulator: Simulator, memory_keyring: MemoryKeyring, own_home: Path
) -> None:
    """The token in the keyring is deleted, since it would take precedence."""
    cli("login")
    ran = cli("login", "--store", "file")

    assert 0 == ran.code
    assert "Currently signed in as mona (github.com); this sign-in will replace it." in ran.err
    assert {} == memory_keyring.entries
    assert stored(own_home) is not None


def test_a_stored_token_without_a_login(cli: Cli, simulator: Simulator, own_home: Path) -> None:
    """A token without a login is replaced like any other."""
    own_home.mkdir()
    (own_home / FILE).write_text('{"token": "ghu_old"}')

    assert (
        "Currently signed in as an unnamed account (github.com);"
        in cli("login", "--store", "file").err
    )


def test_another_account(cli: Cli, simulator: Simulator) -> None:
    """A message says that a second account's requests go into the same ledger, even after signing
    out. There is none for the same account, or if the ledger is empty."""
    login = ("login", "--store", "file")
    mixed = "The ledger contains requests from mona; requests from mona_acme will be added"
    plan = simulator.state.plan
    texts = [cli(*login).err]
    simulator.state.plan = "business"
    texts.append(cli(*login).err)
    simulator.state.plan = plan
    texts.append(cli(*login).err)
    assert not any("The ledger contains" in text for text in texts)
    writer = Writer(load_settings().ledger_file)
    writer.write([row(record("one"), time.time())])
    writer.close()
    assert "The ledger contains" not in cli(*login).err
    simulator.state.plan = "business"
    cli("logout")
    assert mixed in cli(*login).err
    assert "copilot-proxy --profile NAME login" in cli(*login).err


def test_a_corrupt_file_is_replaced(cli: Cli, simulator: Simulator, own_home: Path) -> None:
    """A corrupt file does not prevent signing in."""
    own_home.mkdir()
    (own_home / FILE).write_text("corrupt")

    assert 0 == cli("login", "--store", "file").code
    assert stored(own_home) is not None


def test_a_token_in_the_environment_is_mentioned(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token in the environment takes precedence over the stored one."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_env")
    ran = cli("login", "--store", "file")

    assert 0 == ran.code
    assert "A token is set in COPILOT_PROXY_GITHUB_TOKEN; it takes precedence over" in ran.err


def test_an_old_token_that_cannot_be_deleted_is_reported(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that stays in the keyring is reported, since it could be used again later."""
    keyring.set_keyring(BrokenKeyring(LOCKED))
    ran = cli("login", "--store", "file")

    assert 0 == ran.code
    assert "An older token may remain in another store: The keyring is locked." in ran.err


@pytest.mark.parametrize(
    ("step", "words"),
    [("denied", "was canceled on GitHub's page"), ("expired", "expired before it was entered")],
)
def test_a_failed_sign_in_stores_nothing(
    cli: Cli, simulator: Simulator, own_home: Path, step: str, words: str
) -> None:
    """The error says how to start over."""
    simulator.state.device_flow = ["pending", step]
    ran = cli("login", "--store", "file")

    assert 1 == ran.code
    assert words in ran.err
    assert "Start again with: copilot-proxy login" in ran.err
    assert stored(own_home) is None


def test_temporary_errors_are_reported_once_each(cli: Cli, simulator: Simulator) -> None:
    """Temporary errors do not end the sign-in."""
    simulator.state.device_flow = ["drop", "drop", "html", "pending", "ok"]
    ran = cli("login", "--store", "file")

    assert 0 == ran.code
    assert 2 == ran.err.count("Still trying.")


def test_an_account_without_copilot_gets_githubs_message(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The error contains GitHub's link, the exit code is 4, and nothing is stored."""
    simulator.state.block()
    ran = cli("login", "--store", "file")

    assert 4 == ran.code
    assert "No access to GitHub Copilot found" in ran.err
    assert "https://github.com/" in ran.err
    assert "mona" in ran.err
    assert stored(own_home) is None


def test_the_login_is_added_to_githubs_message(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users with two accounts can see which one was refused."""
    simulator.state.block("programmatic_token_generation")
    ran = cli("login", "--store", "file")

    assert "Error: Signed in as mona, but: " in ran.err


def test_a_failure_after_the_approval_does_not_lose_the_token(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The token is stored, and a message says that it could not be checked."""
    simulator.state.faults.on("exchange_500")
    ran = cli("login", "--store", "file")

    assert 1 == ran.code
    assert "GitHub is temporarily unavailable" in ran.err
    assert (
        "The token is stored, but it could not be checked. "
        "Check it later with: copilot-proxy status" in ran.err
    )
    assert stored(own_home) is not None


def test_an_unreachable_github_is_reported_at_once(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """Without a device code, the command does not wait for an approval."""
    simulator.state.github_down = True
    ran = cli("login", "--store", "file")

    assert 1 == ran.code
    assert stored(own_home) is None


@pytest.mark.parametrize("pasted", ["acme.ghe.com", "https://api.ACME.ghe.com/"])
def test_the_host_is_stored_with_the_token(
    cli: Cli, simulator: Simulator, own_home: Path, pasted: str
) -> None:
    """The host can be given in any form."""
    assert 0 == cli("login", "--store", "file", "--host", pasted).code

    kept = stored(own_home)
    assert kept is not None
    assert "acme.ghe.com" == kept["host"]


def test_a_url_setting_that_replaces_the_host_is_reported(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """Otherwise, users would not know why they were not asked to sign in to the host they named."""
    words = "takes precedence over --host"

    named = cli("login", "--store", "file", "--host", "acme.ghe.com").err
    assert f"COPILOT_PROXY_GITHUB_URL {words}: {simulator.url} is used" in named
    assert words not in cli("login", "--store", "file").err


def test_an_invalid_host_is_a_usage_error(cli: Cli, simulator: Simulator) -> None:
    """The error contains an example of a host."""
    ran = cli("login", "--host", "evil.example")

    assert 2 == ran.code
    assert "acme.ghe.com" in ran.err
    assert [] == simulator.state.requests


# A token from standard input.


def test_a_token_is_read_from_standard_input(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The token is checked like any other, without the device flow."""
    ran = cli("login", "--with-token", "--store", "file", stdin=f"{SIMULATED_TOKEN}\n")

    assert 0 == ran.code
    assert "Signed in as mona" in ran.err
    assert SIMULATED_TOKEN not in ran.err
    kept = stored(own_home)
    assert kept is not None
    assert SIMULATED_TOKEN == kept["token"]
    assert not any(one.path.startswith("/login") for one in simulator.state.requests)


def test_a_classic_personal_access_token_is_refused_before_any_call(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The error says what to do instead."""
    token = "ghp_classic"
    ran = cli("login", "--with-token", "--store", "file", stdin=token)

    assert 3 == ran.code
    assert "The token from standard input is a classic personal access token" in ran.err
    assert "copilot-proxy login" in ran.err
    assert token not in ran.err
    assert [] == simulator.state.requests
    assert stored(own_home) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "There is no token on standard input."),
        ("\n", "There is no token on standard input."),
        ("ghu_of two words", "The text on standard input is not a GitHub token."),
        ("ghu_0123456789\x1b[31m", "The text on standard input is not a GitHub token."),
        ("ghu_0123456789é", "The text on standard input is not a GitHub token."),
        ('"ghu_0123456789"', "The text on standard input is not a GitHub token."),
        ("password", "The text on standard input is not a GitHub token."),
    ],
)
def test_standard_input_without_a_token_is_a_usage_error(
    cli: Cli, simulator: Simulator, text: str, message: str
) -> None:
    """The input is neither sent nor repeated on the screen."""
    ran = cli("login", "--with-token", "--store", "file", stdin=text)

    assert 2 == ran.code
    assert message in ran.err
    assert not text.strip() or text not in ran.err
    assert [] == simulator.state.requests


def test_a_given_token_that_github_refuses_is_not_stored(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The exit code is 3."""
    ran = cli("login", "--with-token", "--store", "file", stdin="ghu_unknown")

    assert 3 == ran.code
    assert stored(own_home) is None


def test_a_given_token_that_cannot_be_checked_is_not_stored(
    cli: Cli, simulator: Simulator, own_home: Path
) -> None:
    """The user still has the token, and can try again."""
    simulator.state.github_down = True
    ran = cli("login", "--with-token", "--store", "file", stdin=SIMULATED_TOKEN)

    assert 1 == ran.code
    assert stored(own_home) is None


def test_a_sign_in_without_a_login(cli: Cli, simulator: Simulator) -> None:
    """The token exchange is enough; neither name nor models are invented."""
    simulator.state.faults.on("user_500")
    simulator.state.faults.on("models_500")
    ran = cli("login", "--with-token", "--store", "file", stdin=SIMULATED_TOKEN)

    assert 0 == ran.code
    assert "(Pro plan).\n" in ran.err


# The output on a terminal, in this process.


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stdin and stderr look like a terminal with 100 columns, and open no browser."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(login_module, "stderr_is_tty", lambda: True)
    monkeypatch.setattr(login_screen, "can_draw", lambda: True)
    monkeypatch.setattr(login_module, "is_interactive", lambda: True)


@pytest.mark.usefixtures("watched")
def test_the_panel_shows_code_and_url(cli: Cli, simulator: Simulator) -> None:
    """Code and URL are not broken across lines, so that they can be copied."""
    ran = cli("login", "--store", "file")

    assert "Sign in to GitHub" in ran.err
    assert f"Open {simulator.url}/login/device" in ran.err
    assert "and enter " in ran.err


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_the_file_store_needs_a_confirmation(
    cli: Cli, simulator: Simulator, own_home: Path, answer: str, code: int
) -> None:
    """A message says that there is no keyring; without a yes, the sign-in does not start."""
    ran = cli("login", stdin=answer)

    assert code == ran.code
    assert "No keyring is available." in ran.err
    question = f"store the token in the file {own_home / FILE}, readable only by you?"
    assert f"After you have signed in, {question}" in ran.err
    assert (code == 0) == (stored(own_home) is not None)
    assert (code == 0) == bool(simulator.state.requests)
    assert (code != 0) == ("COPILOT_PROXY_GITHUB_TOKEN" in ran.err)


def test_the_countdown_shows_remaining_time_and_errors() -> None:
    """The countdown continues between two reports."""
    from copilot_proxy.auth.device_flow import Waiting

    line = login_screen._Line()
    assert "Waiting for your approval" == line.__rich__()

    line(Waiting(left=125.0))
    assert "Waiting for your approval, [bold]2:05[/] left" == line.__rich__()

    line(Waiting(left=125.0, last_error="[odd] is down."))
    assert line.__rich__().endswith("\n[yellow]\\[odd] is down. Still trying.[/]")

    line(Waiting(left=-3.0))
    assert "0:00" in line.__rich__()


@pytest.mark.usefixtures("watched")
def test_a_token_can_be_typed(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal, --with-token prompts for the token."""
    monkeypatch.setattr("typer.prompt", lambda *args, **more: SIMULATED_TOKEN)

    assert 0 == cli("login", "--with-token", "--store", "file", terminal=True).code


def test_an_interruption_says_that_nothing_was_stored(
    cli: Cli, simulator: Simulator, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 130, and there is no traceback."""

    async def interrupted(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(login_module, "_device_flow", interrupted)
    ran = cli("login", "--store", "file")

    assert 130 == ran.code
    assert "Interrupted: no token was stored." in ran.err
    assert stored(own_home) is None


# On a pseudo-terminal.


@pytest.fixture
def approving(simulator: Simulator) -> Simulator:
    """A simulator that approves the sign-in at the first poll."""
    simulator.state.device_flow = ["ok"]
    return simulator


def test_an_interactive_sign_in(
    terminal: Callable[..., Terminal], approving: Simulator, own_home: Path, tmp_path: Path
) -> None:
    """The question, panel, countdown, browser and result work on a real terminal."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho noise; echo noise >&2; printf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    person = terminal("login", BROWSER=f"{browser} %s")
    person.expect("readable only by you? [y/N]: ")
    person.type("y")
    person.expect("and enter ")
    panel = person.expect("left")
    assert 0 == person.end()

    assert "─ Sign in to GitHub ─" in panel
    assert f"Open {approving.url}/login/device" in panel
    assert "Waiting for your approval, " in panel
    assert f"Signed in as mona (Pro plan, {models(approving)} models)." in person.screen
    assert "Waiting" not in person.screen
    assert "noise" not in person.raw
    assert "ghu_" not in person.raw
    assert stored(own_home) is not None
    deadline = time.monotonic() + 60
    while not opened.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert f"{approving.url}/login/device" == opened.read_text()


def test_without_a_browser(
    terminal: Callable[..., Terminal], approving: Simulator, tmp_path: Path
) -> None:
    """The URL is still shown."""
    opened = tmp_path / "opened"
    person = terminal("login", "--no-browser", "--store", "file", BROWSER=f"touch {opened} %s")
    person.expect("/login/device")
    assert 0 == person.end()

    assert not opened.exists()


def test_a_browser_that_hangs_does_not_delay_the_sign_in(
    terminal: Callable[..., Terminal], approving: Simulator
) -> None:
    """The browser runs in a separate process, which may outlive the command."""
    person = terminal("login", "--store", "file", BROWSER="sleep 3 %s")

    assert 0 == person.end()


def test_ctrl_c_while_waiting(
    terminal: Callable[..., Terminal], simulator: Simulator, own_home: Path
) -> None:
    """The exit code is 130, a message is shown, and nothing is stored."""
    simulator.state.device_flow = ["pending"]
    person = terminal("login", "--store", "file", "--no-browser")
    person.expect("left")
    person.interrupt()
    assert 130 == person.end()

    assert "Interrupted: no token was stored." in person.screen
    assert "Traceback" not in person.raw
    assert stored(own_home) is None
    assert "\x1b[?25h" in person.raw.rpartition("\x1b[?25l")[2]


def test_ctrl_c_at_the_question(terminal: Callable[..., Terminal], simulator: Simulator) -> None:
    """The sign-in does not start."""
    person = terminal("login")
    person.expect("[y/N]: ")
    person.interrupt()

    assert 130 == person.end()
    assert [] == simulator.state.requests


def test_a_token_typed_at_a_terminal_is_not_shown(
    terminal: Callable[..., Terminal], simulator: Simulator, own_home: Path
) -> None:
    """The typed token is hidden like a password."""
    person = terminal("login", "--with-token", "--store", "file")
    person.expect("GitHub token: ")
    person.type(SIMULATED_TOKEN)
    assert 0 == person.end()

    assert SIMULATED_TOKEN not in person.raw
    assert stored(own_home) is not None


def test_a_pipe_gets_plain_lines(
    program: Callable[..., subprocess.CompletedProcess[str]],
    simulator: Simulator,
) -> None:
    """There are no colors, boxes or cursor movements in a log file."""
    simulator.state.device_flow = ["ok"]
    ran = program("login", "--store", "file")

    assert 0 == ran.returncode
    assert "\x1b" not in ran.stderr
    assert "─" not in ran.stderr
    assert "" == ran.stdout


def test_other_commands_find_the_stored_token(
    cli: Cli, simulator: Simulator, memory_keyring: MemoryKeyring
) -> None:
    """Other commands load the token from the store that login named."""
    cli("login")
    found = Credentials.from_settings(load_settings(environ=dict(os.environ))).load()

    assert found is not None
    assert ("mona", "keyring") == (found.login, found.source)
