"""The man page."""

import shutil
import subprocess

import pytest

from tests.man_page import PAGE, page


def test_it_is_up_to_date() -> None:
    """The page is up to date; after a change to a help text, run: make man"""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.skipif(not shutil.which("man"), reason="there is no man")
def test_man_shows_it() -> None:
    """The page has no warnings, and shows flags as they are typed."""
    done = subprocess.run(
        ["man", "--warnings", "--no-hyphenation", "-l", str(PAGE)],
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "" == done.stderr
    assert "--simulate" in done.stdout
    assert "COPILOT_PROXY_PORT" in done.stdout
