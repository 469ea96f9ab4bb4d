"""Profiles: two accounts that share nothing."""

import json
import os
from pathlib import Path

import pytest

from copilot_proxy.cli.commands import COMMANDS
from copilot_proxy.errors import UsageError, with_profile
from copilot_proxy.settings import Settings, load_settings
from copilot_proxy.simulator.server import Simulator
from copilot_proxy.simulator.state import SIMULATED_TOKEN
from tests.auth.keyrings import MemoryKeyring
from tests.cli.conftest import Cli
from tests.conftest import Proxy

ASKED = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}


def settings(home: Path, config: str = "", profile: str = "work", **variables: str) -> Settings:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config, encoding="utf-8")
    environ = {"HOME_DIR": str(home), "PROFILE": profile, **variables}
    return load_settings(environ={f"COPILOT_PROXY_{name}": v for name, v in environ.items()})


def test_folders_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Profiles that cannot be listed do not keep `doctor` from explaining why."""

    def refuse(path: Path) -> list[str]:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "home" / "profiles").mkdir(parents=True)
    monkeypatch.setattr(os, "listdir", refuse)
    assert () == settings(tmp_path / "home").known_profiles


@pytest.mark.parametrize(
    "words",
    [
        ["--profile", "work", "login", "--store", "file"],
        ["login", "--store", "file", "--profile=work"],
    ],
)
def test_a_profile_has_its_own_sign_in(
    cli: Cli, simulator: Simulator, own_home: Path, words: list[str]
) -> None:
    """The flag may come anywhere; the default profile stays signed out; hints name the profile."""
    assert 0 == cli(*words).code

    assert (own_home / "profiles/work/credentials.json").is_file()
    signed_in = cli("status", "--json", "--profile", "work")
    assert (0, "work", ["work"]) == (
        signed_in.code,
        json.loads(signed_in.out)["profile"],
        json.loads(signed_in.out)["profiles"],
    )
    other = cli("status")
    assert 3 == other.code
    assert "Sign in with: copilot-proxy login\n" in other.err
    other = cli("status", "--profile", "home")
    assert "Sign in with: copilot-proxy --profile home login\n" in other.err
    assert "home, port 8" in other.out
    assert "others: default, work" in other.out


def test_the_keyring_has_an_entry_for_each_profile(
    cli: Cli, simulator: Simulator, memory_keyring: MemoryKeyring
) -> None:
    """Signing out of one profile keeps the other's entry."""
    for profile in ("default", "work"):
        assert 0 == cli("login", "--with-token", "--profile", profile, stdin=SIMULATED_TOKEN).code
    assert 0 == cli("logout").code

    assert [("g-copilot-proxy", "github:work")] == list(memory_keyring.entries)


def test_a_profile_ignores_settings_of_another_account(tmp_path: Path) -> None:
    """Top-level settings apply, except for the port, token, keys, budget and so on."""
    found = settings(
        tmp_path / "home",
        """
        port = 8123
        api_key = "key-of-home"
        github_token = "ghu_home"
        budget = ["5/day"]
        default_model = "opus"
        keep_alive = 3
        [profiles.work]
        default_model = "gpt"
        """,
    )

    assert (None, None, ()) == (found.api_key, found.github_token, found.budget)
    assert ("gpt", 3.0) == (found.default_model, found.keep_alive)
    assert 8123 != found.port
    assert 8100 <= found.port < 9000
    assert found.ledger_file.parent == tmp_path / "home/profiles/work"
    assert "[profiles.work]" in found.sources["default_model"]


def test_the_default_profile_is_as_before(tmp_path: Path) -> None:
    """The default profile's files do not move, and tables of other profiles do not affect it."""
    config = "port = 8123\n[profiles.work]\nport = 8200"
    found = settings(tmp_path / "home", config, profile="default")

    assert (None, 8123) == (found.profile, found.port)
    assert found.state_dir == found.data_dir == tmp_path / "home"
    assert 8200 == settings(tmp_path / "home", config).port
    assert 8300 == settings(tmp_path / "home", config, PORT="8300").port


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[profiles.work]\nprot = 1", "[profiles.work] in"),
        ("profiles = 3", "is not a table"),
        ("[profiles]\nwork = 3", "is not a profile"),
        ("[profiles.default]\nport = 1", "is not a profile"),
        ('[profiles."a b"]', "name of a profile"),
        ('profile = "work"', "cannot set the profile"),
        ('[profiles.work]\nprofile = "x"', "cannot set the profile"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, config: str, message: str) -> None:
    """Mistakes are explained, even in the table of a profile that is not in use."""
    with pytest.raises(UsageError) as caught:
        settings(tmp_path / "home", config, profile="home")
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["Work", "../work", "a b", "", "x" * 33])
def test_a_name_cannot_lead_to_another_folder(cli: Cli, name: str) -> None:
    """A name cannot contain capitals, slashes or spaces; an empty name is the default profile."""
    ran = cli("status", "--profile", name)
    assert (3 if name == "" else 2) == ran.code
    assert (name == "") or "--profile is invalid" in ran.err


@pytest.mark.parametrize("words", [["--profile"], ["status", "--profile"]])
def test_a_flag_without_a_name(cli: Cli, words: list[str]) -> None:
    """The error says that the name is missing, wherever the flag is."""
    ran = cli(*words)
    assert (2, "Error: --profile needs a name.") == (ran.code, ran.err.splitlines()[0])


def test_hints_of_the_server_name_its_profile(simulator: Simulator, tmp_path: Path) -> None:
    """The command in a hint can be copied; addresses and other words are unchanged."""
    urls = {"GITHUB_URL": simulator.url, "GITHUB_API_URL": simulator.url}
    with Proxy(settings(tmp_path / "home", **urls)) as proxy, proxy.client() as client:
        assert "work" == client.get("/health").json()["profile"]
        answer = client.post("/v1/chat/completions", json=ASKED)
    hint = answer.json()["error"]["hint"]
    assert 401 == answer.status_code
    assert hint == "Sign in with: copilot-proxy --profile work login"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_a_message_names_the_profile(name: str) -> None:
    """Commands are rewritten, but not the name of the program itself."""
    assert f"Run: copilot-proxy --profile work {name} x" == with_profile(
        f"Run: copilot-proxy {name} x", "work"
    )
    sentence = "Another copilot-proxy is running."
    assert sentence == with_profile(sentence, "work")
