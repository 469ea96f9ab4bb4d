"""Settings: their sources, validation and secrecy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from copilot_proxy.errors import UsageError
from copilot_proxy.headers import Identity
from copilot_proxy.host_names import is_loopback
from copilot_proxy.masking import Secret
from copilot_proxy.settings import (
    ENVIRONMENT_PREFIX,
    Settings,
    config_dir,
    load_settings,
    setting_names,
    unknown_variables,
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for the configuration file."""
    folder = tmp_path / "settings"
    folder.mkdir()
    return folder


def load(
    home: Path,
    *,
    config: str | None = None,
    environ: Mapping[str, str] | None = None,
    **flags: object,
) -> Settings:
    """Return settings from this file, these variables (without prefix) and these flags."""
    if config is not None:
        (home / "config.toml").write_text(config, encoding="utf-8")
    variables = {ENVIRONMENT_PREFIX + name: value for name, value in (environ or {}).items()}
    return load_settings(flags, {"COPILOT_PROXY_HOME_DIR": str(home), **variables})


def refused(home: Path, **places: Any) -> UsageError:
    """Return the error that these settings raise."""
    with pytest.raises(UsageError) as caught:
        load(home, **places)
    assert 2 == caught.value.exit_code
    return caught.value


def test_the_defaults_are_safe(home: Path) -> None:
    """By default, the server listens on loopback and has no secret."""
    settings = load(home)

    assert ("127.0.0.1", 8000, None, (), ()) == (
        settings.host,
        settings.port,
        settings.api_key,
        settings.cors_origins,
        settings.allowed_hosts,
    )
    assert ("https://github.com", "https://api.github.com", None) == (
        settings.github_url,
        settings.github_api_url,
        settings.copilot_api_url,
    )
    assert {"default"} == {v for name, v in settings.sources.items() if name != "home_dir"}


def test_each_source_overrides_the_one_before(home: Path) -> None:
    """Flags override the environment, which overrides the file; each setting knows its source."""
    settings = load(
        home,
        config='port = 1\nhost = "localhost"\ndefault_model = "a"',
        environ={"PORT": "2", "HOST": "::1"},
        port=3,
    )

    assert (3, "::1", "a") == (settings.port, settings.host, settings.default_model)
    assert ("flag", "COPILOT_PROXY_HOST", str(home / "config.toml"), "default") == tuple(
        settings.sources[name] for name in ("port", "host", "default_model", "log_format")
    )


def test_missing_flags_do_not_hide_other_sources(home: Path) -> None:
    """Flags that the user did not give do not hide other sources."""
    assert 2 == load(home, environ={"PORT": "2"}, port=None).port


def test_sources_cannot_be_changed(home: Path) -> None:
    """The sources of settings are read-only."""
    with pytest.raises(TypeError):
        load(home).sources["port"] = "x"  # type: ignore[index]


def test_every_setting_has_a_source_and_a_help(home: Path) -> None:
    """Every setting has a known source and a help text."""
    assert set(setting_names()) == set(load(home).sources)
    assert all(help.endswith(".") for help in setting_names().values())


