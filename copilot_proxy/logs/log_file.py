"""The log in a file: rotated by size, its owner's alone, and no trouble to the server."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from copilot_proxy import private_files
from copilot_proxy.errors import UsageError
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_LONGEST: Final = 64 * 1024
"""Bytes of a line; with more of them the size of a file would be no bound."""
_SAME: Final = (FileNotFoundError, NotADirectoryError)


class LogFile(logging.Handler):
    """Appends each line to `path` in one write, so that none is ever split.

    Before a line would make it larger than `most_bytes`, the file becomes ``path.1``, that
    ``path.2`` and so on up to `count`. A file that somebody else has moved away is begun anew. What
    cannot be written is told once on stderr, and again only after it went well in between.
    Raises `OSError` when the file cannot be opened.
    """

    def __init__(self, path: Path, *, most_bytes: int, count: int) -> None:
        super().__init__()
        self._path = path
        self._most_bytes = most_bytes
        self._count = count
        self._troubles: set[str] = set()
        """What has been told to fail, and has not gone well since."""
        self._descriptor = -1
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the line of `record`; never raises."""
        if record.name == __name__:
            return  # the news that this file cannot be written
        try:
            line = self.format(record).encode(errors="backslashreplace")
            if len(line) > _LONGEST:
                line = line[:_LONGEST].decode(errors="ignore").encode() + b" (cut)"
            self._write(line + b"\n")
        except OSError as error:
            self._trouble("written", error)
        else:
            self._troubles.discard("written")

    def close(self) -> None:
        """Lets go of the file; safe to call twice."""
        self.acquire()
        try:
            self._let_go()
        finally:
            self.release()
        super().close()

    def _write(self, line: bytes) -> None:
        status = self._status()
        size = status.st_size
        if size and size + len(line) > self._most_bytes:
            self._rotate()
            size = os.fstat(self._descriptor).st_size
        written = os.write(self._descriptor, line)
        if written < len(line):
            # The disk is full. Half a line would spoil the next one, too.
            os.ftruncate(self._descriptor, size)
            os.write(self._descriptor, line)  # raises, and says why

    def _status(self) -> os.stat_result:
        """Of the file that is at the path now, which is opened if it is another one."""
        if self._descriptor >= 0:
            ours = os.fstat(self._descriptor)
            with suppress(*_SAME):
                theirs = self._path.lstat()
                if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino):
                    return ours
        self._open()
        return os.fstat(self._descriptor)

    def _rotate(self) -> None:
        """Moves every file on by one; where that fails, the one at hand grows on."""
        self._let_go()  # Windows moves no file that is open
        try:
            for number in range(self._count - 1, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(self._numbered(number), self._numbered(number + 1))
            os.replace(self._path, self._numbered(1))
        except OSError as error:
            self._trouble("rotated", error)
        else:
            self._troubles.discard("rotated")
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _open(self) -> None:
        self._let_go()
        private_files.make_folder(self._path.parent)
        self._descriptor = private_files.open_private(self._path, private_files.APPEND)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _trouble(self, what: str, error: OSError) -> None:
        if what not in self._troubles:
            self._troubles.add(what)
            reason = private_files.failure_reason(error)
            log.warning("The log file %s cannot be %s: %s.", self._path, what, reason)


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
