"""The definitions of the service for each operating system."""

import html
import shutil
import subprocess
from pathlib import Path

import pytest

from copilot_proxy.service.definition import Service
from copilot_proxy.service.installer import manager_for
from copilot_proxy.service.launchd import property_list
from copilot_proxy.service.systemd import service_unit, socket_unit
from copilot_proxy.service.task_scheduler import task
from copilot_proxy.settings import load_settings

GOLDEN = Path(__file__).parent / "golden"
COMMAND = ("python", "-P", "-m", "copilot_proxy.cli.service_process")
UNIX = Service(
    profile=None,
    command=("/opt/my tools/bin/python", *COMMAND[1:], "/home/mona/100% $HOME/service"),
    stop_timeout=45,
)
MAC = Service(
    profile="work",
    command=("/Users/mona/.local/bin/python", *COMMAND[1:], "/Users/mona/R&D <1>/service"),
    stop_timeout=45,
)
WINDOWS = Service(
    profile=None,
    command=(r"C:\Tools & More\python.exe", *COMMAND[1:], r"C:\Users\Mona Lisa\service"),
    stop_timeout=45,
)
SOCKET = Service(profile=None, command=UNIX.command, stop_timeout=45, listen="127.0.0.1:8000")
UNIX_SOCKET = Service(profile=None, command=UNIX.command, stop_timeout=45, listen="/run/me/a.sock")
DEFINITIONS = {
    "copilot-proxy.service": service_unit(UNIX),
    "copilot-proxy-on-demand.service": service_unit(SOCKET),
    "copilot-proxy.socket": socket_unit(SOCKET),
    "copilot-proxy-uds.socket": socket_unit(UNIX_SOCKET),
    "g-copilot-proxy-work.plist": property_list(MAC),
    "task.xml": task(WINDOWS, "PARIS\\mona"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_definition_is_the_expected_one(name: str) -> None:
    """Each definition equals the stored file, in which spaces, %, $, & and < are escaped."""
    assert (GOLDEN / name).read_text(encoding="utf-8") == DEFINITIONS[name]


def test_the_windows_task_has_only_ascii() -> None:
    """The task has only ASCII, so Windows cannot misread user names with other characters."""
    program = r"C:\Users\Zoë 李\python.exe"
    service = Service(profile=None, command=(program, "-m", "copilot_proxy"), stop_timeout=45)

    text = task(service, "PARIS\\Zoë")

    assert text.isascii()
    assert r"<Command>C:\Users\Zoë 李\pythonw.exe</Command>" in html.unescape(text)
    assert r"<UserId>PARIS\Zoë</UserId>" in html.unescape(text)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd's own check reports nothing."""
    program = Service(profile=None, command=("/bin/sh", "-c", "x"), stop_timeout=45, listen="8000")
    files = [tmp_path / "copilot-proxy.service", tmp_path / "copilot-proxy.socket"]
    files[0].write_text(service_unit(program))
    files[1].write_text(socket_unit(program))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", *map(str, files)],
        env={"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "copilot-proxy" not in done.stderr
    assert 0 == done.returncode, done.stderr


@pytest.mark.parametrize(
    ("platform", "title"),
    [("linux", "systemd user service"), ("darwin", "launchd agent"), ("win32", "scheduled task")],
)
def test_each_system_has_its_manager(platform: str, title: str) -> None:
    assert title == manager_for(load_settings(environ={}), platform).title