def test_the_process_environment_is_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an explicit environment, the environment of the process is used."""
    monkeypatch.setenv("COPILOT_PROXY_HOME_DIR", str(home))
    monkeypatch.setenv("COPILOT_PROXY_PORT", "4")

    assert 4 == load_settings().port


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", " 80 ", 80),
        ("port", "0", 0),
        ("port", "65535", 65535),
        ("host", " ::1 ", "::1"),
        ("host", "[::1]", "[::1]"),
        ("host", "fe80::1%eth0", "fe80::1%eth0"),
        ("host", "my-machine.local", "my-machine.local"),
        ("api_key", "k", Secret("k")),
        ("github_token", "", None),
        ("github_token", "  ", None),
        ("github_url", "https://octocorp.ghe.com/", "https://octocorp.ghe.com"),
        ("github_url", "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("github_url", "http://localhost:8000/x/", "http://localhost:8000/x"),
        ("github_url", "http://[::1]:8000", "http://[::1]:8000"),
        ("copilot_api_url", "", None),
        ("copilot_api_url", "https://api.githubcopilot.com", "https://api.githubcopilot.com"),
        ("cors_origins", "http://Localhost:3000/, https://a.b", ("http://localhost:3000", "https://a.b")),
        ("cors_origins", "vscode-webview://a, http://[::1]:3000", ("vscode-webview://a", "http://[::1]:3000")),
        ("cors_origins", "", ()),
        ("cors_origins", "http://a.b:80,https://a.b:443", ("http://a.b", "https://a.b")),
        ("cors_origins", "http://a.b:443", ("http://a.b:443",)),
        ("allowed_hosts", "a, b,,c ", ("a", "b", "c")),
        ("log_format", "json", "json"),
        ("keep_alive", "0.5", 0.5),
        ("read_timeout", "1e3", 1000.0),
        ("max_body_bytes", "1", 1),
        ("fetch_images", " True ", True),
        ("fetch_images", "1", True),
        ("fetch_images", "on", True),
        ("fetch_images", "yes", True),
        ("fetch_images", "false", False),
        ("fetch_images", "0", False),
        ("fetch_images", "off", False),
        ("fetch_images", "no", False),
        ("home_dir", "", None),
        ("editor_version", "vscode/1.137.0", "vscode/1.137.0"),
    ],
)  # fmt: skip
def test_texts_become_values(home: Path, name: str, text: str, expected: object) -> None:
    """Environment variables are converted to the setting's type."""
    assert expected == getattr(load(home, environ={name.upper(): text}), name)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("port = 80", 80),
        ("keep_alive = 2", 2.0),
        ("fetch_images = true", True),
        ("fetch_images = false", False),
        ('cors_origins = ["https://a.b"]', ("https://a.b",)),
        ('allowed_hosts = ["a", " ", "b"]', ("a", "b")),
        ('api_key = "k"', Secret("k")),
    ],
)
def test_toml_types_are_accepted(home: Path, line: str, expected: object) -> None:
    """TOML numbers and lists are accepted."""
    assert expected == getattr(load(home, config=line), line.partition(" ")[0])


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("port", "x", "expected a whole number"),
        ("port", 1.5, "expected a whole number"),
        ("port", True, "expected a whole number"),
        ("port", "-1", "expected a port from 0 to 65535"),
        ("port", 65536, "expected a port from 0 to 65535"),
        ("max_body_bytes", 0, "expected a whole number greater than 0"),
        ("host", 5, "expected text"),
        ("host", "", "it is empty"),
        ("host", "höst", "expected plain ASCII text"),
        ("host", "a b", "expected an address such as 127.0.0.1"),
        ("host", "http://x", "without scheme, port or path, not 'http://x'"),
        ("host", "127.0.0.1:80", "expected an address such as 127.0.0.1"),
        ("host", "[::1", "expected an address such as 127.0.0.1"),
        ("cors_origins", "ftp://x", "is not the origin of a web page"),
        ("cors_origins", "ws://localhost:3000", "is not the origin of a web page"),
        ("cors_origins", "http://[::1", "is not the origin of a web page"),
        ("github_token", "ghu_a ghu_b", "cannot contain spaces or quotation marks"),
        ("github_token", '"ghu_a"', "cannot contain spaces or quotation marks"),
        ("editor_version", "a\r\nx-evil: 1", "it contains a control character"),
        ("editor_version", "a\x7f", "it contains a control character"),
        ("api_key", "schlüssel", "expected plain ASCII text"),
        ("api_key", "a\nb", "it contains a control character"),
        ("fetch_images", "perhaps", "expected true or false"),
        ("fetch_images", "", "expected true or false"),
        ("fetch_images", 1, "expected true or false"),
        ("keep_alive", "soon", "expected a number of seconds"),
        ("keep_alive", [], "expected a number of seconds"),
        ("keep_alive", True, "expected a number of seconds"),
        ("keep_alive", 0, "expected a number of seconds greater than 0"),
        ("keep_alive", "nan", "expected a number of seconds greater than 0"),
        ("keep_alive", "inf", "expected a number of seconds greater than 0"),
        ("log_format", "xml", "expected one of text, json"),
        ("github_url", "", "it is empty"),
        ("github_url", "github.com", "expected a URL such as https://github.com"),
        ("github_url", "ftp://github.com", "expected a URL such as https://github.com"),
        ("github_url", "https://", "expected a URL such as https://github.com"),
        ("github_url", "https://a:x", "expected a URL such as https://github.com"),
        ("github_url", "https://[::1", "expected a URL such as https://github.com"),
        ("github_url", "https://a b", "expected a URL such as https://github.com"),
        *(
            (name, f"https://{host}", f"{host[:40]!r} is not a valid host name")
            for name in ("github_url", "github_api_url", "copilot_api_url")
            for host in (
                "api..github.com",
                ".github.com",
                "github.com..",
                f"{'a' * 64}.com",
                ".".join(["a" * 63] * 4),
                "git<hub.com",
                "git%hub.com",
                "gïthub.com",
                "☃.example",
            )
        ),
        ("copilot_api_url", "http://localhost..:9", "'localhost..' is not a valid host name"),
        ("copilot_api_url", "https://[fe80::1%eth0]", "is not a valid host name"),
        ("github_url", "https://u:p@a", "without a username, password, query or fragment"),
        ("github_url", "https://@a", "without a username, password, query or fragment"),
        ("github_url", "https://a?", "without a username, password, query or fragment"),
        ("copilot_api_url", "https://a#b", "without a username, password, query or fragment"),
        ("github_url", "http://github.com", "https is required for any host but this machine"),
        (
            "copilot_api_url",
            "http://192.168.0.2",
            "https is required for any host but this machine",
        ),
        (
            "github_api_url",
            "http://localhost.evil.com",
            "https is required for any host but this machine",
        ),
        ("cors_origins", "*", "every web page"),
        ("cors_origins", "https://*.a.b", "every web page"),
        ("cors_origins", "http://a.b, *", "every web page"),
        ("cors_origins", " * ", "every web page"),
        ("cors_origins", ["*"], "every web page"),
        ("cors_origins", "*://*", "every web page"),
        ("cors_origins", "http://*:3000", "every web page"),
        ("cors_origins", "null", "expected an origin such as http://localhost:3000"),
        ("cors_origins", "NULL", "expected an origin such as http://localhost:3000"),
        ("cors_origins", "file://", "expected an origin such as http://localhost:3000"),
        ("cors_origins", "http://a.b/page", "expected an origin such as http://localhost:3000"),
        ("cors_origins", "http://me@a.b", "expected an origin such as http://localhost:3000"),
        ("cors_origins", "localhost:3000", "expected an origin such as http://localhost:3000"),
        ("cors_origins", 5, "expected a list"),
        ("allowed_hosts", [5], "expected text"),
        ("allowed_hosts", "*", "expected a host name such as my-machine.local"),
        ("allowed_hosts", "a.b, http://my.host", "not 'http://my.host'"),
        ("allowed_hosts", "my.host:8000", "without scheme, port"),
        ("workers", 0, "expected a whole number from 1 to 64, not 0"),
        ("workers", "999", "expected a whole number from 1 to 64, not 999"),
        ("home_dir", "~nobody-of-that-name/x", "~nobody-of-that-name: no such user"),
        ("home_dir", "a\nb", "it contains a control character"),
    ],
)
def test_invalid_values_are_refused(home: Path, name: str, value: object, complaint: str) -> None:
    """An invalid value causes an error that names the setting and the reason."""
    error = refused(home, **{name: value})

    flag = {"cors_origins": "cors-origin"}.get(name, name.replace("_", "-"))
    assert error.message.startswith(f"--{flag} is invalid: ")
    assert complaint in error.message


