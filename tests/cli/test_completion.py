"""Completion in a shell: what follows a command, as the shell asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def completed(home: Path, line: str) -> list[str]:
    """Return what bash would offer after `line`."""
    words = line.split(" ")
    asked = {
        "_COPILOT_PROXY_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "COPILOT_PROXY_HOME_DIR": str(home),
    }
    code = (
        "import sys; sys.argv[0] = 'copilot-proxy'; from copilot_proxy.cli.main import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "" == ran.stderr
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("usage mo", ["month", "model"]),
        ("usage import ", ["copilot-cli"]),
        ("budget ", ["set", "raise", "off"]),
    ],
)
def test_words(tmp_path: Path, line: str, expected: list[str]) -> None:
    """The words of a command are offered, and what they take if there is only one choice."""
    assert expected == completed(tmp_path, f"copilot-proxy {line}")
