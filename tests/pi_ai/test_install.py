"""``copilot-proxy pi-ai install``, and the errors if pi-ai or Node is missing."""

import base64
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.upstreams.pi_ai import install
from copilot_proxy.upstreams.pi_ai.package import PACKAGE, installed, manifest, version
from tests.cli.conftest import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its programs are shell scripts")

ARCHIVE = b"the package"
CHECKSUM = f"sha512-{base64.b64encode(hashlib.sha512(ARCHIVE).digest()).decode()}"
GOOD_NPM = f"""
echo "$@" >> "$NPM_LOG"
env | grep -c COPILOT_PROXY >> "$NPM_LOG"
if [ "$1" = pack ]; then printf '{ARCHIVE.decode()}' > pi-ai.tgz; exit 0; fi
mkdir -p node_modules/{PACKAGE}
echo '{{"version": "{version()}"}}' > node_modules/{PACKAGE}/package.json
cat package.json >> "$NPM_LOG"
"""
GOOD_NODE = """
if [ "$1" = --version ]; then echo v22.19.0; exit 0; fi
if [ -e "$2/node_modules/broken" ]; then exit 1; fi
"""

Programs = Callable[..., None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a function that adds scripts by name to the PATH, which has few other programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("mkdir", "cat", "env", "grep", "sleep", "touch"):
        found = next(p for p in ("/bin", "/usr/bin") if os.path.exists(f"{p}/{name}"))
        (folder / name).symlink_to(f"{found}/{name}")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("NPM_LOG", str(tmp_path / "npm.log"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))

    def put(**scripts: str) -> None:
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    put(node=GOOD_NODE, npm=GOOD_NPM)
    return put


@pytest.fixture(autouse=True)
def known_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the checksum of the archive that the tests' npm provides."""
    known = json.dumps({**json.loads(manifest()), "integrity": CHECKSUM})
    monkeypatch.setattr(install, "manifest", lambda: known)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home" / "pi-ai"


def test_installing(
    programs: Programs, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """npm downloads the pinned version, without a lock file, our settings or package scripts.

    The verified archive is then installed.
    """
    assert 0 == run(["pi-ai", "install"])

    assert version() == installed(home)
    said = capsys.readouterr().err
    assert f"Installed pi-ai {version()} in {home}" in said
    assert "serve --upstream pi-ai" in said
    log = (tmp_path / "npm.log").read_text()
    assert f"pack {PACKAGE}@{version()} --ignore-scripts" in log
    assert "install --omit=dev --ignore-scripts --no-audit --no-fund --no-package-lock" in log
    assert "file:pi-ai.tgz" in log
    assert "\n0\n" in log
    assert ["pi-ai"] == [path.name for path in home.parent.iterdir()]


def test_it_is_already_installed(
    programs: Programs, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed version is kept, unless a new installation is requested."""
    run(["pi-ai", "install"])
    asked = (tmp_path / "npm.log").read_text()

    assert 0 == run(["pi-ai", "install"])
    assert "is already installed in" in capsys.readouterr().err
    assert asked == (tmp_path / "npm.log").read_text()

    assert 0 == run(["pi-ai", "install", "--force"])
    assert asked != (tmp_path / "npm.log").read_text()


@pytest.mark.parametrize(
    ("npm", "words"),
    [
        ("echo npm error code ENOTFOUND >&2; exit 1", "cannot reach its registry"),
        ("echo 'npm error odd: Bearer tid=secretsecret' >&2; exit 1", "npm failed: odd: "),
        ("echo other > pi-ai.tgz", "is wrong"),
        ("true", "is wrong"),
        (
            f"if [ $1 = pack ]; then printf '{ARCHIVE.decode()}' > pi-ai.tgz; fi",
            "cannot be loaded",
        ),
        (f'{GOOD_NPM}touch "$PWD/node_modules/broken"', "cannot be loaded"),
    ],
)
def test_a_failure_leaves_the_old_one(
    programs: Programs, home: Path, capsys: pytest.CaptureFixture[str], npm: str, words: str
) -> None:
    """A failure results in one message with a hint, and the old version is kept."""
    run(["pi-ai", "install"])
    capsys.readouterr()
    programs(npm=npm)

    assert 1 == run(["pi-ai", "install", "--force"])

    said = capsys.readouterr().err
    assert words in said
    assert "secretsecret" not in said
    assert version() == installed(home)
    assert ["pi-ai"] == [path.name for path in home.parent.iterdir()]


@pytest.mark.parametrize(
    "arguments", [["serve", "--simulate", "--port", "0"], ["chat", "--simulate", "Hi"]]
)
def test_without_pi_ai(
    programs: Programs, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """The error names the install command, and appears before anything is served."""
    assert 1 == run([*arguments, "--upstream", "pi-ai"])

    said = capsys.readouterr().err
    assert "pi-ai is not installed" in said
    assert "pi-ai install" in said


def test_with_another_version(
    programs: Programs, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version that this program was not tested with is refused."""
    run(["pi-ai", "install"])
    found = home / "node_modules" / PACKAGE / "package.json"
    found.write_text('{"version": "0.1.0"}')

    assert 1 == run(["chat", "--simulate", "--upstream", "pi-ai", "Hi"])

    assert f"pi-ai 0.1.0 is installed, but {version()} is required" in capsys.readouterr().err
    found.write_text("no JSON")
    assert installed(home) is None


def test_with_the_package_under_its_old_name(
    programs: Programs, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installation from before pi-ai was renamed is refused, and installing replaces it."""
    package = home / "node_modules" / "@mariozechner" / "pi-ai"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "0.73.1"}')

    assert 1 == run(["chat", "--simulate", "--upstream", "pi-ai", "Hi"])

    said = capsys.readouterr().err
    assert f"pi-ai 0.73.1 is installed, but {version()} is required" in said
    assert "copilot-proxy pi-ai install" in said
    assert 0 == run(["pi-ai", "install"])
    assert version() == installed(home)
    assert not package.exists()


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (None, "Node, which is not on the PATH"),
        ("echo v20.20.2", "needs Node 22.19.0 or newer, but "),
        ("echo v22.9.0", "needs Node 22.19.0 or newer, but "),
        ("echo what", "needs Node 22.19.0 or newer, but "),
        ("exit 1", "cannot be run"),
    ],
)
@pytest.mark.parametrize(
    "arguments", [["pi-ai", "install"], ["chat", "--simulate", "--upstream", "pi-ai", "Hi"]]
)
def test_without_a_recent_node(
    programs: Programs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    node: str | None,
    words: str,
    arguments: list[str],
) -> None:
    """The error says that Node is missing or too old, and where to get it."""
    if node is None:
        (tmp_path / "bin" / "node").unlink()
    else:
        programs(node=node)

    assert 1 == run(arguments)

    said = capsys.readouterr().err
    assert words in said
    assert "nodejs.org" in said


def test_without_npm(
    programs: Programs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says that npm may be a separate package."""
    (tmp_path / "bin" / "npm").unlink()

    assert 1 == run(["pi-ai", "install"])

    assert "npm is not on the PATH" in capsys.readouterr().err


def test_a_damaged_installation_is_repaired(
    programs: Programs, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged installation is repaired without a flag."""
    run(["pi-ai", "install"])
    (home / "node_modules" / "broken").touch()
    capsys.readouterr()

    assert 0 == run(["pi-ai", "install"])

    said = capsys.readouterr().err
    assert "missing or damaged" in said
    assert f"Installed pi-ai {version()} in {home}" in said
    assert not (home / "node_modules" / "broken").exists()
    assert ["pi-ai"] == [path.name for path in home.parent.iterdir()]


def test_leftovers_of_killed_installations_are_removed(programs: Programs, home: Path) -> None:
    """Leftovers older than an hour are removed, since newer ones may be in use."""
    long_ago = time.time() - 4000
    for name, age in (("pi-ai.dead", long_ago), ("pi-ai.new", None)):
        (home.parent / name / "node_modules").mkdir(parents=True)
        os.utime(home.parent / name, None if age is None else (age, age))

    assert 0 == run(["pi-ai", "install"])

    assert {"pi-ai", "pi-ai.new"} == {path.name for path in home.parent.iterdir()}


def test_a_file_in_place_of_the_folder_is_replaced(programs: Programs, home: Path) -> None:
    """A file in place of the folder is replaced without leftovers."""
    home.parent.mkdir()
    home.touch()

    assert 0 == run(["pi-ai", "install"])

    assert version() == installed(home)
    assert ["pi-ai"] == [path.name for path in home.parent.iterdir()]


def test_concurrent_installations(programs: Programs, home: Path) -> None:
    """Two concurrent installations leave one working version."""
    put_there = f"""
        mkdir -p {home}/node_modules/{PACKAGE}
        echo '{{"version": "{version()}"}}' > {home}/node_modules/{PACKAGE}/package.json
    """
    programs(npm=f'{GOOD_NPM}\nif [ "$1" = install ]; then {put_there}\nfi')

    assert 0 == run(["pi-ai", "install"])

    assert version() == installed(home)
    assert ["pi-ai"] == [path.name for path in home.parent.iterdir()]


def test_a_full_disk(
    programs: Programs,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A full disk is reported before anything is downloaded."""
    usage = shutil.disk_usage(home.parent.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000_000))

    assert 1 == run(["pi-ai", "install"])

    said = capsys.readouterr().err
    assert f"Only 20 MB is free on the disk that holds {home.parent}" in said
    assert "Fetching" not in said
    assert not list(home.parent.iterdir())


def test_a_folder_that_cannot_be_written(
    programs: Programs, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the folder and the reason, and says how to use another folder."""
    home.parent.symlink_to("/nowhere")

    assert 1 == run(["pi-ai", "install"])

    said = capsys.readouterr().err
    assert f"{home.parent} cannot be written: " in said
    assert "COPILOT_PROXY_HOME_DIR" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_interrupted(programs: Programs, home: Path, number: int) -> None:
    """Ctrl+C, SIGTERM and a closed terminal also end npm, without leftovers."""
    begun = home.parent.parent / "begun"
    os.mkfifo(begun)
    programs(npm=f"exec 3> {begun}\necho begun >&3\nexec sleep 100")
    asked = subprocess.Popen(
        [sys.executable, "-m", "copilot_proxy", "pi-ai", "install"],
        env={**environment(), "COPILOT_PROXY_HOME_DIR": str(home.parent)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with begun.open() as output:
        assert "begun\n" == output.readline()
        asked.send_signal(number)
        _, said = asked.communicate(timeout=60)
        assert not output.read(), "npm is still running"

    assert (130, True) == (
        asked.returncode,
        "Stopped. The unfinished installation was removed." in said,
    ), said
    assert not list(home.parent.iterdir())


def test_models_works_without_it(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    """`models` works without pi-ai, since the list is Copilot's."""
    assert 0 == run(["models", "--simulate", "--upstream", "pi-ai", "--json"])

    assert "claude-haiku-4.5" in capsys.readouterr().out


def test_the_tests_use_the_shipped_version() -> None:
    """`make clients` installs the shipped version."""
    tested = json.loads((Path(__file__).parent / "package.json").read_text())

    assert json.loads(manifest())["dependencies"] == tested["dependencies"]