def test_errors_name_the_source(home: Path) -> None:
    """The error names the variable, file or flag."""
    complaint = "is invalid: expected a whole number, not 'x'."

    assert f"COPILOT_PROXY_PORT {complaint}" == refused(home, environ={"PORT": "x"}).message
    assert f"--port {complaint}" == refused(home, port="x").message
    assert f"port in {home / 'config.toml'} {complaint}" == (
        refused(home, config='port = "x"').message
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("port = ", "is not valid TOML"),
        ("port 80", "is not valid TOML"),
        ("prot = 80", "has an unknown setting, 'prot'"),
        ("[server]\nport = 80", "has an unknown setting, 'server'"),
    ],
)
def test_errors_name_the_file(home: Path, config: str, words: str) -> None:
    """Errors about the file contain its path."""
    error = refused(home, config=config)

    assert error.message.startswith(str(home / "config.toml"))
    assert words in error.message


def test_a_text_without_quotes(home: Path) -> None:
    """The hint says that text needs quotes, but only for this mistake."""
    assert "quotes" in (refused(home, config="default_model = gpt-5").hint or "")
    assert "quotes" not in (refused(home, config="port 80").hint or "")


def test_the_hint_for_an_empty_key(home: Path) -> None:
    """The key's hint differs from other settings' hints, since the server may need a key."""
    assert "Correct it, or omit it if clients need no key." == refused(home, api_key="").hint
    assert "Correct it, or omit it to use the default." == refused(home, host="").hint


