"""Stores the token in a file that only its owner can read, for machines without a keyring."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from copilot_proxy import private_files
from copilot_proxy.auth.credential import Credential, from_json, to_json
from copilot_proxy.errors import StoreError

_POSIX: Final = os.name == "posix"
_MAX_SIZE: Final = 64 * 1024
_LOGIN_HINT: Final = "Remove it and sign in again with: copilot-proxy login"


class FileStore:
    """The file ``credentials.json``, created with mode 0600 and replaced atomically."""

    name = "file"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "credentials.json"

    def describe(self) -> str:
        return f"the file {self.path}"

    def unavailable(self) -> str | None:
        return None

    def check_writable(self) -> None:
        if self.path.is_dir():
            raise StoreError(f"{self.path} is a folder.", hint=_LOGIN_HINT)
        os.unlink(self._write_temporary_file(b""))

    def load(self) -> Credential | None:
        content = self._read()
        if content is None:
            return None
        try:
            return from_json(content.decode("utf-8"), self.name)
        except ValueError:
            raise StoreError(
                f"{self.path} does not contain a token.",
                hint="Replace it with: copilot-proxy login --store file",
            ) from None

    def save(self, credential: Credential) -> None:
        temporary = self._write_temporary_file(to_json(credential).encode())
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
        try:
            with open(private_files.open_private(self.path, private_files.READ), "rb") as file:
                return file.read(_MAX_SIZE)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except private_files.UnsafeFileError as error:
            raise StoreError(
                f"{self.path} {error.reason}.", hint=error.hint or _LOGIN_HINT
            ) from None
        except OSError as error:
            raise self._failed("read", error) from error

    def _write_temporary_file(self, content: bytes) -> Path:
        """Write `content` to a temporary file next to `path`, and sync that file to disk."""
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            private_files.make_folder(self.path.parent)
            with open(private_files.open_private(temporary, private_files.NEW), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            raise self._failed("written", error) from error
        return temporary

    def _sync_folder(self) -> None:
        """Sync the folder, so that the renamed file survives a power failure."""
        if not _POSIX:
            return
        descriptor = os.open(self.path.parent, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            # Some network file systems do not support this; the file itself has been synced.
            with suppress(OSError):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, action: str, error: OSError) -> StoreError:
        return StoreError(
            f"{self.path} cannot be {action}: {private_files.failure_reason(error)}.",
            hint="Use another folder with COPILOT_PROXY_HOME_DIR, or pass the token in "
            "COPILOT_PROXY_GITHUB_TOKEN.",
        )
