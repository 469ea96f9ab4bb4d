"""The log file: complete, private, and never blocking the server."""

import json
import logging
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from copilot_proxy.cli.main import run
from copilot_proxy.logs.log_file import LogFile, log_file_path
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import question, serve_while, sign_in


def warn(message: str, *args: object) -> None:
    """Log a warning, and wait until it is written."""
    logging.getLogger("a.library").warning(message, *args)
    for handler in logging.getLogger().handlers:
        handler.flush()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, simulator: Simulator) -> Simulator:
    """The simulator, with the user signed in to it."""
    sign_in(monkeypatch, simulator)
    return simulator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "proxy.log"


@pytest.fixture
def file(path: Path) -> Iterator[LogFile]:
    """A log file of at most 1000 bytes, with up to three old files."""
    made = LogFile(path, max_bytes=1000, count=3)
    with logging_to_stderr("text", Reporter(), made):
        yield made
    made.close()


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_file_has_the_lines_of_stderr(
    account: Simulator, path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file has the same lines as stderr, with dates, including the server's start and end."""

    def use(client: httpx.Client) -> None:
        client.post("/v1/chat/completions", json=question("my secret plan"))
        client.get("/nowhere")

    assert serve_while(use, "--log-file", str(path), "--log-format", form) == 0
    err = capsys.readouterr().err
    lines = path.read_text().splitlines()
    assert "secret" not in path.read_text()
    if form == "json":
        assert err.splitlines() == lines
        events = [json.loads(line)["event"] for line in lines]
        # The simulator's list has unknown fields, which are reported once.
        assert ["ready", "request", "drift", "http", "stopped"] == events[1:]
    else:
        assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
        requests = lines[2:-1]
        assert [line[11:] in err for line in requests] == [True, True, True]
        assert requests[0].endswith("  1 msg 85 B")
        assert "Copilot sent values that this version does not know: " in requests[1]
        assert lines[1].endswith(" is ready.")
        assert lines[-1].endswith("Stopped.")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_file_modes(path: Path, umask: int) -> None:
    """The file has mode 0600 and its folder 0700, at all times and after every rotation."""
    before = os.umask(umask)
    try:
        made = LogFile(path, max_bytes=100, count=2)
        assert {0o600} == modes(path.parent)
        for number in range(10):
            made.handle(logging.makeLogRecord({"msg": f"{number} " + "x" * 40}))
        made.close()
    finally:
        os.umask(before)
    assert {0o600} == modes(path.parent)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_rotation_loses_and_splits_no_line(file: LogFile, path: Path) -> None:
    """Each line is complete and in exactly one file, and no file exceeds the maximum size."""
    for number in range(70):
        warn("line %d é", number)
    files = [path.with_name(f"proxy.log.{n}") for n in (2, 1)] + [path]
    assert all(one.stat().st_size <= 1000 for one in files)
    text = "".join(one.read_text(encoding="utf-8") for one in files)
    assert re.findall(r"line (\d+) é\n", text) == [str(number) for number in range(70)]


def test_old_files_are_deleted(file: LogFile, path: Path) -> None:
    """The number of files is limited; a line over the size limit gets its own file."""
    for number in range(300):
        logging.getLogger("a.library").warning("line %d", number)
    warn("x" * 3000)
    warn("after")
    assert sorted(os.listdir(path.parent)) == [
        "proxy.log",
        "proxy.log.1",
        "proxy.log.2",
        "proxy.log.3",
    ]
    assert path.read_text().endswith("after\n")


def test_an_existing_file_is_continued(path: Path) -> None:
    """After a restart, the server appends to the file."""
    for word in ("first", "second"):
        made = LogFile(path, max_bytes=1000, count=1)
        made.handle(logging.makeLogRecord({"msg": word}))
        made.close()
        made.close()
    assert path.read_text() == "first\nsecond\n"


def test_a_file_that_was_moved_away_is_created_again(file: LogFile, path: Path) -> None:
    """Log rotation programs may move the file without sending a signal."""
    warn("one")
    path.rename(path.with_name("archive"))
    warn("two")
    assert path.with_name("archive").read_text().endswith("warning one\n")
    assert path.read_text().endswith("warning two\n")
    assert "one" not in path.read_text()


@pytest.mark.parametrize("thing", ["link", "pipe", "folder", "hard link", "file above"])
def test_an_unusable_path_is_reported_before_the_start(
    tmp_path: Path, thing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, with a message; an existing file is not changed."""
    path, other = tmp_path / "x.log", tmp_path / "other"
    other.write_text("untouched")
    if thing == "link":
        path.symlink_to(other)
    elif thing == "pipe":
        os.mkfifo(path)
    elif thing == "folder":
        path.mkdir()
    elif thing == "hard link":
        os.link(other, path)
    else:
        path = other / "x.log"
    assert run(["serve", "--simulate", "--port", "0", "--log-file", str(path)]) == 2
    err = capsys.readouterr().err
    assert f"Error: The log file {path} cannot be used: " in err
    assert "Choose another file with --log-file." in err
    assert "is ready" not in err
    assert other.read_text() == "untouched"


def test_the_hint_names_where_the_log_file_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COPILOT_PROXY_LOG_FILE", str(tmp_path))
    assert run(["serve", "--simulate", "--port", "0"]) == 2

    assert "Choose another file with COPILOT_PROXY_LOG_FILE." in capsys.readouterr().err


def test_write_errors_are_reported_once(
    file: LogFile, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A removed folder that cannot be recreated is reported once; writing resumes when possible."""
    warn("one")
    path.parent.rename(tmp_path / "moved")
    (tmp_path / "logs").write_text("in the way")
    warn("two")
    warn("three")
    (tmp_path / "logs").unlink()
    warn("four")
    err = capsys.readouterr().err
    assert err.count(f"The log file {path} cannot be written: ") == 1
    for word in ("one", "two", "three", "four"):
        assert f"warning {word}" in err
    assert path.read_text().endswith("warning four\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_reported_once(
    file: LogFile, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An incomplete line is removed, so that the next line starts at the beginning of a line."""
    warn("one")
    size = path.stat().st_size
    real = os.write
    room = [10]

    def full(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr("copilot_proxy.logs.log_file.os.write", full)
        warn("two")
        warn("three")
    assert path.stat().st_size == size
    warn("four")
    assert [line.split()[-1] for line in path.read_text().splitlines()] == ["one", "four"]
    err = capsys.readouterr().err
    assert err.count("cannot be written: No space left on device.") == 1


def test_lines_are_written_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only lines that fit are written; if the disk fills up, the written lines are complete."""
    made = LogFile(path, max_bytes=1000, count=1)
    written: list[bytes] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        written.append(data)
        if len(written) == 3:
            return real(descriptor, data[:10])
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr("copilot_proxy.logs.log_file.os.write", write)
    for count in (20, 2):
        for number in range(count):
            made.handle(logging.makeLogRecord({"msg": f"{number:02d} " + "x" * 60}))
        made.flush()
    assert [15, 5, 2] == [data.count(b"\n") for data in written[:3]]
    made.handle(logging.makeLogRecord({"msg": "short"}))
    monkeypatch.undo()
    made.close()

    assert 15 == len(path.with_name("proxy.log.1").read_text().splitlines())
    lines = path.read_text().splitlines()
    assert ["15", "16", "17", "18", "19", "short"] == [line[:5].split()[0] for line in lines]


def test_a_rotation_that_fails_loses_nothing(
    file: LogFile, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If rotation fails, the file keeps growing, and the failure is reported once."""
    path.with_name("proxy.log.1").mkdir()
    path.with_name("proxy.log.2").touch()
    path.with_name("proxy.log.3").mkdir()
    for number in range(60):
        warn("line %d", number)
    assert len(path.read_text().splitlines()) == 60
    assert capsys.readouterr().err.count("cannot be rotated: ") == 1


def test_each_worker_has_a_separate_file() -> None:
    """The first worker's file has the requested name."""
    path = Path("/var/log/proxy.log")
    assert [str(log_file_path(path, worker)) for worker in (1, 2, 10)] == [
        "/var/log/proxy.log",
        "/var/log/proxy-2.log",
        "/var/log/proxy-10.log",
    ]
    assert log_file_path(Path("log"), 3) == Path("log-3")


def test_no_colors_in_the_file(file: LogFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines on stderr may have colors, but lines in the file never do."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    warn("one")
    assert "\x1b" not in path.read_text()


def test_long_lines_are_cut(file: LogFile, path: Path) -> None:
    """Lines have a maximum length, so that the file stays bounded."""
    warn("ä" * 1_000_000)
    warn("the next one")
    lines = path.with_name("proxy.log.1").read_text().splitlines()
    assert lines[-1].endswith("ä (cut)")
    assert len(lines[-1].encode()) <= 64 * 1024 + len(" (cut)")
    assert path.read_text().endswith("the next one\n")