def test_the_closest_setting_is_suggested(home: Path) -> None:
    """The closest name is suggested; if there is none, the hint is to edit or remove the file."""
    assert "Did you mean 'port'?" == refused(home, config="prot = 80").hint
    assert "Did you mean" not in (refused(home, config="zzzz = 80").hint or "")


def test_a_file_with_a_byte_order_mark(home: Path, tmp_path: Path) -> None:
    """A UTF-8 file may start with a byte order mark, which Windows editors add."""
    (home / "config.toml").write_bytes(b"\xef\xbb\xbfport = 7")
    key = tmp_path / "key"
    key.write_bytes(b"\xef\xbb\xbfabcdefgh\r\n")
    settings = load(home, environ={"API_KEY_FILE": str(key)})
    assert 7 == settings.port
    assert settings.api_key is not None
    assert "abcdefgh" == settings.api_key.reveal()


def test_unreadable_files(home: Path, tmp_path: Path) -> None:
    """A folder instead of a file, a file instead of the folder, and invalid UTF-8 are errors."""
    (home / "config.toml").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in refused(home).message

    (home / "config.toml").unlink()
    (home / "config.toml").mkdir()
    assert "cannot be read" in refused(home).message

    (tmp_path / "file").touch()
    assert "cannot be read" in refused(tmp_path / "file").message


@pytest.mark.parametrize("variable", ["a\nb", "~nobody-of-that-name/x"])
def test_an_invalid_home_is_refused(variable: str) -> None:
    """The home folder is validated like any other setting."""
    with pytest.raises(UsageError, match=r"^COPILOT_PROXY_HOME_DIR is invalid: "):
        load_settings({}, {"COPILOT_PROXY_HOME_DIR": variable})


def test_the_home_folder_holds_everything(home: Path, tmp_path: Path) -> None:
    """Configuration and data are in the home folder, however it was set."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.toml").write_text("port = 7")

    assert (home / "config.toml", home) == (load(home).config_file, load(home).data_dir)
    assert 7 == load(home, config="port = 6", home_dir=other).port
    assert other == load(home, home_dir=str(other)).home_dir


def test_without_a_home_folder_the_systems_folders_are_used() -> None:
    """By default, the operating system's folders are used."""
    assert Path(platformdirs.user_config_dir("copilot-proxy", appauthor=False)) == config_dir(None)
    assert Path(platformdirs.user_data_dir("copilot-proxy", appauthor=False)) == Settings().data_dir


