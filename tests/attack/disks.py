"""Disks that are full, read-only or missing."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .site import PROGRAM, Impossible, Site, until


@contextlib.contextmanager
def _small_disk(folder: Path, size: str = "64k") -> Iterator[Path]:
    """Mount a tiny file system on `folder` while the block runs."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise Impossible("mounting a file system needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def full_log(site: Site) -> str:
    """If the log file's disk is full, requests are answered, and one line reports the full disk."""
    with _small_disk(site.folder / "small") as small:
        with site.serve("--log-file", str(small / "log")) as server:
            server.check()
            _fill(small)
            for _ in range(100):
                server.check()
            (small / "filler").unlink()
            server.check()
            assert 0 == server.stop()
            said = [line for line in server.said.splitlines() if "log file" in line]
        assert 1 <= len(said) <= 3, server.said
        return f"100 answers; on the terminal: {said[0][-70:]}"


def full_dumps(site: Site) -> str:
    """If the dumps' disk is full, requests are answered."""
    with _small_disk(site.folder / "small") as small:
        with site.serve("--dump-dir", str(small / "dumps")) as server:
            for _ in range(100):
                server.check()
            assert 0 == server.stop()
            said = [line for line in server.said.splitlines() if "dump" in line.lower()]
        assert len(said) < 10, server.said
        return f"100 answers; {len(said)} lines about dumps"


def full_data(site: Site) -> str:
    """If the ledger's disk is full, requests are answered, and recorded later."""
    with _small_disk(site.folder / "home", "4m") as small:
        _fill(small)
        with site.serve() as server:
            for _ in range(100):
                server.check()
            (small / "filler").unlink()
            server.check()
            assert 0 == server.stop()
            assert "Traceback" not in server.said
        recorded = site.recorded_requests()
        assert 101 == recorded, recorded
        return "101 answers, 101 rows in the ledger"


def full_sign_in(site: Site) -> str:
    """If a token cannot be stored, a message says so, and no half-written file is left."""
    with _small_disk(site.folder / "home") as small:
        _fill(small)
        done = subprocess.run(
            [PROGRAM, "login", "--with-token", "--store", "file"],
            env={**site.environment(), "COPILOT_PROXY_GITHUB_TOKEN": ""},
            input="ghu_" + "a" * 36,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        shown = done.stdout + done.stderr
        assert done.returncode not in (0, 2), shown
        assert "Traceback" not in shown
        left = [path for path in small.rglob("*") if path.is_file() and path.name != "filler"]
        assert not [path for path in left if path.stat().st_size == 0 or "tmp" in path.name], left
        return shown.strip().splitlines()[-1][:90]


def read_only_home(site: Site) -> str:
    """If the home folder is not writable, requests are answered."""
    home = site.folder / "home"
    with _small_disk(home):
        if subprocess.run(["mount", "-o", "remount,ro", str(home)], check=False).returncode:
            raise Impossible("the file system cannot be made read-only")
        with site.serve() as server:
            for _ in range(20):
                server.check()
            assert 0 == server.stop()
            assert "Traceback" not in server.said
        return "20 answers"


def moved_log(site: Site) -> str:
    """If log files are moved away, no line is lost."""
    log = site.folder / "log"
    with site.serve("--log-file", str(log)) as server:
        for number in range(10):
            for _ in range(10):
                server.check()
            # The line is written after the answer has been sent.
            until(log.exists, "a new log file")
            os.rename(log, site.folder / f"moved-{number}")
        server.check()
        assert 0 == server.stop()
    files = [log, *site.folder.glob("moved-*")]
    lines = sum(file.read_text().count(" 200 gpt-") for file in files if file.exists())
    assert 101 == lines, lines
    return f"101 answers, {lines} lines"
