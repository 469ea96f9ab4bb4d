"""The token in a file that only its owner can read, for machines without a keyring."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from copilot_proxy.auth.credential import Credential, from_json, to_json
from copilot_proxy.errors import StoreError

_POSIX: Final = os.name == "posix"
_LARGEST: Final = 64 * 1024
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # a named pipe in the file's place must not hang
_CLOSED: Final = getattr(os, "O_CLOEXEC", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


class FileStore:
    """``credentials.json``, mode 0600 from its first byte, replaced in one step."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "credentials.json"

    def describe(self) -> str:
        return f"the file {self.path}"

    def unavailable(self) -> str | None:
        return None

    def check_writable(self) -> None:
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder.", hint="Remove it and sign in again.")
        os.unlink(self._write_beside(b""))

    def load(self) -> Credential | None:
        content = self._read()
        if content is None:
            return None
        try:
            return from_json(content.decode("utf-8"), self.name)
        except ValueError:
            raise StoreError(
                f"{self.path} does not hold a token.",
                hint="Replace it with: copilot-proxy login --store file",
            ) from None

    def save(self, credential: Credential) -> None:
        temporary = self._write_beside(to_json(credential).encode())
        try:
            os.replace(temporary, self.path)
            self._sync_folder()
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            raise self._failed("written", error) from error

    def delete(self) -> bool:
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failed("deleted", error) from error
        return True

    def _read(self) -> bytes | None:
        flags = os.O_RDONLY | _NO_FOLLOW | _NO_WAIT | _CLOSED | _BINARY
        try:
            descriptor = os.open(self.path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if self.path.is_symlink():
                raise StoreError(
                    f"{self.path} is a symbolic link, which is not followed.",
                    hint="Put the file itself there, or set COPILOT_PROXY_GITHUB_TOKEN.",
                ) from None
            raise self._failed("read", error) from error
        try:
            self._check(os.fstat(descriptor), descriptor)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(_LARGEST)
        except OSError as error:
            raise self._failed("read", error) from error
        finally:
            os.close(descriptor)

    def _check(self, status: os.stat_result, descriptor: int) -> None:
        """Whether nobody else can have read or written the open file; repairs its mode."""
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{self.path} is not a file.", hint="Remove it and sign in again.")
        if not _POSIX:
            return
        me = os.geteuid()
        if me != 0 and status.st_uid not in (me, 0):
            raise StoreError(
                f"{self.path} belongs to another user.",
                hint="Remove it and sign in again with: copilot-proxy login",
            )
        if status.st_mode & 0o077:
            try:
                os.fchmod(descriptor, 0o600)
            except OSError:
                raise StoreError(
                    f"{self.path} can be read by other users, and that cannot be changed.",
                    hint=f"Run: chmod 600 {self.path}",
                ) from None

    def _write_beside(self, content: bytes) -> Path:
        """A new file with `content` in the same folder, safely on disk."""
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _CLOSED | _BINARY
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(temporary, flags, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            raise self._failed("written", error) from error
        return temporary

    def _sync_folder(self) -> None:
        """Makes the new name survive a power cut, too."""
        if not _POSIX:
            return
        descriptor = os.open(self.path.parent, os.O_RDONLY | _CLOSED)
        try:
            # Some network file systems cannot; the file itself is on disk already.
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, what: str, error: OSError) -> StoreError:
        reason = error.strerror or type(error).__name__
        return StoreError(
            f"{self.path} cannot be {what}: {reason}.",
            hint="COPILOT_PROXY_HOME_DIR names another folder, COPILOT_PROXY_GITHUB_TOKEN a token.",
        )
