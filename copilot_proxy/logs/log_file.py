"""The log in a file: rotated by size, its owner's alone, and no trouble to the server."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from copilot_proxy import private_files
from copilot_proxy.errors import UsageError
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_LONGEST: Final = 64 * 1024
"""Bytes of a line; with more of them the size of a file would be no bound."""


class LogFile(RotatingFileHandler):
    """Appends each line to `path` in one write, so that none is ever split.

    A file that somebody else has moved away is replaced by a new one. What cannot be written is
    reported once on stderr, and again only after it went well in between. Raises `OSError` when the
    file cannot be opened.
    """

    def __init__(self, path: Path, *, most_bytes: int, count: int) -> None:
        """Rotates before a line would make the file larger than `most_bytes`, and keeps `count` old
        files."""
        super().__init__(path, maxBytes=most_bytes, backupCount=count, encoding="utf-8")
        self._failing: set[str] = set()
        """What has failed, and has not gone well since."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line of `record`, whatever the disk does."""
        if record.name == __name__:
            return  # the news that this file cannot be written
        line = self.format(record).encode(errors="backslashreplace")
        if len(line) > _LONGEST:
            line = line[:_LONGEST].decode(errors="ignore").encode() + b" (cut)"
        try:
            self._append(line + b"\n")
        except OSError as error:
            self._report("written", error)
        else:
            self._failing.discard("written")

    def doRollover(self) -> None:
        """Moves every file on by one; where that fails, the one at hand grows on."""
        try:
            super().doRollover()
        except OSError as error:
            self._report("rotated", error)
        else:
            self._failing.discard("rotated")

    def _append(self, line: bytes) -> None:
        # Past the stream, which would keep what a full disk did not take, and write it later.
        descriptor = self._descriptor()
        size = os.fstat(descriptor).st_size
        if size and size + len(line) > self.maxBytes:
            self.doRollover()
            descriptor = self._descriptor()
            size = os.fstat(descriptor).st_size
        written = os.write(descriptor, line)
        if written < len(line):
            # The disk is full. Half a line would spoil the next one, too.
            os.ftruncate(descriptor, size)
            os.write(descriptor, line)  # raises, and says why

    def _descriptor(self) -> int:
        """Of the file that is at the path now, which is opened if it is another one."""
        if self.stream is not None and not _is_at(self.baseFilename, self.stream.fileno()):
            self.stream.close()
            self.stream = None
        if self.stream is None:
            self.stream = self._open()
        return self.stream.fileno()

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        private_files.make_folder(path.parent)
        descriptor = private_files.open_private(path, private_files.APPEND)
        return open(descriptor, "a", encoding=self.encoding)

    def _report(self, what: str, error: OSError) -> None:
        if what not in self._failing:
            self._failing.add(what)
            reason = private_files.failure_reason(error)
            log.warning("The log file %s cannot be %s: %s.", self.baseFilename, what, reason)


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False


def log_file_of(path: Path, worker: int) -> Path:
    """The file of process number `worker`, counted from 1: the first has `path` itself, the others
    ``stem-2.suffix`` and so on, since several processes that rotate one file lose lines."""
    return path if worker == 1 else path.with_name(f"{path.stem}-{worker}{path.suffix}")


@contextmanager
def log_file_for(settings: Settings, *, worker: int = 1) -> Iterator[LogFile | None]:
    """The log file of the settings, open while the block runs; None if there is to be none.

    Raises `UsageError` if it cannot be written.
    """
    if settings.log_file is None:
        yield None
        return
    path = log_file_of(settings.log_file, worker)
    try:
        file = LogFile(path, most_bytes=settings.log_file_bytes, count=settings.log_file_count)
    except OSError as error:
        hint = error.hint if isinstance(error, private_files.UnsafeFileError) else None
        raise UsageError(
            f"The log file {path} cannot be used: {private_files.failure_reason(error)}.",
            hint=hint or "Name another one with --log-file.",
        ) from error
    with closing(file):
        yield file
