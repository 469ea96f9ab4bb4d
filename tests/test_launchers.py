"""Recognizing copies of the program that are not installed."""

import pytest

from copilot_proxy.launchers import launcher


@pytest.mark.parametrize(
    ("executable", "command"),
    [
        ("/home/mona/.cache/pipx/4f1c/bin/python", "pipx run g-copilot-proxy"),
        ("/home/mona/.local/pipx/.cache/4f1c/bin/python", "pipx run g-copilot-proxy"),
        ("/Users/mona/Library/Caches/pipx/4f1c/bin/python", "pipx run g-copilot-proxy"),
        ("/home/mona/.cache/uv/archive-v0/a1/bin/python", "uvx g-copilot-proxy"),
        ("/home/mona/.local/share/pipx/venvs/g-copilot-proxy/bin/python", None),
        ("/home/mona/.local/share/uv/tools/g-copilot-proxy/bin/python", None),
        ("/usr/bin/python3", None),
    ],
)
def test_copies_in_a_cache_are_recognized(executable: str, command: str | None) -> None:
    """Hints from cached copies contain the command that the user typed."""
    assert command == launcher(executable)
