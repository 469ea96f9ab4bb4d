"""Signing out."""

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
    """And where the grant itself can be revoked."""
    keep(MONA, "file")
    ran = cli("logout")

    assert (0, "") == (ran.code, ran.out)
    assert f"the token was in the file {own_home / 'credentials.json'} and is forgotten" in ran.err
    assert "https://github.com/settings/apps/authorizations" in ran.err
    assert not (own_home / "credentials.json").exists()


def test_every_store_forgets(cli: Cli, memory_keyring: MemoryKeyring, own_home: Path) -> None:
    """Each is named, and so is each host's page."""
    keep(MONA, "file")
    keep(ACME, "keyring")
    ran = cli("logout")

    assert 2 == ran.err.count("is forgotten")
    assert "https://github.com/settings/apps/authorizations" in ran.err
    assert "https://acme.ghe.com/settings/apps/authorizations" in ran.err
    assert {} == memory_keyring.entries


def test_nothing_stored_is_no_error(cli: Cli) -> None:
    """It is said, with exit code 0."""
    ran = cli("logout")

    assert (0, "No token is stored here; there is nothing to forget.\n") == (ran.code, ran.err)


def test_a_token_in_the_environment_cannot_be_forgotten_here(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the person can remove it."""
    monkeypatch.setenv("COPILOT_PROXY_GITHUB_TOKEN", "ghu_env")
    ran = cli("logout")

    assert 0 == ran.code
    assert (
        "A token is set in COPILOT_PROXY_GITHUB_TOKEN, which copilot-proxy cannot change" in ran.err
    )
    assert "nothing to forget" not in ran.err


def test_a_store_that_fails_is_told_after_the_others(cli: Cli, own_home: Path) -> None:
    """With exit code 1, since a token may still be there."""
    keep(MONA, "file")
    keyring.set_keyring(BrokenKeyring(LOCKED))
    ran = cli("logout")

    assert 1 == ran.code
    assert "is forgotten" in ran.err
    assert "Error: The keyring is locked." in ran.err


def test_a_corrupt_file_is_forgotten_too(cli: Cli, own_home: Path) -> None:
    """Whatever it holds, it may hold a token."""
    own_home.mkdir()
    (own_home / "credentials.json").write_text("ghu_half")
    ran = cli("logout")

    assert 0 == ran.code
    assert not (own_home / "credentials.json").exists()


def test_no_network_is_needed(
    program: Callable[..., subprocess.CompletedProcess[str]], own_home: Path
) -> None:
    """Offline, one can still sign out of this machine."""
    keep(MONA, "file")

    assert 0 == program("logout").returncode
