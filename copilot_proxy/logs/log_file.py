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
"""Maximum size of a line in bytes; a longer one could exceed the maximum size of the file."""


class LogFile(RotatingFileHandler):
    """Appends each line to `path` in one write, so that no line is ever split.

    If another program moves the file away, a new one is created. A failure to write or rotate is
    logged to stderr once, and again only after a success in between. Raises `OSError` if the file
    cannot be opened.
    """

    def __init__(self, path: Path, *, max_bytes: int, count: int) -> None:
        """The file is rotated before it exceeds `max_bytes`; `count` old files are kept."""
        super().__init__(path, maxBytes=max_bytes, backupCount=count, encoding="utf-8")
        self._failing: set[str] = set()
        """The actions (``written``, ``rotated``) that have failed since their last success."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of `record`; failures are logged, not raised."""
        if record.name == __name__:
            return  # the warning that this file cannot be written
        line = self.format(record).encode(errors="backslashreplace")
        if len(line) > _MAX_LINE:
            line = line[:_MAX_LINE].decode(errors="ignore").encode() + b" (cut)"
        try:
            self._append(line + b"\n")
        except OSError as error:
            self._report("written", error)
        else:
            self._failing.discard("written")

    def doRollover(self) -> None:
        """Rename each file to the next number; if that fails, continue with the current file."""
        try:
            super().doRollover()
        except OSError as error:
            self._report("rotated", error)
        else:
            self._failing.discard("rotated")

    def _append(self, line: bytes) -> None:
        # Bypass the stream, which would buffer what a full disk rejects, and write it later.
        descriptor = self._descriptor()
        size = os.fstat(descriptor).st_size
        if size and size + len(line) > self.maxBytes:
            self.doRollover()
            descriptor = self._descriptor()
            size = os.fstat(descriptor).st_size
        written = os.write(descriptor, line)
        if written < len(line):
            # The disk is full. The next line would be appended to an incomplete one.
            os.ftruncate(descriptor, size)
            os.write(descriptor, line)  # raises the reason

    def _descriptor(self) -> int:
        """Return the descriptor of the file at the path, which is reopened if it was replaced."""
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

    The first process uses `path` itself, the others ``stem-2.suffix`` and so on: processes that
    rotate the same file would lose lines.
    """
    return path if worker == 1 else path.with_name(f"{path.stem}-{worker}{path.suffix}")


@contextmanager
def log_file_for(settings: Settings, *, worker: int = 1) -> Iterator[LogFile | None]:
    """Open the log file of the settings while the block runs; None if they name no file.

    Raises `UsageError` if it cannot be written.
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
            hint=hint or f"Name another file {_place(settings.sources['log_file'])}.",
        ) from error
    with closing(file):
        yield file


def _place(source: str) -> str:
    """Return where the log file is named; `source` is that of the setting."""
    if source == "flag":
        return "with --log-file"
    return f"with {source}" if source.startswith(ENVIRONMENT_PREFIX) else f"as log_file in {source}"
