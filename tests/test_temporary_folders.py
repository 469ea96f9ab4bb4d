"""Temporary folders of killed processes are removed by the next process."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from copilot_proxy.temporary_folders import temporary_folder
from tests.cli.terminals import wait_until

HOLD = """
import sys
from copilot_proxy.temporary_folders import temporary_folder
from copilot_proxy.cli.client_process import run_program

with temporary_folder() as folder:
    (folder / "key").write_text("secret")
    print(folder, flush=True)
    if sys.argv[1:]:
        run_program(sys.argv[1:], {})
    sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cleans up by itself")


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def hold(*client: str) -> tuple["subprocess.Popen[str]", Path]:
    """Start a process that holds a folder, for itself or for `client`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *client],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def test_only_unused_folders_are_removed(temp: Path) -> None:
    alive, used = hold()
    killed, abandoned = hold()
    kill(killed)
    (temp / "copilot-proxy-mine").mkdir()
    (temp / "copilot-proxy-link").symlink_to(used)
    assert (abandoned / "key").exists()

    with temporary_folder() as own:
        found = {path.name for path in temp.iterdir()}

    assert found == {own.name, used.name, "copilot-proxy-mine", "copilot-proxy-link"}
    assert not own.exists()
    kill(alive)
    with temporary_folder():
        assert not used.exists()


def test_a_client_that_is_still_running(temp: Path) -> None:
    """A client keeps the files that it was started with, even if its starter was killed."""
    starter, folder = hold("/bin/sh", "-c", "echo started; read line")
    assert starter.stdout is not None
    assert "started\n" == starter.stdout.readline()
    starter.kill()
    starter.wait()

    with temporary_folder():
        assert folder.exists()

    starter.communicate("end\n")  # until the client has closed its output, just before it ends

    def is_removed() -> bool:
        with temporary_folder():
            return not folder.exists()

    wait_until(is_removed)
