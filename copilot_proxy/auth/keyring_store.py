"""Stores the token in the operating system's keyring, with a timeout for every call."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, Self, TypeVar

from copilot_proxy.auth.credential import Credential, from_json, to_json
from copilot_proxy.daemon_threads import submit
from copilot_proxy.errors import StoreError
from copilot_proxy.masking import mask

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

log = logging.getLogger(__name__)
T = TypeVar("T")

SERVICE: Final = "g-copilot-proxy"
_ENTRY: Final = "github"
"""The entry of the default profile; other profiles append their name."""
_PROBE: Final = "write-check"
_WARN_AFTER: Final = 2.0
"""Seconds after which a message says what the program is waiting for."""
_UNAVAILABLE: Final = "No keyring is available"
_FILE_HINT: Final = "To store the token in a file instead, run: copilot-proxy login --store file"


class KeyringStore:
    """One keyring entry with the credential as JSON.

    Backends raise many errors besides keyring's own (D-Bus, OS errors, missing libraries), and may
    wait indefinitely for a prompt that the user does not see. Each call therefore runs in a thread
    and fails after `timeout` seconds, and every exception becomes a `StoreError`.
    """

    name = "keyring"

    def __init__(self, timeout: float = 30.0, profile: str | None = None) -> None:
        self._timeout = timeout
        self._profile = profile
        self._entry = f"{_ENTRY}:{profile}" if profile else _ENTRY
        self._running: Future[object] | None = None

    def at(self, timeout: float) -> Self:
        """Return a store for the same entry with a different timeout."""
        return type(self)(timeout, self._profile)

    def describe(self) -> str:
        return "the system keyring"

    def unavailable(self) -> str | None:
        try:
            return self._run(_reason_unavailable)
        except StoreError as error:
            return error.message

    def check_writable(self) -> None:
        """Write, read and delete a test entry: some backends accept entries and discard them."""
        self._require()
        self._run(lambda: _write(_PROBE, "probe"))
        self._run(lambda: _delete(_PROBE))

    def load(self) -> Credential | None:
        if self._run(_reason_unavailable) is not None:
            return None
        text = self._run(self._read)
        if text is None:
            return None
        try:
            return from_json(text, self.name)
        except ValueError:
            raise StoreError(
                f"The keyring entry {SERVICE!r} does not contain a copilot-proxy token.",
                hint="Replace it with: copilot-proxy login",
            ) from None

    def save(self, credential: Credential) -> None:
        self._require()
        self._run(lambda: _write(self._entry, to_json(credential)))

    def delete(self) -> bool:
        if self._run(_reason_unavailable) is not None:
            return False
        if self._run(self._read) is None:
            return False
        self._run(lambda: _delete(self._entry))
        return True

    def _read(self) -> str | None:
        return _read(self._entry)

    def _require(self) -> None:
        reason = self._run(_reason_unavailable)
        if reason is not None:
            raise StoreError(reason, hint=_FILE_HINT)

    def _run(self, call: Callable[[], T]) -> T:
        """Return `call`'s result. Raises `StoreError` for any exception and after the timeout."""
        if self._running is not None and not self._running.done():
            raise StoreError("The keyring is still not responding.", hint=_PROMPT_HINT)
        future = submit(call)
        wait([future], min(self._timeout, _WARN_AFTER))
        if not future.done() and self._timeout > _WARN_AFTER:
            log.warning("Waiting for the system keyring; it may be asking for a password.")
            wait([future], self._timeout - _WARN_AFTER)
        if not future.done():
            self._running = future  # type: ignore[assignment]  # only used for done()
            raise StoreError(
                f"The keyring did not respond within {self._timeout:.0f} seconds.",
                hint=_PROMPT_HINT,
            )
        error = future.exception()
        if error is None:
            return future.result()
        raise error if isinstance(error, StoreError) else _store_error(error) from error


_PROMPT_HINT: Final = (
    "Unlock the keyring; its password prompt may be on another screen. Or store the token in a "
    "file: copilot-proxy login --store file"
)


def _store_error(error: BaseException) -> StoreError:
    from keyring.errors import KeyringLocked

    if isinstance(error, KeyringLocked):
        return StoreError("The keyring is locked.", hint=f"Unlock it. {_FILE_HINT}")
    message = mask(" ".join(str(error).split()))[:200] or type(error).__name__
    return StoreError(f"The keyring failed: {message.rstrip('.')}.", hint=_FILE_HINT)


def _reason_unavailable() -> str | None:
    """Return a sentence that says why there is no keyring, or None if there is one."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        backend = keyring.get_keyring()
    except Exception as error:  # a backend may raise anything during detection
        return f"{_UNAVAILABLE} (the keyring library failed to start: {type(error).__name__})."
    if isinstance(backend, fail.Keyring):
        return f"{_UNAVAILABLE}."
    if isinstance(backend, null.Keyring):
        return f"{_UNAVAILABLE} (the keyring library is disabled)."
    if isinstance(backend, chainer.ChainerBackend) and not _any_usable(backend.backends):
        return f"{_UNAVAILABLE}."
    return None


def _any_usable(backends: "list[KeyringBackend]") -> bool:
    from keyring.backends import fail, null

    return any(not isinstance(backend, fail.Keyring | null.Keyring) for backend in backends)


def _read(entry: str) -> str | None:
    import keyring

    return keyring.get_password(SERVICE, entry)


def _write(entry: str, text: str) -> None:
    import keyring

    keyring.set_password(SERVICE, entry, text)
    if keyring.get_password(SERVICE, entry) != text:
        raise StoreError("The keyring did not save the token.", hint=_FILE_HINT)


def _delete(entry: str) -> None:
    import keyring

    keyring.delete_password(SERVICE, entry)
