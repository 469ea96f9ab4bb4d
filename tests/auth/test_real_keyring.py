"""Signing in with a real keyring: gnome-keyring, in a separate D-Bus session."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from copilot_proxy.simulator import SIMULATED_TOKEN, Simulator
from tests.selection import only_in_ci

MISSING = [name for name in ("dbus-daemon", "gnome-keyring-daemon") if not shutil.which(name)]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}")
PROGRAM = Path(sys.executable).with_name("copilot-proxy")
BUS = """<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>"""
"""The configuration of a bus that, unlike the default, starts no programs on its own."""
LOCK = """
import secretstorage
connection = secretstorage.dbus_init()
for collection in secretstorage.get_all_collections(connection):
    collection.lock()
"""

OWNER = """
import time
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection
bus = Proxy(message_bus, open_dbus_connection())
for _ in range(2500):
    if bus.NameHasOwner("org.freedesktop.secrets")[0]:
        break
    time.sleep(0.02)
else:
    raise SystemExit("the keyring did not start")
"""


class Desktop:
    """A session with a keyring, as a user has after logging in to a desktop."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.home = folder
        self._runtime = folder / "runtime"
        self._runtime.mkdir(mode=0o700)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(self._runtime),
            "COPILOT_PROXY_GITHUB_URL": simulator.url,
            "COPILOT_PROXY_GITHUB_API_URL": simulator.url,
        }
        configuration = folder / "bus.conf"
        configuration.write_text(BUS.format(folder=folder))
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._bus.stdout is not None
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self._bus.stdout.readline().strip()
        self.start_keyring()

    def start_keyring(self, password: str = "a password") -> None:
        """Start the daemon and unlock it."""
        self._keyring = subprocess.Popen(
            ["gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._keyring.stdin is not None
        self._keyring.stdin.write(password)
        self._keyring.stdin.close()
        check = [sys.executable, "-c", OWNER]
        subprocess.run(check, env=self.environment, timeout=60, check=True)

    def kill_keyring(self) -> None:
        """Kill the daemon."""
        self._keyring.send_signal(signal.SIGKILL)
        self._keyring.wait()

    def run(self, *arguments: str, program: Path = PROGRAM, answer: str = "") -> tuple[int, str]:
        """Run a command; return its exit code and all of its output."""
        done = subprocess.run(
            [program, *arguments],
            env=self.environment,
            input=answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def sign_in(self, *arguments: str) -> tuple[int, str]:
        """Sign in with a token."""
        return self.run("login", "--with-token", *arguments, answer=SIMULATED_TOKEN)

    def close(self) -> None:
        """End the session."""
        self.kill_keyring()
        self._bus.terminate()
        self._bus.wait()
        assert self._bus.stdout is not None
        self._bus.stdout.close()


@pytest.fixture
def desktop(tmp_path: Path, simulator: Simulator) -> Iterator[Desktop]:
    """A session with an unlocked keyring."""
    desktop = Desktop(tmp_path, simulator)
    try:
        yield desktop
    finally:
        desktop.close()


def test_a_keyring_of_a_desktop(desktop: Desktop) -> None:
    """The token is in the keyring and in no file, and is gone after signing out."""
    code, shown = desktop.sign_in()
    assert 0 == code, shown
    assert "The token is stored in the system keyring." in shown
    files = [path.read_bytes() for path in desktop.home.rglob("*") if path.is_file()]
    assert files
    assert not any(SIMULATED_TOKEN.encode() in content for content in files)

    code, shown = desktop.run("status")
    assert 0 == code, shown
    assert "in the system keyring" in shown
    assert 0 == desktop.run("chat", "hi")[0]

    assert 0 == desktop.run("logout")[0]
    code, shown = desktop.run("status")
    assert code
    assert "login" in shown


@only_in_ci
def test_a_locked_keyring(desktop: Desktop) -> None:
    """The error says that the keyring is locked, and how to continue; once unlocked, it works."""
    assert 0 == desktop.sign_in()[0]
    assert 0 == desktop.run("-c", LOCK, program=Path(sys.executable))[0]
    for command in (["status"], ["chat", "hi"], ["serve", "--port", "0"]):
        code, shown = desktop.run(*command)
        assert code, shown
        assert "The keyring is locked." in shown
        assert "Unlock it." in shown
        assert "Traceback" not in shown
    code, shown = desktop.sign_in()
    assert code, shown
    assert "login --with-token --store file" in shown

    desktop.kill_keyring()
    desktop.start_keyring()
    assert 0 == desktop.run("status")[0]


@only_in_ci
def test_a_keyring_that_dies(desktop: Desktop) -> None:
    """If the daemon dies, commands report it, and a token can still be stored in a file."""
    assert 0 == desktop.sign_in()[0]
    desktop.kill_keyring()
    code, shown = desktop.run("status")
    assert code
    assert "Not signed in to GitHub." in shown
    code, shown = desktop.sign_in()
    assert code, shown
    assert "No keyring is available" in shown
    assert "login --with-token --store file" in shown
    code, shown = desktop.sign_in("--store", "file")
    assert 0 == code, shown
    assert 0 == desktop.run("status")[0]
