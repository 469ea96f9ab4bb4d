"""Dumps: files with complete requests and responses, for debugging.

A client's request has up to two files, and up to two more for each request to Copilot, all named
``YYYYMMDD-HHMMSS-<request id>.<message>.txt``. Each contains the request or status line, the
allowlisted headers, an empty line, and the body, decompressed and with tokens masked. While the
server runs, nothing here raises: failures to write a dump are logged once.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from copilot_proxy import private_files
from copilot_proxy.errors import UsageError
from copilot_proxy.formats.decompression import (
    CHUNK_SIZE,
    ENCODINGS,
    DecompressionError,
    Decompressor,
)
from copilot_proxy.masking import StreamMask, mask
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

Headers = Iterable[tuple[bytes, bytes]]

_DUMP_NAME: Final = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"\.(?:client|copilot-\d+)-(?:request|answer)\.txt"
)
_DUMPED_HEADERS: Final = frozenset(
    (
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"copilot-integration-id",
        b"copilot-vision-request",
        b"editor-plugin-version",
        b"editor-version",
        b"openai-intent",
        b"retry-after",
        b"user-agent",
        b"x-github-api-version",
        b"x-github-request-id",
        b"x-initiator",
        b"x-request-id",
    )
)
"""The headers that are dumped, because they never contain a secret."""
_DUMPED_PREFIX: Final = b"x-copilot-proxy-"
_UNCOMPRESSED: Final = ("", "identity")
_MAX_BODY: Final = 64 * 1024 * 1024
"""Maximum bytes of a body to dump, so that a small compressed body cannot fill the disk."""
_EXPIRY_INTERVAL: Final = 300.0
"""Seconds between searches for expired files."""


class DumpFile:
    """A file with one request or response, written as it is sent or received."""

    def __init__(self, dumps: "Dumps", path: Path, first_line: str, headers: Headers) -> None:
        self._dumps = dumps
        self._remaining = _MAX_BODY
        self._mask = StreamMask()
        lower = [(name.lower(), value) for name, value in headers]
        encoding = dict(lower).get(b"content-encoding", b"").decode("latin-1").strip().lower()
        self._decompressor = Decompressor(encoding) if encoding in ENCODINGS else None
        self._descriptor = dumps.open_file(path)
        lines = [first_line, *(_line(name, value) for name, value in lower if _is_dumped(name))]
        self._append(mask("\n".join(lines) + "\n\n").encode())
        if encoding not in (*ENCODINGS, *_UNCOMPRESSED):
            self._append(b"(the body has an unsupported content encoding)")
            self.close()

    def write(self, data: bytes) -> None:
        """Write the next chunk of the body. The chunk may be empty."""
        for start in range(0, len(data) if self._descriptor >= 0 else 0, CHUNK_SIZE):
            chunk = data[start : start + CHUNK_SIZE]
            for plain in self._decompress(chunk):
                self._append(self._mask.feed(plain[: self._remaining]))
                self._remaining -= len(plain)
                if self._remaining <= 0:
                    self._append(self._mask.end() + b"\n(truncated)")
                    self._close_descriptor()
                    return

    def close(self) -> None:
        """Write buffered data and close the file. Safe to call twice."""
        self._append(self._mask.end())
        self._close_descriptor()

    def _decompress(self, chunk: bytes) -> Iterator[bytes]:
        if self._decompressor is None:
            yield chunk
            return
        try:
            yield from self._decompressor.feed(chunk)
        except DecompressionError:
            self._append(self._mask.end() + b"\n(the remaining body cannot be decompressed)")
            self._close_descriptor()

    def _append(self, data: bytes) -> None:
        try:
            # After a short write, the next write raises an error with the reason.
            while data and self._descriptor >= 0:
                data = data[os.write(self._descriptor, data) :]
                self._dumps.is_failing = False
        except OSError as error:
            self._close_descriptor()
            self._dumps.report_failure(error)

    def _close_descriptor(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Dump:
    """The files of one request."""

    def __init__(self, dumps: "Dumps", name: str) -> None:
        self._dumps = dumps
        self._name = name
        self._calls = 0
        self._files: list[DumpFile] = []

    def add_file(self, message: str, first_line: str, headers: Headers) -> DumpFile:
        """Create the file for a `message` such as ``client-request``, and write what precedes the
        body."""
        path = self._dumps.folder / f"{self._name}.{message}.txt"
        self._files.append(DumpFile(self._dumps, path, first_line, headers))
        return self._files[-1]

    def next_call(self) -> str:
        """Return the name for the next request to Copilot: ``copilot-1``, ``copilot-2``, ..."""
        self._calls += 1
        return f"copilot-{self._calls}"

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()


class Dumps:
    """A folder of dumps, and the dumps of the requests in progress."""

    def __init__(self, folder: Path, hours: float) -> None:
        """Files are kept for `hours`. Raises `UsageError` if the folder is unusable."""
        self.folder = folder
        self._max_age = hours * 3600
        self._open: dict[str, Dump] = {}
        self.is_failing = False
        """Whether the last write failed; if so, that has been logged."""
        self._check()
        self.expire()

    @contextmanager
    def request(self, request_id: str) -> Iterator[Dump]:
        """Provide the dump of a request. While the block runs, `find` returns it too."""
        dump = Dump(self, f"{time.strftime('%Y%m%d-%H%M%S')}-{request_id}")
        self._open[request_id] = dump
        try:
            yield dump
        finally:
            del self._open[request_id]
            dump.close()

    def find(self, request_id: str | None) -> Dump | None:
        """Return the dump of a request in progress, or None."""
        return self._open.get(request_id) if request_id else None

    @asynccontextmanager
    async def expire_periodically(self) -> AsyncIterator[None]:
        """Remove expired files every few minutes while the block runs."""
        expiring = asyncio.create_task(self._expire_loop())
        try:
            yield
        finally:
            expiring.cancel()

    async def _expire_loop(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_INTERVAL)
            await asyncio.to_thread(self.expire)

    def expire(self) -> None:
        """Remove expired dump files, but no other files."""
        oldest = time.time() - self._max_age
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                # Another worker may have removed the file already.
                with suppress(OSError):
                    if (
                        _DUMP_NAME.fullmatch(entry.name)
                        and entry.is_file(follow_symlinks=False)
                        and entry.stat(follow_symlinks=False).st_mtime < oldest
                    ):
                        os.unlink(entry.path)

    def open_file(self, path: Path) -> int:
        """Create a file and return its descriptor, or -1 on failure."""
        try:
            try:
                descriptor = private_files.open_private(path, private_files.NEW)
            except FileNotFoundError:
                # The user may have deleted the entire folder.
                private_files.make_folder(self.folder)
                descriptor = private_files.open_private(path, private_files.NEW)
        except OSError as error:
            self.report_failure(error)
            return -1
        return descriptor

    def report_failure(self, error: OSError) -> None:
        """Log that dumps cannot be written, unless this has been logged since the last success."""
        if not self.is_failing:
            self.is_failing = True
            reason = private_files.failure_reason(error)
            log.warning("Cannot write dumps to %s: %s.", self.folder, reason)

    def _check(self) -> None:
        hint = "Choose another folder with --dump-dir; it is created if it does not exist."
        try:
            private_files.make_folder(self.folder)
            if private_files.is_open_to_others(self.folder):
                raise UsageError(
                    f"Other users can access the dump folder {self.folder}.",
                    hint=private_files.privacy_hint(self.folder),
                )
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            reason = private_files.failure_reason(error)
            raise UsageError(
                f"The dump folder {self.folder} cannot be used: {reason}.", hint=hint
            ) from error


def dumps_for(settings: Settings) -> Dumps | None:
    """Return the dump folder from the settings, or None if dumps are off, which is the default."""
    return Dumps(settings.dump_dir, settings.dump_hours) if settings.dump_dir else None


def _is_dumped(name: bytes) -> bool:
    return name in _DUMPED_HEADERS or name.startswith(_DUMPED_PREFIX)


def _line(name: bytes, value: bytes) -> str:
    return f"{name.decode('latin-1')}: {value.decode('latin-1')}"
