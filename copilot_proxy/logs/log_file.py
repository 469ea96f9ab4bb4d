"""Writes the log to a file that only its owner can read, and rotates it by size."""

import logging
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from copilot_proxy import ENVIRONMENT_PREFIX, private_files
from copilot_proxy.errors import UsageError
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

_MAX_LINE: Final = 64 * 1024
"""Maximum size of a line in bytes. A longer line could exceed the maximum size of the file."""
_MAX_WAITING: Final = 64 * 1024
"""The total size of unwritten lines, in bytes, at which they are written."""


class LogFile(RotatingFileHandler):
    """Collects lines, and appends them to `path` on `flush` or earlier.

    The file never ends with an incomplete line. If another program moves it away, a new one is
    created. A failure to write or rotate is logged to stderr only if the previous attempt
    succeeded. Raises `OSError` if the file cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int, count: int) -> None:
        """The file is rotated before it exceeds `max_bytes`; `count` old files are kept."""
        super().__init__(path, maxBytes=max_bytes, backupCount=count, encoding="utf-8")
        self._lines: list[bytes] = []
        """The lines that have not been written yet."""
        self._size = 0
        """The size of the unwritten lines in bytes."""
        self._failing: set[str] = set()
        """The actions (``written``, ``rotated``) that have failed since their last success."""

    def emit(self, record: logging.LogRecord) -> None:
        """Collect the line for `record`, and flush once enough lines have been collected."""
        if record.name == __name__:
            return  # the warning that this file cannot be written or rotated
        line = self.format(record).encode(errors="backslashreplace")
        if len(line) > _MAX_LINE:
            line = line[:_MAX_LINE].decode(errors="ignore").encode() + b" (cut)"
        self._lines.append(line + b"\n")
        self._size += len(line)
        if self._size >= _MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write the collected lines; failures are logged, not raised."""
        self.acquire()
        try:
            lines, self._lines, self._size = self._lines, [], 0
            while lines:
                lines = lines[self._append(lines) :]
                self._failing.discard("written")
        except OSError as error:
            self._report("written", error)
        finally:
            self.release()

    def doRollover(self) -> None:
        """Rename each file to the next number; if that fails, keep using the current file."""
        try:
            super().doRollover()
        except OSError as error:
            self._report("rotated", error)
        else:
            self._failing.discard("rotated")

    def _append(self, lines: list[bytes]) -> int:
        """Write as many of the lines as the file has room for, and return how many."""
        # Bypass the stream: if a full disk rejects data, the stream would keep the data and write
        # it later.
        descriptor = self._descriptor()
        size = os.fstat(descriptor).st_size
        if size and size + len(lines[0]) > self.maxBytes:
            self.doRollover()
            descriptor = self._descriptor()
            size = os.fstat(descriptor).st_size
        count, end = 1, size + len(lines[0])
        while count < len(lines) and end + len(lines[count]) <= self.maxBytes:
            end += len(lines[count])
            count += 1
        data = b"".join(lines[:count])
        written = os.write(descriptor, data)
        if written < len(data):
            # The disk is full. Remove the incomplete line, since the next line would be appended to
            # it.
            complete = data.rfind(b"\n", 0, written) + 1
            os.ftruncate(descriptor, size + complete)
            os.write(descriptor, data[complete:])  # raises an error with the reason
        return count

    def _descriptor(self) -> int:
        """Return the log file's descriptor. If the file was moved or replaced, open the path
        again."""
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


def log_file_path(path: Path, worker: int) -> Path:
    """Return the log file of process number `worker`, counted from 1.

    The first process uses `path` itself, the others ``stem-2.suffix`` and so on, because processes
    that rotate the same file would lose lines.
    """
    return path if worker == 1 else path.with_name(f"{path.stem}-{worker}{path.suffix}")


@contextmanager
def log_file_for(settings: Settings, *, worker: int = 1) -> Iterator[LogFile | None]:
    """Yield the log file from the settings, or None if they name none.

    The file is closed when the block ends. Raises `UsageError` if it cannot be opened.
    """
    if settings.log_file is None:
        yield None
        return
    path = log_file_path(settings.log_file, worker)
    try:
        file = LogFile(path, max_bytes=settings.log_file_bytes, count=settings.log_file_count)
    except OSError as error:
        hint = error.hint if isinstance(error, private_files.UnsafeFileError) else None
        raise UsageError(
            f"The log file {path} cannot be used: {private_files.failure_reason(error)}.",
            hint=hint or f"Choose another file {_place(settings.sources['log_file'])}.",
        ) from error
    with closing(file):
        yield file


def _place(source: str) -> str:
    """Return a phrase that says how to set another log file, such as "with --log-file"."""
    if source == "flag":
        return "with --log-file"
    return f"with {source}" if source.startswith(ENVIRONMENT_PREFIX) else f"as log_file in {source}"
