"""``logout``: deleting the stored token."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest

from copilot_proxy.auth.stores import Credential, Credentials
from copilot_proxy.masking import Secret
from copilot_proxy.settings import load_settings
from tests.auth.keyrings import LOCKED, BrokenKeyring, MemoryKeyring
from tests.cli.conftest import Cli

MONA = Credential(Secret("ghu_mona"), "github.com", "mona")
ACME = Credential(Secret("ghu_acme"), "acme.ghe.com", "mona_acme")


def keep(credential: Credential, store: str) -> None:
    Credentials.from_settings(load_settings()).store(store).save(credential)


def test_the_store_that_held_the_token_is_named(cli: Cli, own_home: Path) -> None:
    """The message names the store, and says where to revoke the authorization."""
    keep(MONA, "file")
    ran = cli("logout")

    assert (0, "") == (ran.code, ran.out)
    assert f"the token was deleted from the file {own_home / 'credentials.json'}." in ran.err
    assert "https://github.com/settings/apps/authorizations" in ran.err
    assert not (own_home / "credentials.json").exists()


def test_the_simulator_has_no_page(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sign-in to the simulator, there is nothing to revoke on GitHub."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_URL", "http://127.0.0.1:8765")
    keep(MONA, "file")
    ran = cli("logout")

    assert "the token was deleted from the file" in ran.err
    assert "authorizations" not in ran.err


def test_every_store_is_cleared(cli: Cli, memory_keyring: MemoryKeyring, own_home: Path) -> None:
    """Every store is named, along with the page for revoking access on each host."""
    keep(MONA, "file")
    keep(ACME, "keyring")
    ran = cli("logout")

    assert 2 == ran.err.count("the token was deleted from")
    assert "https://github.com/settings/apps/authorizations" in ran.err
    assert "https://acme.ghe.com/settings/apps/authorizations" in ran.err
    assert {} == memory_keyring.entries


def test_nothing_stored_is_not_an_error(cli: Cli) -> None:
    """A message says that nothing was stored, and the exit code is 0."""
    ran = cli("logout")

    assert (0, "Not signed in: no token is stored.\n") == (ran.code, ran.err)


def test_a_token_in_the_environment_cannot_be_deleted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that the user must unset it."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_env")
    ran = cli("logout")

    assert 0 == ran.code
    assert (
        "A token is still set in COPILOT_PROXY_GITHUB_TOKEN, which copilot-proxy cannot change"
        in ran.err
    )
    assert "Not signed in" not in ran.err


def test_a_failing_store_is_reported_after_the_others(cli: Cli, own_home: Path) -> None:
    """The exit code is 1, since a token may still be stored."""
    keep(MONA, "file")
    keyring.set_keyring(BrokenKeyring(LOCKED))
    ran = cli("logout")

    assert 1 == ran.code
    assert "the token was deleted from" in ran.err
    assert "Error: The keyring is locked." in ran.err


def test_a_corrupt_file_is_deleted(cli: Cli, own_home: Path) -> None:
    """The corrupt file is deleted, because it may still contain a token."""
    own_home.mkdir()
    (own_home / "credentials.json").write_text("ghu_half")
    ran = cli("logout")

    assert 0 == ran.code
    assert not (own_home / "credentials.json").exists()


def test_no_network_is_needed(
    program: Callable[..., subprocess.CompletedProcess[str]], own_home: Path
) -> None:
    """Signing out works offline."""
    keep(MONA, "file")

    assert 0 == program("logout").returncode
