"""The data that several checks need, which is collected once, in the background."""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from copilot_proxy.auth.file_store import FileStore
from copilot_proxy.budget.limits_file import path_for
from copilot_proxy.daemon_threads import submit
from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.ledger.digest_key import NAME as KEY_NAME
from copilot_proxy.ledger.reservation_file import path_for as reservations_path
from copilot_proxy.settings import Settings

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue
    from copilot_proxy.doctor.account_facts import AccountFacts
    from copilot_proxy.doctor.server_facts import ServerFacts
    from copilot_proxy.ledger.health import LedgerHealth

T = TypeVar("T")
_SECONDS: Final = 40.0
"""Maximum seconds for all checks together; each wait also has a shorter timeout."""
_OTHERS_MASK: Final = 0o077
"""The permissions of users other than the owner."""


@dataclass
class CheckContext:
    """The settings to check, and the facts about this machine that several checks need."""

    settings: Settings
    """The settings, with defaults in place of invalid values."""
    errors: Sequence[UsageError] = ()
    """The errors in the settings."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    seconds: float = _SECONDS
    """Maximum seconds for all checks together."""

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds
        self._lock = threading.Lock()
        self._facts: dict[str, Future[Any]] = {}
        # Reading a private file makes it private again, so this must come first.
        self.open_files = {path: mode for path in self.private_files if (mode := open_mode(path))}
        """Private files that other users can read, with their modes."""

    @property
    def token_file(self) -> Path:
        """The file that may hold the token."""
        return FileStore(self.settings.data_dir).path

    @property
    def private_files(self) -> tuple[Path, ...]:
        """The files that only the user should be able to read; some may not exist."""
        log_file = [self.settings.log_file] if self.settings.log_file else []
        config = [self.settings.config_file] if self._config_has_secrets() else []
        return (self.token_file, *self._state_files(), *log_file, *config)

    def _state_files(self) -> Iterator[Path]:
        """Yield the files of the ledger and the budget, including the simulator's."""
        for simulated in (False, True):
            ledger = replace(self.settings, simulated=simulated).ledger_file
            yield from (ledger, path_for(ledger), reservations_path(ledger))
            yield from (ledger.with_name(f"{ledger.name}-{end}") for end in ("wal", "shm"))
        yield self.settings.state_dir / KEY_NAME

    def _config_has_secrets(self) -> bool:
        secrets = ("api_key", "api_keys", "github_token")
        path = str(self.settings.config_file)
        return any(path in self.settings.sources.get(name, "") for name in secrets)

    def account(self) -> "AccountFacts":
        """Return GitHub's data about the account. Raises `CopilotProxyError`."""
        from copilot_proxy.doctor.account_facts import read_account

        if self.errors:
            raise SettingsInvalid
        return self._shared("account", lambda: read_account(self.settings))

    def catalogue(self) -> "Catalogue | None":
        """Return the account's models, or None if they cannot be read."""
        from copilot_proxy.catalogue import Catalogue

        try:
            found = self.account().catalogue
        except CopilotProxyError:
            return None
        return found if isinstance(found, Catalogue) else None

    def server(self) -> "ServerFacts":
        """Return the facts about the program that listens at the address in the settings."""
        from copilot_proxy.doctor.server_facts import read_server

        return self._shared("server", lambda: read_server(self.settings))

    def ledger(self) -> "LedgerHealth | None":
        """Return the facts about the ledger, if it exists. Raises `CopilotProxyError`."""
        from copilot_proxy.ledger.health import examine

        return self._shared("ledger", lambda: examine(self.settings.ledger_file))

    def _shared(self, name: str, find: Callable[[], T]) -> T:
        """Return the result of `find` or raise its error. `find` runs only once."""
        with self._lock:
            if name not in self._facts:
                self._facts[name] = submit(find)
            future: Future[T] = self._facts[name]
        wait([future], max(0.0, self.deadline - time.monotonic()))
        if not future.done():
            raise CopilotProxyError(f"The {name} could not be checked in time.")
        return future.result()


class SettingsInvalid(CopilotProxyError):
    """The settings are invalid, so facts that depend on them cannot be collected."""

    def __init__(self) -> None:
        super().__init__("Not checked, because some settings are invalid.")


def open_mode(path: Path) -> int | None:
    """Return the mode of a file if other users can read or write it; otherwise None."""
    if os.name != "posix":
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    mode = stat.S_IMODE(status.st_mode)
    return mode if stat.S_ISREG(status.st_mode) and mode & _OTHERS_MASK else None
