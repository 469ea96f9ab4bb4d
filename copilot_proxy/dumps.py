"""Whole conversations in files, for finding out what a client and Copilot really said.

A request has up to two files and two more for each time that Copilot was asked, all named
``YYYYMMDD-HHMMSS-<request id>.<part>.txt``. Each holds a first line, the headers of an allow list,
an empty line, and the body as it came, unpacked and with whatever looks like a token masked.
Nothing here raises while the server runs: a dump that cannot be written is told once in the log.
"""

import asyncio
import logging
import os
import re
import time
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from copilot_proxy import private_files
from copilot_proxy.errors import UsageError
from copilot_proxy.formats.packed import PIECE, WINDOWS, Unpacker
from copilot_proxy.masking import StreamMask, mask
from copilot_proxy.settings import Settings

log = logging.getLogger(__name__)

Headers = Iterable[tuple[bytes, bytes]]

_OURS: Final = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"\.(?:client|copilot-\d+)-(?:request|answer)\.txt"
)
_SHOWN: Final = frozenset(
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
"""Headers that never carry a secret; all others stay out, known or not."""
_SHOWN_PREFIX: Final = b"x-copilot-proxy-"
_PLAIN: Final = ("", "identity")
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of one body; what is longer is cut, so that a small packed one cannot fill the disk."""
_EXPIRY: Final = 300.0
"""Seconds between two looks for old files."""


class Part:
    """One message in a file, written as it comes."""

    def __init__(self, dumps: "Dumps", path: Path, first: str, headers: Headers) -> None:
        self._dumps = dumps
        self._left = _LARGEST
        self._mask = StreamMask()
        named = [(name.lower(), value) for name, value in headers]
        packing = dict(named).get(b"content-encoding", b"").decode("latin-1").strip().lower()
        self._unpacker = Unpacker(packing) if packing in WINDOWS else None
        self._descriptor = dumps.opened(path)
        lines = [first, *(_line(name, value) for name, value in named if _is_shown(name))]
        self._put(mask("\n".join(lines) + "\n\n").encode())
        if packing not in (*WINDOWS, *_PLAIN):
            self._put(b"(the encoding of the body is not known here)")
            self.close()

    def write(self, data: bytes) -> None:
        """The next piece of the body; an empty one does nothing."""
        for start in range(0, len(data) if self._descriptor >= 0 else 0, PIECE):
            piece = data[start : start + PIECE]
            for plain in self._unpacked(piece):
                self._put(self._mask.feed(plain[: self._left]))
                self._left -= len(plain)
                if self._left <= 0:
                    self._put(self._mask.end() + b"\n(the rest is left out)")
                    self._let_go()
                    return

    def close(self) -> None:
        """The message is over, or will not go on; safe to call twice."""
        self._put(self._mask.end())
        self._let_go()

    def _unpacked(self, piece: bytes) -> Iterator[bytes]:
        if self._unpacker is None:
            yield piece
            return
        try:
            yield from self._unpacker.feed(piece)
        except zlib.error:
            self._put(self._mask.end() + b"\n(the rest cannot be unpacked)")
            self._let_go()

    def _put(self, data: bytes) -> None:
        try:
            # A short write is followed by one that fails, and says why.
            while data and self._descriptor >= 0:
                data = data[os.write(self._descriptor, data) :]
                self._dumps.in_trouble = False
        except OSError as error:
            self._let_go()
            self._dumps.failed(error)

    def _let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Dump:
    """The files of one request."""

    def __init__(self, dumps: "Dumps", name: str) -> None:
        self._dumps = dumps
        self._name = name
        self._calls = 0
        self._parts: list[Part] = []

    def part(self, name: str, first: str, headers: Headers) -> Part:
        """A new file of the request, which begins with the line `first`; `name` is such as
        ``client-request``."""
        path = self._dumps.folder / f"{self._name}.{name}.txt"
        self._parts.append(Part(self._dumps, path, first, headers))
        return self._parts[-1]

    def next_call(self) -> str:
        """The name of the next time that Copilot is asked: ``copilot-1``, ``copilot-2``, ..."""
        self._calls += 1
        return f"copilot-{self._calls}"

    def close(self) -> None:
        """Nothing more will come."""
        for part in self._parts:
            part.close()


class Dumps:
    """A folder of dumps, and the requests that are being answered now."""

    def __init__(self, folder: Path, hours: float) -> None:
        """`hours` is how long a file is kept. Raises `UsageError` if the folder cannot be used."""
        self.folder = folder
        self._seconds = hours * 3600
        self._open: dict[str, Dump] = {}
        self.in_trouble = False
        """Whether it has been told that dumps cannot be written, and none has been since."""
        self._check()
        self.expire()

    @contextmanager
    def request(self, request_id: str) -> Iterator[Dump]:
        """The dump of a request, which calls to Copilot find by its id while the block runs."""
        dump = Dump(self, f"{time.strftime('%Y%m%d-%H%M%S')}-{request_id}")
        self._open[request_id] = dump
        try:
            yield dump
        finally:
            del self._open[request_id]
            dump.close()

    def of(self, request_id: str | None) -> Dump | None:
        """The dump of a request that is being answered."""
        return self._open.get(request_id) if request_id else None

    @asynccontextmanager
    async def kept_short(self) -> AsyncIterator[None]:
        """Removes what becomes too old while the block runs, every few minutes."""
        expiring = asyncio.create_task(self._expire_for_ever())
        try:
            yield
        finally:
            expiring.cancel()

    async def _expire_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY)
            await asyncio.to_thread(self.expire)

    def expire(self) -> None:
        """Removes files of ours that are too old, and nothing else."""
        oldest = time.time() - self._seconds
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                # Another worker may be faster.
                with suppress(OSError):
                    if (
                        _OURS.fullmatch(entry.name)
                        and entry.is_file(follow_symlinks=False)
                        and entry.stat(follow_symlinks=False).st_mtime < oldest
                    ):
                        os.unlink(entry.path)

    def opened(self, path: Path) -> int:
        """A descriptor of a new file, or -1."""
        try:
            try:
                descriptor = private_files.open_private(path, private_files.NEW)
            except FileNotFoundError:
                # People remove the whole folder when they are done with what is in it.
                private_files.make_folder(self.folder)
                descriptor = private_files.open_private(path, private_files.NEW)
        except OSError as error:
            self.failed(error)
            return -1
        return descriptor

    def failed(self, error: OSError) -> None:
        """Says once that dumps cannot be written, and again only after one could be."""
        if not self.in_trouble:
            self.in_trouble = True
            reason = private_files.why(error)
            log.warning("Conversations cannot be written to %s: %s.", self.folder, reason)

    def _check(self) -> None:
        hint = "Name another folder with --dump-dir; one that does not exist is made."
        try:
            private_files.make_folder(self.folder)
            if private_files.is_open_to_others(self.folder):
                raise UsageError(
                    f"Other users may look into the dump folder {self.folder}.",
                    hint=f"{hint} Or run: chmod 700 {self.folder}",
                )
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise UsageError(
                f"The dump folder {self.folder} cannot be used: {private_files.why(error)}.",
                hint=hint,
            ) from error


def dumps_for(settings: Settings) -> Dumps | None:
    """Where the settings want conversations to be written; None if nowhere, as by default."""
    return Dumps(settings.dump_dir, settings.dump_hours) if settings.dump_dir else None


def _is_shown(name: bytes) -> bool:
    return name in _SHOWN or name.startswith(_SHOWN_PREFIX)


def _line(name: bytes, value: bytes) -> str:
    return f"{name.decode('latin-1')}: {value.decode('latin-1')}"