def test_the_users_home_folder() -> None:
    """`~` means the user's home folder."""
    assert Path.home() / "x" == load_settings({}, {"COPILOT_PROXY_HOME_DIR": "~/x"}).home_dir


def test_secrets_are_not_shown(home: Path) -> None:
    """Neither the repr of settings nor an error shows a secret."""
    settings = load(home, environ={"API_KEY": "sk-local-1", "GITHUB_TOKEN": "ghu_16C7e42F"})

    assert "sk-local-1" not in f"{settings} {settings!r}"
    assert "ghu_16C7e42F" not in f"{settings} {settings!r}"
    assert "sk-local" not in refused(home, api_key="sk-local-ü").message


def test_the_editor_headers_are_settings(home: Path) -> None:
    """The editor headers can be changed in the settings."""
    environ = {
        "EDITOR_VERSION": "a/1",
        "EDITOR_PLUGIN_VERSION": "b/2",
        "INTEGRATION_ID": "c",
        "API_VERSION": "2030-01-01",
    }

    assert Identity("a/1", "b/2", "c", "2030-01-01") == load(home, environ=environ).identity
    assert Identity() == load(home).identity


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LocalHost.", True),
        ("a.localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("localhost.evil.com", False),
        ("evil-localhost", False),
        ("127.0.0.1.evil.com", False),
        ("2130706433", False),
        ("", False),
    ],
)
def test_loopback_addresses(host: str, expected: bool) -> None:
    """Only loopback names and addresses count as this machine."""
    assert expected is is_loopback(host)


@pytest.mark.parametrize("name", ["api_key", "api_keys"])
@pytest.mark.parametrize("place", ["flag", "environment", "file"])
def test_an_empty_key_is_an_error(home: Path, name: str, place: str) -> None:
    """An empty API key is an error, since it must not leave the server open."""
    if place == "file":
        (home / "config.toml").write_text(f"{name} = ''", encoding="utf-8")
    environ = {name.upper(): " "} if place == "environment" else {}
    flags = {name: ""} if place == "flag" else {}
    with pytest.raises(UsageError, match="is invalid: it is empty"):
        load(home, environ=environ, **flags)


def test_a_budget_needs_the_ledger() -> None:
    """The error names the setting that turned the ledger off."""
    load_settings({}, {}).require_ledger()
    with pytest.raises(UsageError, match="COPILOT_PROXY_LEDGER turns off"):
        load_settings({}, {"COPILOT_PROXY_LEDGER": "no"}).require_ledger()


def test_a_secret_may_be_in_a_file(home: Path) -> None:
    """Containers can pass secrets as files; the variable with the value takes precedence."""
    file = home / "token"
    file.write_text("ghu_in_a_file\n")
    names = {"GITHUB_TOKEN_FILE": str(file), "API_KEY_FILE": str(file)}
    settings = load(home, environ={**names, "API_KEY": "a-key"})

    assert settings.github_token == Secret("ghu_in_a_file")
    assert settings.api_key == Secret("a-key")
    assert "COPILOT_PROXY_GITHUB_TOKEN_FILE" == settings.sources["github_token"]
    assert [] == unknown_variables({f"{ENVIRONMENT_PREFIX}{name}": "" for name in names})


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_secret_file_without_a_secret(home: Path, content: str | None, problem: str) -> None:
    """An empty secret file is an error, since without a key, the server would be open to all."""
    if content is not None:
        (home / "token").write_text(content)
    error = refused(home, environ={"API_KEY_FILE": str(home / "token")})
    assert problem in error.message
    assert "COPILOT_PROXY_API_KEY_FILE" in error.message
