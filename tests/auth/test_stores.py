"""Credential stores: first the contract that they share, then the specifics of each."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
from keyring.backends import null

from copilot_proxy import private_files
from copilot_proxy.auth import file_store, keyring_store, stores
from copilot_proxy.auth.credential import Credential, CredentialStore, from_json, to_json
from copilot_proxy.auth.stores import (
    Credentials,
    EnvironmentStore,
    FileStore,
    KeyringStore,
)
from copilot_proxy.daemon_threads import run_in_thread
from copilot_proxy.errors import NotSignedIn, StoreError
from copilot_proxy.masking import Secret
from copilot_proxy.settings import Settings, load_settings
from tests.auth.keyrings import (
    ERRORS,
    LOCKED,
    BrokenKeyring,
    EmptyChain,
    ForgetfulKeyring,
    MemoryKeyring,
    PromptingKeyring,
)

MONA = Credential(Secret("ghu_mona"), "github.com", "mona")
ACME = Credential(Secret("ghu_acme"), "acme.ghe.com", "mona_acme")


def same(expected: Credential, actual: Credential | None, source: str) -> bool:
    return actual == Credential(expected.token, expected.host, expected.login, source)


# The contract of every writable store.


@pytest.fixture(params=["keyring", "file"])
def store(request: pytest.FixtureRequest, memory_keyring: MemoryKeyring, tmp_path: Path) -> object:
    """Each of the stores."""
    return KeyringStore() if request.param == "keyring" else FileStore(tmp_path / "home")


def test_an_empty_store_has_nothing_to_load_or_forget(store: CredentialStore) -> None:
    """An empty store is not an error."""

    assert store.unavailable() is None
    assert store.load() is None
    assert store.delete() is False


def test_a_credential_can_be_saved_loaded_replaced_and_forgotten(store: CredentialStore) -> None:
    """The token, host and login are loaded as saved, with the store's name."""
    store.save(MONA)
    assert same(MONA, store.load(), store.name)

    store.save(ACME)
    assert same(ACME, store.load(), store.name)

    assert store.delete() is True
    assert store.load() is None


def test_the_check_leaves_nothing_behind(store: CredentialStore, tmp_path: Path) -> None:
    """The check leaves no entry or file behind, and does not change a stored credential."""
    store.save(MONA)
    store.check_writable()

    assert same(MONA, store.load(), store.name)
    assert len(list((tmp_path / "home").glob("*"))) <= 1
    backend = keyring.get_keyring()
    assert isinstance(backend, MemoryKeyring)
    assert len(backend.entries) <= 1


def test_a_store_describes_itself(store: CredentialStore) -> None:
    """The description fits after the words "the token is in"."""

    assert store.describe().startswith("the ")


# Credentials as text.


def test_a_credential_hides_its_token() -> None:
    """Only `to_json` shows the token."""

    assert "ghu_mona" not in repr(MONA)
    assert "ghu_mona" in to_json(MONA)


def test_an_older_text_without_host_or_login_is_read() -> None:
    """Without a host, github.com is assumed."""

    assert Credential(Secret("ghu_x"), "github.com", None, "file") == from_json(
        '{"token": "ghu_x", "login": 7}', "file"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ghu_secret",
        "[]",
        "7",
        "{}",
        '{"token": 7}',
        '{"token": ""}',
        '{"token": "ghu_secret\\n"}',
        '{"token": "ghu_sécret"}',
        '{"token": "ghu_secret", "host": "evil.example"}',
        '{"token": "ghu_secret", "host": 7}',
        '"' + "[" * 10_000,
        "[" * 100_000,
    ],
)
def test_any_other_text_is_refused_without_being_shown(text: str) -> None:
    """Malformed entries and unknown hosts are refused, and not shown in the error."""
    with pytest.raises(ValueError, match="not a copilot-proxy credential") as caught:
        from_json(text, "file")

    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


# The file.


@pytest.fixture
def file(tmp_path: Path) -> FileStore:
    """A file store with a token in it."""
    store = FileStore(tmp_path / "home")
    store.save(MONA)
    return store


