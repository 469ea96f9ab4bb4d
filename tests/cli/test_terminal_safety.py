"""Text from Copilot, GitHub or the command line cannot control the terminal."""

import json
import logging
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from copilot_proxy.cli.console import print_error, print_message, print_result
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.logs.text_format import TextFormatter
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from copilot_proxy.terminal import escape_controls
from tests.cli.conftest import Cli, environment

EVIL = "a\x1b]52;c;ZXZpbA==\x07\x9b2J\u202egnp\u2066\u2028b\nFAKE 200 line\r\x00"


def is_safe(text: str) -> bool:
    """Return whether `text` contains only printable characters and line breaks."""
    return all(
        unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp") for char in text if char != "\n"
    )


def test_everything_unsafe_is_escaped() -> None:
    """Control characters and bidirectional marks become visible; the rest is unchanged."""
    assert is_safe(escape_controls(EVIL))
    assert "a\\u001b]52;c;ZXZpbA==\\u0007\\u009b2J\\u202egnp" in escape_controls(EVIL)
    same = "Grüße, 日本語, مرحبا, 👩\u200d💻\n\tcode {}"
    assert same == escape_controls(same)


def test_a_json_document_stays_the_same() -> None:
    """JSON escapes are used in JSON documents."""
    document = {"name": EVIL}
    assert document == json.loads(escape_controls(json.dumps(document, ensure_ascii=False)))


def test_results_messages_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Results and messages are safe, and an error is one line."""
    print_result(EVIL)
    print_message(EVIL)
    print_error(CopilotProxyError(f"Copilot said: {EVIL}"))
    ran = capsys.readouterr()
    assert is_safe(ran.out)
    assert is_safe(ran.err)
    assert ran.err.splitlines()[-1].startswith("Error: Copilot said: a")


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A log message from any library is one safe line."""
    entry = logging.LogRecord("x", logging.WARNING, "f", 1, "%s", (EVIL,), None)
    line = TextFormatter().format(entry)
    assert is_safe(line)
    assert "\n" not in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "--all"],
        ["models", "--all", "--json"],
        ["models", EVIL],
        ["chat", "-m", EVIL, "hi"],
        ["chat", EVIL, EVIL],
        ["chat", "--json", "-m", "default", EVIL],
        [EVIL],
        ["serve", "--port", EVIL],
        ["status"],
        ["doctor"],
        ["doctor", EVIL],
        ["doctor", "--report"],
        ["run", EVIL],
        ["connect", EVIL],
        ["connect", "codex", "--print", "-m", EVIL],
        ["usage", EVIL],
        ["usage", "show", EVIL],
        ["usage", "--client", EVIL],
        ["budget", "set", EVIL],
        ["budget", "set", "5/day", "--client", EVIL],
        ["budget", "raise", "5", "--project", EVIL],
        ["login", "--from", EVIL],
        ["service", EVIL],
        ["--profile", EVIL.rstrip("\0"), "status"],
    ],
)
def test_commands(
    cli: Cli, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """No command prints unsafe text from a model list, a refusal or its own arguments."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", SIMULATED_TOKEN)
    evil = {"id": f"m{EVIL}", "name": EVIL, "vendor": EVIL, "model_picker_enabled": True}
    assert isinstance(simulator.state.catalogue, list)
    simulator.state.catalogue.append(evil)
    ran = cli(*arguments)
    shown = ran.err if arguments[0] == "chat" and "--json" not in arguments else ran.out + ran.err
    assert shown.strip()
    assert is_safe(shown)


@pytest.mark.parametrize("locale", ["C.UTF-8", "POSIX"])
def test_arguments_that_are_not_utf_8(tmp_path: Path, locale: str) -> None:
    """Arguments are read as UTF-8 in every locale, and invalid bytes are replaced."""
    ran = subprocess.run(
        [sys.executable, "-m", "copilot_proxy", "chat", "--simulate", b"caf\xe9 caf\xc3\xa9"],
        env=environment()
        | {"COPILOT_PROXY_HOME_DIR": str(tmp_path)}
        | {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        timeout=60,
    )
    assert 0 == ran.returncode, ran.stderr
    assert os.fsencode("You said: caf\ufffd café\n") in ran.stdout
