"""The thread that writes the log, so that no other thread waits for a reader or a disk."""

import io
import json
import logging
import os
import re
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from copilot_proxy.logs import background
from copilot_proxy.logs.background import BackgroundHandler
from copilot_proxy.logs.log_file import LogFile
from copilot_proxy.logs.reporter import Reporter
from copilot_proxy.logs.setup import logging_to_stderr
from copilot_proxy.relay.records import RequestContext
from copilot_proxy.simulator import Simulator
from tests.cli.terminals import Terminal, is_listening, question, sign_in, wait_until
from tests.ports import free_port
from tests.selection import first

log = logging.getLogger("a.library")


class Blocked(logging.Handler):
    """A log handler that writes nothing until `go` is called; `lines` has the written lines."""

    def __init__(self) -> None:
        super().__init__()
        self.log = logging.Logger("separate")
        self.lines: list[str] = []
        self._began, self._may_go = threading.Semaphore(0), threading.Semaphore(0)

    def emit(self, record: logging.LogRecord) -> None:
        self._began.release()
        assert self._may_go.acquire(timeout=60)
        self.lines.append(self.format(record))

    def wait(self) -> None:
        """Wait until the handler is blocked by a line."""
        assert self._began.acquire(timeout=60)

    def go(self, lines: int = 1000) -> None:
        """Let the handler write this many lines."""
        self._may_go.release(lines)

    def finish(self) -> None:
        """Wait until all lines are written."""
        self.log.handlers[0].flush()


@pytest.fixture
def blocked() -> Iterator[Blocked]:
    """A handler that is blocked by its first line."""
    target = Blocked()
    handler = BackgroundHandler(target, if_slow="why")
    target.log.addHandler(handler)
    target.log.warning("first")
    target.wait()
    yield target
    target.go()
    handler.close()


