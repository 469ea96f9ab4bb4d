"""The token in the operating system's keyring, whatever its backend does."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, TypeVar

from copilot_proxy.auth.credential import Credential, from_json, to_json
from copilot_proxy.auth.threads import start
from copilot_proxy.errors import StoreError
from copilot_proxy.masking import mask

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE: Final = "g-copilot-proxy"
_ENTRY: Final = "github"
_PROBE: Final = "write-check"
_NONE: Final = "This machine has no keyring that can be used"
_FILE_HINT: Final = "To keep the token in a file instead: copilot-proxy login --store file"


class KeyringStore:
    """One entry of the keyring, a JSON text.

    Backends raise far more than keyring's own errors (D-Bus, the OS, libraries that are missing)
    and may wait for ever for a prompt that nobody sees, so each call is watched and bounded.
    """

    name = "keyring"

    def __init__(self, timeout: float = 30.0) -> None:
        self._timeout = timeout
        self._running: Future[object] | None = None

    def describe(self) -> str:
        return "the system's keyring"

    def unavailable(self) -> str | None:
        try:
            return self._bounded(_why_unusable)
        except StoreError as error:
            return error.message

    def check_writable(self) -> None:
        """Writes, reads and removes a probe. Some backends take everything and keep nothing."""
        self._require()
        self._bounded(lambda: _write(_PROBE, "probe"))
        self._bounded(lambda: _remove(_PROBE))

    def load(self) -> Credential | None:
        if self._bounded(_why_unusable) is not None:
            return None
        text = self._bounded(_read)
        if text is None:
            return None
        try:
            return from_json(text, self.name)
        except ValueError:
            raise StoreError(
                f"The keyring's entry {SERVICE!r} does not hold a token of copilot-proxy.",
                hint="Replace it with: copilot-proxy login",
            ) from None

    def save(self, credential: Credential) -> None:
        self._require()
        self._bounded(lambda: _write(_ENTRY, to_json(credential)))

    def delete(self) -> bool:
        if self._bounded(_why_unusable) is not None:
            return False
        if self._bounded(_read) is None:
            return False
        self._bounded(lambda: _remove(_ENTRY))
        return True

    def _require(self) -> None:
        why = self._bounded(_why_unusable)
        if why is not None:
            raise StoreError(why, hint=_FILE_HINT)

    def _bounded(self, call: Callable[[], T]) -> T:
        """`call`'s result, or `StoreError` for whatever it raises and when it takes too long."""
        if self._running is not None and not self._running.done():
            raise StoreError("The keyring has not answered yet.", hint=_PROMPT_HINT)
        future = start(call)
        wait([future], self._timeout)
        if not future.done():
            self._running = future  # type: ignore[assignment]  # only ever asked whether done
            raise StoreError(
                f"The keyring did not answer within {self._timeout:.0f} seconds.",
                hint=_PROMPT_HINT,
            )
        error = future.exception()
        if error is None:
            return future.result()
        raise error if isinstance(error, StoreError) else _in_words(error) from error


_PROMPT_HINT: Final = (
    "It may be waiting for its password on another screen. Unlock it, or keep the token in a file: "
    "copilot-proxy login --store file"
)


def _in_words(error: BaseException) -> StoreError:
    from keyring.errors import KeyringLocked

    if isinstance(error, KeyringLocked):
        return StoreError("The keyring is locked.", hint=f"Unlock it. {_FILE_HINT}")
    said = mask(" ".join(str(error).split()))[:200] or type(error).__name__
    return StoreError(f"The keyring failed: {said.rstrip('.')}.", hint=_FILE_HINT)


def _why_unusable() -> str | None:
    """In one sentence why there is no keyring, or None."""
    try:
        import keyring
        from keyring.backends import chainer, fail, null

        backend = keyring.get_keyring()
    except Exception as error:  # any backend may break while it is looked for
        return f"{_NONE} (it failed to start: {type(error).__name__})."
    if isinstance(backend, fail.Keyring):
        return f"{_NONE}."
    if isinstance(backend, null.Keyring):
        return f"{_NONE} (keyring is switched off here)."
    if isinstance(backend, chainer.ChainerBackend) and not _usable(backend.backends):
        return f"{_NONE}."
    return None


def _usable(backends: "list[KeyringBackend]") -> bool:
    from keyring.backends import fail, null

    return any(not isinstance(backend, fail.Keyring | null.Keyring) for backend in backends)


def _read() -> str | None:
    import keyring

    return keyring.get_password(SERVICE, _ENTRY)


def _write(entry: str, text: str) -> None:
    import keyring

    keyring.set_password(SERVICE, entry, text)
    if keyring.get_password(SERVICE, entry) != text:
        raise StoreError("The keyring did not keep what it was given.", hint=_FILE_HINT)


def _remove(entry: str) -> None:
    import keyring

    keyring.delete_password(SERVICE, entry)