def test_the_file_is_for_its_owner_only_from_the_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has mode 0600 in a folder with 0700 at all times, whatever the umask."""
    seen: list[int] = []
    real = os.open

    def watched(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        if flags & os.O_CREAT:
            seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", watched)
    before = os.umask(0)
    try:
        FileStore(tmp_path / "home").save(MONA)
    finally:
        os.umask(before)

    assert [0o600] == seen
    assert 0o600 == stat.S_IMODE((tmp_path / "home/credentials.json").stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "home").stat().st_mode)


def test_a_file_that_others_can_read_is_repaired(file: FileStore) -> None:
    """The mode of a file that others can read is corrected."""
    file.path.chmod(0o644)

    assert same(MONA, file.load(), "file")
    assert 0o600 == stat.S_IMODE(file.path.stat().st_mode)


def test_a_file_that_cannot_be_repaired_is_refused(
    file: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the mode cannot be corrected, the error names the command that corrects it."""
    file.path.chmod(0o644)

    def refused(descriptor: int, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chmod", refused)
    with pytest.raises(StoreError, match="can be read by other users") as caught:
        file.load()

    assert f"Run: chmod 600 {file.path}" == caught.value.hint


def test_a_file_of_another_user_is_refused(
    file: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file owned by another user is refused."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1000)
    real = os.fstat

    def theirs(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        values[4] = 4242
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", theirs)
    with pytest.raises(StoreError, match="belongs to another user"):
        file.load()


def test_a_link_is_not_followed(file: FileStore, tmp_path: Path) -> None:
    """Symbolic links are not followed; writing replaces the link itself."""
    elsewhere = tmp_path / "elsewhere.json"
    file.path.rename(elsewhere)
    file.path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is a symbolic link"):
        file.load()
    file.save(ACME)

    assert same(ACME, file.load(), "file")
    assert "ghu_mona" in elsewhere.read_text()
    assert not file.path.is_symlink()


def test_forgetting_a_link_leaves_its_target(file: FileStore, tmp_path: Path) -> None:
    """Only the link is removed, not its target."""
    elsewhere = tmp_path / "elsewhere.json"
    file.path.rename(elsewhere)
    file.path.symlink_to(elsewhere)

    assert file.delete() is True
    assert elsewhere.exists()


def test_a_pipe_or_folder_in_place_of_the_file_is_refused(file: FileStore) -> None:
    """A pipe or folder in place of the file is refused immediately."""
    file.path.unlink()
    os.mkfifo(file.path, 0o600)
    with pytest.raises(StoreError, match="is not a regular file"):
        file.load()
    file.path.unlink()
    file.path.mkdir()
    with pytest.raises(StoreError, match="is not a regular file"):
        file.load()
    with pytest.raises(StoreError, match="cannot be deleted"):
        file.delete()
    with pytest.raises(StoreError, match="cannot be written"):
        file.save(MONA)
    with pytest.raises(StoreError, match="is a folder"):
        file.check_writable()

    assert ["credentials.json"] == os.listdir(file.path.parent)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b'{"token": 1}'])
def test_a_corrupt_file_is_named_and_can_be_forgotten(file: FileStore, content: bytes) -> None:
    """The error names the file and the command that replaces it."""
    file.path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        file.load()

    assert f"{file.path} does not contain a token." == caught.value.message
    assert "login --store file" in str(caught.value.hint)
    assert file.delete() is True


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    """A file in place of the folder is an error only when a token is saved or deleted."""
    (tmp_path / "home").write_text("x")
    store = FileStore(tmp_path / "home")

    assert store.load() is None
    with pytest.raises(StoreError, match="cannot be written"):
        store.check_writable()
    with pytest.raises(StoreError, match="cannot be deleted"):
        store.delete()


def failing(number: int, text: str) -> Callable[..., None]:
    def fail(*args: object, **more: object) -> None:
        raise OSError(number, text)

    return fail


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_token_and_no_other_file(
    file: FileStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The old file is replaced only when the new one is complete."""
    monkeypatch.setattr(os, call, failing(28, "No space left on device"))
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        file.save(ACME)

    assert same(MONA, file.load(), "file")
    assert ["credentials.json"] == os.listdir(file.path.parent)


def test_a_file_system_without_folder_sync(
    file: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written even if the file system cannot sync folders."""
    real = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(22, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    file.save(ACME)

    assert same(ACME, file.load(), "file")


@pytest.mark.parametrize(("place", "call"), [(private_files, "_check"), (os, "open")])
def test_an_unreadable_file_is_reported(
    file: FileStore, monkeypatch: pytest.MonkeyPatch, place: object, call: str
) -> None:
    """The error includes the system's reason."""
    monkeypatch.setattr(place, call, failing(13, "Permission denied"))
    with pytest.raises(StoreError, match="cannot be read: Permission denied"):
        file.load()


def test_a_system_error_without_a_message(file: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a system error without a message, the name of its class is shown."""

    def fail(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(StoreError, match="cannot be deleted: PermissionError"):
        file.delete()


def test_modes_are_not_checked_on_windows(file: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, file modes are not checked."""
    monkeypatch.setattr(file_store, "_POSIX", False)
    monkeypatch.setattr(private_files, "_POSIX", False)
    file.path.chmod(0o644)
    file.save(ACME)
    file.path.chmod(0o644)

    assert same(ACME, file.load(), "file")
    assert 0o644 == stat.S_IMODE(file.path.stat().st_mode)


def test_writers_and_readers_at_once_never_see_half_a_file(tmp_path: Path) -> None:
    """Concurrent readers always find a complete credential."""
    store = FileStore(tmp_path / "home")
    store.save(MONA)
    failures: list[BaseException] = []

    def work(credential: Credential) -> None:
        own = FileStore(tmp_path / "home")
        try:
            for _ in range(25):
                own.save(credential)
                found = own.load()
                assert found is not None
                assert found.token in (MONA.token, ACME.token)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(one,)) for one in (MONA, ACME) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert ["credentials.json"] == os.listdir(tmp_path / "home")


WRITER = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from copilot_proxy.auth.credential import Credential
    from copilot_proxy.auth.file_store import FileStore
    from copilot_proxy.masking import Secret

    folder, own, umask = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3], 8)
    os.umask(umask)
    store = FileStore(folder)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(40):
        store.save(Credential(Secret("ghu_" + own * 3000), "github.com", own))
        found = store.load()
        assert found and found.token.reveal() == "ghu_" + found.login * 3000, "half a file"
        # Whoever lists the folder finds nothing that another user could open.
        for name in os.listdir(folder):
            try:
                assert os.lstat(folder / name).st_mode & 0o777 == 0o600, name
            except FileNotFoundError:
                pass  # the other one's, which has its place by now
    """
)


@pytest.mark.parametrize("umask", ["000", "077", "022"])
def test_two_processes_at_once_never_see_half_a_file(tmp_path: Path, umask: str) -> None:
    """Across processes, files are always complete and have mode 0600, whatever the umask."""
    home = tmp_path / "not" / "there" / "yet"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), name, umask],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for one in writers:
        assert one.stdout is not None
        assert one.stdin is not None
        assert one.stdout.readline() == "ready\n"
    for one in writers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    ended = [one.communicate(timeout=60) for one in writers]

    assert ["", ""] == [err for _, err in ended]
    assert ["credentials.json"] == os.listdir(home)
    for folder in (home, home.parent, home.parent.parent):
        assert 0o700 == stat.S_IMODE(folder.stat().st_mode)


def test_a_hard_link_keeps_its_content(file: FileStore, tmp_path: Path) -> None:
    """A hard link keeps its content when a new credential is saved."""
    os.link(file.path, tmp_path / "second")
    file.save(ACME)

    assert "ghu_mona" in (tmp_path / "second").read_text()
    assert 1 == file.path.stat().st_nlink


def test_a_linked_folder_must_belong_to_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A symlinked folder is accepted only if the user owns the link."""
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    FileStore(tmp_path / "home").save(MONA)
    assert (tmp_path / "disk" / "credentials.json").exists()

    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    os.lchown(tmp_path / "home", 4243, 4243) if os.getuid() == 0 else monkeypatch.setattr(
        private_files, "_is_ours", lambda status: not stat.S_ISLNK(status.st_mode)
    )
    with pytest.raises(StoreError, match="another user's symbolic link"):
        FileStore(tmp_path / "home").save(ACME)


# The keyring.


def test_the_keyrings_entry_is_one_json_text(memory_keyring: MemoryKeyring) -> None:
    """The entry has the program's name, so users can find it in the system's password manager."""
    KeyringStore().save(ACME)
    entry = json.loads(memory_keyring.entries["g-copilot-proxy", "github"])

    assert {
        "version": 1,
        "token": "ghu_acme",
        "host": "acme.ghe.com",
        "login": "mona_acme",
    } == entry


def missing(*args: object) -> object:
    raise ModuleNotFoundError("No module named 'gi'")


@pytest.mark.parametrize(
    "absent", ["no backend", "null", "empty chain", "chain of nothing", "broken import"]
)
def test_without_a_keyring(absent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a keyring, loading and forgetting do nothing, and saving is an error."""
    if absent == "null":
        keyring.set_keyring(null.Keyring())
    elif absent == "empty chain":
        keyring.set_keyring(EmptyChain())
    elif absent == "chain of nothing":
        chain = EmptyChain()
        monkeypatch.setattr(EmptyChain, "backends", [null.Keyring()])
        keyring.set_keyring(chain)
    elif absent == "broken import":
        monkeypatch.setattr(keyring, "get_keyring", missing)
    store = KeyringStore()

    assert str(store.unavailable()).startswith("No keyring is available")
    assert store.load() is None
    assert store.delete() is False
    for call in (store.check_writable, lambda: store.save(MONA)):
        with pytest.raises(StoreError, match="No keyring is available") as caught:
            call()
        assert "login --store file" in str(caught.value.hint)


def test_a_chain_that_contains_a_keyring_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that contains a keyring is accepted."""
    monkeypatch.setattr(EmptyChain, "backends", [MemoryKeyring()])
    keyring.set_keyring(EmptyChain())

    assert KeyringStore().unavailable() is None


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_exception_of_a_keyring_becomes_a_message(error: Exception) -> None:
    """Any exception of a backend becomes a message, never a traceback."""
    keyring.set_keyring(BrokenKeyring(error))
    store = KeyringStore()
    for call in (store.load, store.delete, store.check_writable, lambda: store.save(MONA)):
        with pytest.raises(StoreError, match="The keyring failed: ") as caught:
            call()
        assert "login --store file" in str(caught.value.hint)


def test_a_keyring_error_without_a_message() -> None:
    """For an error without a message, the name of its class is shown."""
    keyring.set_keyring(BrokenKeyring(OSError()))
    with pytest.raises(StoreError, match=r"The keyring failed: OSError\."):
        KeyringStore().load()


def test_a_token_in_a_backends_error_is_masked() -> None:
    """Tokens in a backend's error message are masked."""
    keyring.set_keyring(BrokenKeyring(RuntimeError("cannot store ghu_mona1234")))
    with pytest.raises(StoreError) as caught:
        KeyringStore().load()

    assert "ghu_mona" not in caught.value.message


def test_a_locked_keyring_gives_a_hint() -> None:
    """For a locked keyring, the hint says to unlock it."""
    keyring.set_keyring(BrokenKeyring(LOCKED))
    with pytest.raises(StoreError, match="The keyring is locked") as caught:
        KeyringStore().load()

    assert "Unlock it" in str(caught.value.hint)


def test_a_keyring_that_loses_entries_is_reported() -> None:
    """A saved entry is read back, so that a lost entry is noticed."""
    keyring.set_keyring(ForgetfulKeyring())
    for call in (KeyringStore().check_writable, lambda: KeyringStore().save(MONA)):
        with pytest.raises(StoreError, match="did not save the token"):
            call()


def test_an_entry_in_another_format_is_refused(memory_keyring: MemoryKeyring) -> None:
    """An entry in another format is refused, and not shown."""
    memory_keyring.entries["g-copilot-proxy", "github"] = "hunter2"
    with pytest.raises(StoreError, match="does not contain a copilot-proxy token") as caught:
        KeyringStore().load()

    assert "hunter2" not in repr(caught.value)


def test_an_unanswered_prompt_times_out() -> None:
    """After a timeout, an error is raised, and no second prompt is opened."""
    backend = PromptingKeyring()
    keyring.set_keyring(backend)
    store = KeyringStore(timeout=0.05)
    with pytest.raises(StoreError, match="did not respond within") as caught:
        store.load()
    with pytest.raises(StoreError, match="is still not responding"):
        store.load()

    assert "password prompt" in str(caught.value.hint)
    assert "still not responding" in str(store.unavailable())
    assert 1 == backend.asked

    backend.released.set()
    deadline = time.monotonic() + 60
    while store.unavailable() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert store.load() is None


def test_a_keyring_that_hangs_does_not_delay_loading_from_the_file(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token in the file is found immediately; saving a token waits briefly for the keyring."""
    monkeypatch.setattr(stores, "_ASIDE_TIMEOUT", 0.05)
    backend = PromptingKeyring()
    keyring.set_keyring(backend)

    assert ["The keyring did not respond within 0 seconds."] == credentials.save(MONA, "file")
    asked = backend.asked
    assert same(MONA, credentials.load(), "file")
    assert asked == backend.asked
    backend.released.set()


def test_a_long_wait_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a while, the program reports that it is waiting for the keyring."""
    monkeypatch.setattr(keyring_store, "_WARN_AFTER", 0.01)
    backend = PromptingKeyring()
    keyring.set_keyring(backend)
    with pytest.raises(StoreError, match="did not respond within"):
        KeyringStore(timeout=0.05).load()
    backend.released.set()

    assert ["Waiting for the system keyring; it may be asking for a password."] == caplog.messages


# The environment.


def test_the_setting_takes_precedence_and_is_never_written(memory_keyring: MemoryKeyring) -> None:
    """A token in the settings takes precedence, and only the user can remove it."""
    settings = load_settings(
        environ={
            "COPILOT_PROXY_GITHUB_TOKEN": "ghu_env",
            "COPILOT_PROXY_GITHUB_URL": "https://acme.ghe.com",
        }
    )
    store = EnvironmentStore(settings)

    assert Credential(Secret("ghu_env"), "acme.ghe.com", None, "environment") == store.load()
    assert "COPILOT_PROXY_GITHUB_TOKEN" == store.describe()
    assert store.delete() is False
    assert store.unavailable() is not None
    for call in (store.check_writable, lambda: store.save(MONA)):
        with pytest.raises(StoreError, match="read-only"):
            call()


def test_the_source_of_a_token_in_the_configuration_file(own_home: Path) -> None:
    """The source of the token names the configuration file."""
    own_home.mkdir()
    (own_home / "config.toml").write_text('github_token = "ghu_config"')
    store = EnvironmentStore(load_settings())

    assert f"github_token in {own_home / 'config.toml'}" == store.describe()


def test_the_source_of_a_token_in_a_secret_file(tmp_path: Path) -> None:
    """For a token in a container's secret, the source is the variable that the user can unset."""
    (tmp_path / "token").write_text("ghu_secret")
    variable = "COPILOT_PROXY_GITHUB_TOKEN_FILE"
    store = EnvironmentStore(load_settings(environ={variable: str(tmp_path / "token")}))

    assert variable == store.describe()


def test_settings_without_a_token() -> None:
    """Without a token in the settings, the stores are used."""

    assert EnvironmentStore(Settings()).load() is None


# All stores together.


@pytest.fixture
def credentials(own_home: Path) -> Credentials:
    """The credentials object as the program creates it."""
    return Credentials.from_settings(load_settings())


def test_the_order_is_environment_file_keyring(
    memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first store that has a credential is used, and its name is returned."""
    credentials = Credentials.from_settings(load_settings())
    assert ["environment", "file", "keyring"] == [store.name for store in credentials.stores]
    assert credentials.load() is None

    credentials.store("keyring").save(ACME)
    assert same(ACME, credentials.load(), "keyring")

    credentials.store("file").save(MONA)
    assert same(MONA, credentials.load(), "file")

    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_env")
    found = Credentials.from_settings(load_settings()).load()
    assert found is not None
    assert (Secret("ghu_env"), "environment") == (found.token, found.source)


def test_a_failing_keyring_does_not_hide_the_file(credentials: Credentials) -> None:
    """The file is read even if the keyring fails."""
    credentials.store("file").save(MONA)
    keyring.set_keyring(BrokenKeyring(LOCKED))

    assert same(MONA, credentials.load(), "file")


def test_a_failing_keyring_is_reported(credentials: Credentials) -> None:
    """A failed keyring is reported, instead of "not signed in"."""
    keyring.set_keyring(BrokenKeyring(LOCKED))
    with pytest.raises(StoreError, match="locked"):
        credentials.load()


@pytest.mark.parametrize("place", ["environment", "keyring", "file"])
def test_classic_tokens_are_refused_from_every_source(
    place: str, memory_keyring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A classic token is refused before any network call, with an error that names its source."""
    if place == "environment":
        monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghp_classic")
    else:
        stores = Credentials.from_settings(load_settings())
        stores.store(place).save(Credential(Secret("ghp_classic")))
    with pytest.raises(NotSignedIn, match="personal access token") as caught:
        Credentials.from_settings(load_settings()).load()

    assert {"environment": "GITHUB_TOKEN", "keyring": "keyring", "file": "file"}[place] in (
        caught.value.message
    )


def test_saving_removes_tokens_from_other_stores(
    credentials: Credentials, memory_keyring: MemoryKeyring
) -> None:
    """Saving removes older tokens from other stores."""
    credentials.store("keyring").save(ACME)

    assert [] == credentials.save(MONA, "file")
    assert same(MONA, credentials.load(), "file")
    assert {} == memory_keyring.entries


def test_a_token_that_cannot_be_removed_is_reported(credentials: Credentials) -> None:
    """If an older token cannot be removed, the new token is kept, and the failure is reported."""
    keyring.set_keyring(BrokenKeyring(LOCKED))

    assert ["The keyring is locked."] == credentials.save(MONA, "file")
    assert same(MONA, credentials.load(), "file")


def test_forgetting_returns_stores_and_hosts(
    credentials: Credentials, memory_keyring: MemoryKeyring
) -> None:
    """Stores and hosts are returned, so that the program can say where to revoke the grants."""
    credentials.store("keyring").save(ACME)
    credentials.store("file").save(MONA)

    assert ["github.com", "acme.ghe.com"] == credentials.hosts()
    held, failed = credentials.delete()
    assert (["file", "keyring"], []) == ([store.name for store in held], failed)
    assert [] == credentials.hosts()


def test_a_host_in_two_stores_is_named_once(
    credentials: Credentials, memory_keyring: MemoryKeyring
) -> None:
    """A host is named once, even if two stores had a token for it."""
    credentials.store("keyring").save(MONA)
    credentials.store("file").save(MONA)

    assert ["github.com"] == credentials.hosts()


def test_a_failing_store_does_not_prevent_clearing_the_others(
    credentials: Credentials,
) -> None:
    """The other stores are cleared before the failure is reported."""
    credentials.store("file").save(MONA)
    keyring.set_keyring(BrokenKeyring(LOCKED))
    held, failed = credentials.delete()

    assert (["file"], ["The keyring is locked."]) == (
        [store.name for store in held],
        [error.message for error in failed],
    )
    assert [] == credentials.hosts()


async def test_loading_does_not_block_the_event_loop(credentials: Credentials) -> None:
    """Loading runs in a thread, since a keyring may prompt the user."""
    backend = PromptingKeyring()
    keyring.set_keyring(backend)
    waiting = asyncio.ensure_future(run_in_thread(credentials.load))
    await asyncio.sleep(0)
    assert not waiting.done()
    backend.released.set()

    assert await waiting is None
    assert await credentials.load_async() is None


async def test_exceptions_in_the_thread_are_raised_to_the_caller() -> None:
    """An exception in the thread propagates to the caller."""
    with pytest.raises(StoreError, match="odd"):
        await run_in_thread(failing_store)


def failing_store() -> None:
    raise StoreError("odd")


def test_the_timeout_of_prompts() -> None:
    """A keyring prompt has a timeout of 30 seconds."""

    assert 30.0 == keyring_store.KeyringStore()._timeout