@contextmanager
def pipe() -> Iterator[io.TextIOWrapper]:
    """Yield the reading end of a pipe that replaces stderr while the block runs."""
    reading, writing = os.pipe()
    with (
        open(reading, encoding="utf-8") as reader,
        open(writing, "w", encoding="utf-8") as writer,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stderr", writer)
        yield reader


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_unread_log_delays_nothing(form: str) -> None:
    """If nobody reads the log, lines are dropped, and another line says how many."""
    with pipe() as reader, logging_to_stderr(form, Reporter()):
        for number in range(5000):
            log.warning("line %d", number)
        seen, notice = 0, ""
        while seen < 5000:
            line = reader.readline()
            if found := re.search(r"(\d+) log lines? dropped: stderr was not being read", line):
                seen, notice = seen + int(found[1]), line
            else:
                assert f"line {seen}" in line
                seen += 1
        log.warning("read again")
        last = reader.readline()

    assert notice
    assert "read again" in last
    if form == "json":
        assert "warning" == json.loads(notice)["level"]


def test_one_dropped_line(blocked: Blocked, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one line is dropped, the notice uses the singular."""
    monkeypatch.setattr(background, "_MAX_LINES", 1)
    for word in ("waits", "dropped"):
        blocked.log.warning(word)
    blocked.go()
    blocked.finish()
    assert ["first", "waits", "1 log line dropped: why"] == blocked.lines


def test_a_slow_reader_misses_consecutive_lines(
    blocked: Blocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one line is dropped, so are later lines, until the reader has caught up."""
    monkeypatch.setattr(background, "_MAX_LINES", 2)
    for word in ("a", "b", "dropped"):
        blocked.log.warning(word)
    blocked.go(1)
    blocked.wait()
    blocked.log.warning("dropped as well")
    blocked.go()
    blocked.finish()
    blocked.log.warning("c")
    blocked.finish()
    assert ["first", "a", "b", "2 log lines dropped: why", "c"] == blocked.lines


def test_a_slow_log_file_does_not_delay_other_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log file and stderr have separate threads."""
    file = LogFile(tmp_path / "x.log", max_bytes=1000, count=1)
    go = threading.Event()
    monkeypatch.setattr(file, "emit", lambda _: go.wait(60))
    with pipe() as reader, logging_to_stderr("text", Reporter(), file):
        log.warning("first")
        log.warning("second")
        assert reader.readline().endswith("warning first\n")
        assert reader.readline().endswith("warning second\n")
        go.set()
    file.close()


def test_everything_is_eventually_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that are still waiting when the server ends are not lost."""
    with logging_to_stderr("text", Reporter()):
        for number in range(900):
            log.warning("line %d", number)
    lines = capsys.readouterr().err.splitlines()
    assert [f"line {number}" for number in range(900)] == [line[17:] for line in lines]


def test_closing_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """If stderr is not read, closing times out, and any more output is discarded."""
    monkeypatch.setattr(background, "_STOP_TIMEOUT", 0.05)
    with pipe() as reader:
        with logging_to_stderr("text", Reporter()):
            for _ in range(5000):
                log.warning("l" * 200)  # even the 1000 waiting lines do not fit into a pipe
        print("x" * 100_000, file=sys.stderr, flush=True)
        assert "x" not in reader.read()


def test_a_non_blocking_pipe_loses_nothing() -> None:
    """The pipe may be non-blocking because of programs that share stderr, such as Node."""
    with pipe() as reader, logging_to_stderr("text", Reporter()):
        os.set_blocking(sys.stderr.fileno(), False)
        for number in range(500):
            log.warning("%d %s", number, "x" * 1000)
        lines = [reader.readline() for _ in range(500)]
    assert [str(number) for number in range(500)] == [line.split()[2] for line in lines]
    assert {1000} == {len(line.split()[3]) for line in lines}


class Big:
    """A large object that a request holds."""


def test_waiting_lines_do_not_keep_objects_alive(blocked: Blocked) -> None:
    """Waiting lines keep neither their arguments nor a traceback's local variables in memory."""

    def fail() -> list[weakref.ref[Any]]:
        named, local = Big(), Big()
        try:
            raise ValueError("x")
        except ValueError:
            blocked.log.exception("failed with %s", named)
        headers = {b"a": b"b" * 100_000}
        context = RequestContext("an-id", "GET", "/", headers, status=404)
        blocked.log.warning("http", extra={"context": context})
        return [weakref.ref(one) for one in (named, local, context)]

    assert [None, None, None] == [ref() for ref in fail()]
    blocked.go()
    blocked.finish()
    assert "failed with <tests.logs.test_background.Big" in blocked.lines[1]
    assert blocked.lines[1].endswith("ValueError: x")


def test_a_line_that_cannot_be_formatted(capsys: pytest.CaptureFixture[str]) -> None:
    """The line is replaced with an error, and later lines are written."""
    with logging_to_stderr("text", Reporter()):
        log.warning("a", extra={"record": "none"})
        log.warning("b")
    lines = [line[9:] for line in capsys.readouterr().err.splitlines()]
    assert ["error A log line could not be written: AttributeError", "warning b"] == lines


def test_tokens_are_masked_before_a_line_is_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A truncated line does not end with part of a token."""
    with logging_to_stderr("text", Reporter()):
        log.warning("%s Bearer %s", "x" * (64 * 1024 - 13), "secret" * 10)
    assert "secret"[:5] not in capsys.readouterr().err


@pytest.mark.parametrize("workers", first(["1", "2"]))
def test_a_paused_terminal(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """After Ctrl+S, the server starts, answers and stops as usual, with exit code 0."""
    sign_in(monkeypatch, simulator)
    port = free_port()
    with Terminal("serve", "--port", str(port), "--workers", workers) as terminal:
        terminal.press("s")
        wait_until(lambda: is_listening(port))
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(2):
                assert 200 == client.post("/v1/chat/completions", json=question("x")).status_code
        os.kill(terminal.id, 15)
        assert 0 == terminal.wait()
