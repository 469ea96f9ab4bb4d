"""launchd and Task Scheduler: the commands that are run, with fake programs that record them."""

import sys
from pathlib import Path

import pytest

from copilot_proxy.service.definition import Service, ServiceError, ServiceManager
from copilot_proxy.service.launchd import Launchd
from copilot_proxy.service.task_scheduler import TaskScheduler

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
SERVICE = Service(profile="work", command=("/bin/python", "-m", "x"), stop_timeout=1)
LAUNCHCTL = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$1" in
  bootstrap) touch "$RECORD.loaded" ;;
  bootout) rm -f "$RECORD.loaded" ;;
  print) test -e "$RECORD.loaded" && printf '\\tstate = running\\n\\tpid = 123\\n' ;;
esac
"""
SCHTASKS = """#!/bin/sh
echo "$@" >> "$RECORD"
case "$1" in
  /Create) touch "$RECORD.loaded" ;;
  /Delete) rm -f "$RECORD.loaded" ;;
  /Query) test -e "$RECORD.loaded" && printf '%s\\n' '"copilot-proxy-work","N/A","Running"' ;;
  /End) exit 1 ;;
esac
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which fake programs, found on the PATH, record their command lines."""
    for name, script in (("launchctl", LAUNCHCTL), ("schtasks", SCHTASKS)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    return tmp_path / "record"


def life(manager: ServiceManager) -> None:
    """Install the service, and remove it."""
    assert not manager.state(SERVICE).installed
    for path, content in manager.files(SERVICE).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    manager.activate(SERVICE)
    assert manager.state(SERVICE).running
    manager.restart(SERVICE)
    manager.deactivate(SERVICE)
    assert not manager.state(SERVICE).installed
    assert not any(path.exists() for path in manager.files(SERVICE))


def test_launchd(record: Path) -> None:
    """An agent is loaded into the graphical session, but only after the old agent has ended."""
    manager = Launchd()
    life(manager)

    commands = record.read_text().split("\n")
    words = [line.split()[0] for line in commands if line]
    assert ["bootout", "print", "bootstrap"] == words[:3]
    assert any(line.startswith("kickstart -k gui/") for line in commands)
    assert commands[2].endswith("Library/LaunchAgents/g-copilot-proxy-work.plist")
    assert "bootstrap" not in words[3:]


def test_task_scheduler(record: Path, tmp_path: Path) -> None:
    """A task is created from a file, run and deleted, even if ending it fails."""
    life(TaskScheduler(tmp_path / "service"))

    commands = record.read_text()
    file = tmp_path / "service/task.xml"
    assert f"/Create /F /TN copilot-proxy-work /XML {file}" in commands
    assert "/Run /TN copilot-proxy-work" in commands
    assert "/Delete /F /TN copilot-proxy-work" in commands


@pytest.mark.parametrize(
    ("status", "result", "running"),
    [
        ("Running", "0", True),
        ("Wird ausgef\x81hrt", "267009", True),
        ("Bereit", "267011", False),
    ],
)
def test_a_task_in_another_language(
    record: Path, tmp_path: Path, status: str, result: str, running: bool
) -> None:
    """Windows translates the status of a task, but not its last result code."""
    row = f'"PC","\\copilot-proxy-work","N/A","{status}","Interaktiv","30.11.2026","{result}","me"'
    row_file = tmp_path / "row"
    row_file.write_bytes(row.encode("latin-1"))
    (tmp_path / "bin/schtasks").write_text(f"#!/bin/sh\ncat '{row_file}'")

    assert running == TaskScheduler(tmp_path).state(SERVICE).running


def test_a_refusal_is_reported(record: Path, tmp_path: Path) -> None:
    """The error contains the last line that the program printed."""
    (tmp_path / "bin/launchctl").write_text(
        "#!/bin/sh\ncase $1 in print) exit 1;; bootstrap) echo 'Bootstrap failed: 5'; exit 5;; esac"
    )
    with pytest.raises(ServiceError, match="Bootstrap failed: 5"):
        Launchd().activate(SERVICE)
