"""What the person has set, and where each value came from.

Defaults are overridden by ``config.toml``, that by the environment (``COPILOT_PROXY_`` and the
upper-case name), that by flags.
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import platformdirs

from copilot_proxy import setting_values as read
from copilot_proxy.catalogue import Alias
from copilot_proxy.errors import UsageError
from copilot_proxy.headers import Identity
from copilot_proxy.keys import ApiKey
from copilot_proxy.masking import Secret

_MEND: Final = "Correct that setting, or remove it: every setting has a default."
ENVIRONMENT_PREFIX: Final = "COPILOT_PROXY_"
DEFAULT_GITHUB_URL: Final = "https://github.com"
DEFAULT_GITHUB_API_URL: Final = "https://api.github.com"
_APP: Final = "copilot-proxy"
_FLAGS: Final = {"cors_origins": "cors_origin"}
"""Flags that are not called like their settings."""


def _setting(default: Any, parse: Callable[[object], object], help: str) -> Any:
    return field(default=default, metadata={"parse": parse, "help": help})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings; `sources` maps each name to ``default``, ``config.toml``, an environment
    variable's name, or ``flag``."""

    host: str = _setting("127.0.0.1", read.header_value, "Address that the server listens on.")
    port: int = _setting(8000, read.port, "Port that the server listens on; 0 takes a free one.")
    uds: Path | None = _setting(
        None, read.path, "Unix socket that the server listens on instead of a port."
    )
    workers: int = _setting(
        1, read.positive, "How many processes answer requests; more than one not on Windows."
    )
    api_key: Secret | None = _setting(
        None,
        read.key,
        "Key that clients must send, as Bearer or x-api-key. Required unless HOST is loopback.",
    )
    api_keys: tuple[ApiKey, ...] = _setting(
        (),
        read.api_keys,
        "More keys, each with a name for the log and, if wanted, the models that it opens.",
    )
    cors_origins: tuple[str, ...] = _setting(
        (), read.origins, "Web origins that may call the server from a browser; none by default."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        read.names,
        "More names for this server that a request's Host header may carry.",
    )
    github_token: Secret | None = _setting(
        None, read.secret, "A GitHub OAuth token; wins over the stores and is never written."
    )
    github_url: str = _setting(
        DEFAULT_GITHUB_URL, read.required_address, "Where the device flow is."
    )
    github_api_url: str = _setting(
        DEFAULT_GITHUB_API_URL,
        read.required_address,
        "Where the token exchange and the account are.",
    )
    copilot_api_url: str | None = _setting(
        None, read.address, "The Copilot API; by default the token exchange names it."
    )
    upstream: str = _setting(
        "copilot",
        read.choice("copilot", "pi-ai"),
        "Who asks Copilot: `copilot` this program itself, `pi-ai` the library of the pi agent.",
    )
    default_model: str = _setting(
        "claude-sonnet-4.5", read.header_value, "What `default` and a bare `chat` mean."
    )
    aliases: Mapping[str, Alias] = field(
        default_factory=lambda: MappingProxyType({}),
        metadata={
            "parse": read.aliases,
            "help": "Names of your own for models, also with fixed parameters.",
        },
    )
    home_dir: Path | None = _setting(
        None,
        read.path,
        "One folder that takes the place of the config, data and cache folders.",
    )
    log_format: str = _setting(
        "text", read.choice("text", "json"), "Log lines as `text` or `json`."
    )
    log_file: Path | None = _setting(
        None, read.path, "A file that gets the log as well; only its owner can read it."
    )
    log_file_bytes: int = _setting(
        10 * 1024 * 1024, read.positive, "Size at which the log file is begun anew."
    )
    log_file_count: int = _setting(5, read.positive, "How many old log files are kept.")
    dump_dir: Path | None = _setting(
        None, read.path, "A folder that gets every conversation, to find out what was really said."
    )
    dump_hours: float = _setting(24.0, read.hours, "Hours after which a dump is removed.")
    keep_alive: float = _setting(
        10.0, read.seconds, "Seconds of silence after which a stream gets a comment line."
    )
    header_grace: float = _setting(
        5.0,
        read.seconds,
        "Seconds that a stream's status waits for upstream's; after that it is 200 and an error "
        "comes as an event.",
    )
    connect_timeout: float = _setting(
        10.0, read.seconds, "Seconds that connecting to GitHub and Copilot may take."
    )
    read_timeout: float = _setting(
        600.0,
        read.seconds,
        "Seconds that upstream may be silent, and a client take nothing, before it is given up.",
    )
    max_body_bytes: int = _setting(
        64 * 1024 * 1024, read.positive, "Largest request body that is read, in bytes."
    )
    receive_timeout: float = _setting(
        30.0,
        read.seconds,
        "Seconds in which a request's head has to arrive, and then its body; a large body has a "
        "second more for each 64 KiB.",
    )
    max_concurrency: int = _setting(
        1000, read.positive, "Requests that are answered at once; more wait for a slot."
    )
    max_queue: int = _setting(
        100, read.not_negative, "Requests that may wait for a slot; more are answered with 503."
    )
    queue_timeout: float = _setting(
        30.0, read.seconds, "Seconds that a request waits for a slot before it gets 503."
    )
    fetch_images: bool = _setting(
        False, read.switch, "Fetch images that a request names by a public https address."
    )
    shutdown_timeout: float = _setting(
        30.0, read.seconds, "Seconds that open answers may take to end when the server stops."
    )
    editor_version: str = _setting(
        Identity.editor_version, read.header_value, "Editor-Version sent to Copilot."
    )
    editor_plugin_version: str = _setting(
        Identity.editor_plugin_version,
        read.header_value,
        "Editor-Plugin-Version sent to Copilot.",
    )
    integration_id: str = _setting(
        Identity.integration_id, read.header_value, "Copilot-Integration-Id sent to Copilot."
    )
    api_version: str = _setting(
        Identity.api_version, read.header_value, "X-GitHub-Api-Version sent to the Copilot API."
    )
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def keys(self) -> tuple[ApiKey, ...]:
        """All keys that clients may send; without any, none is asked for."""
        unnamed = (ApiKey(self.api_key),) if self.api_key else ()
        return (*unnamed, *self.api_keys)

    @property
    def identity(self) -> Identity:
        """What we call ourselves to Copilot."""
        return Identity(
            editor_version=self.editor_version,
            editor_plugin_version=self.editor_plugin_version,
            integration_id=self.integration_id,
            api_version=self.api_version,
        )

    @property
    def reaches_network(self) -> bool:
        """Whether other machines may reach the server."""
        return self.uds is None and not read.is_loopback(self.host)

    @property
    def config_file(self) -> Path:
        """The file that these settings may come from."""
        return config_dir(self.home_dir) / "config.toml"

    @property
    def data_dir(self) -> Path:
        """Where a token file is kept."""
        return self.home_dir or Path(platformdirs.user_data_dir(_APP, appauthor=False))


def config_dir(home_dir: Path | None) -> Path:
    """The folder of ``config.toml``."""
    return home_dir or Path(platformdirs.user_config_dir(_APP, appauthor=False))


def setting_names() -> dict[str, str]:
    """Every setting's name (lower case) with its help text, in the order of the documentation."""
    return {f.name: f.metadata["help"] for f in fields(Settings) if "parse" in f.metadata}


def load_settings(
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Settings from all four places; a flag that is None counts as not given.

    Raises `UsageError` that names the place, the setting and what is wrong with it.
    """
    environ = os.environ if environ is None else environ
    parsers = {f.name: f.metadata["parse"] for f in fields(Settings) if "parse" in f.metadata}
    given: dict[str, tuple[object, str]] = {}
    for name in parsers:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environ:
            given[name] = (environ[variable], variable)
        if flags and flags.get(name) is not None:
            given[name] = (flags[name], "flag")

    home = _parsed("home_dir", *given["home_dir"], read.path) if "home_dir" in given else None
    config_file = config_dir(home) / "config.toml"
    for name, value in _read_config(config_file).items():
        if name not in parsers:
            raise UsageError(
                f"{config_file} has an unknown setting, {name!r}.",
                hint=_nearest(name, parsers) or _MEND,
            )
        given.setdefault(name, (value, str(config_file)))

    values = {name: _parsed(name, *given[name], parsers[name]) for name in given}
    sources = dict.fromkeys(parsers, "default")
    sources.update({name: source for name, (_, source) in given.items()})
    settings = Settings(**values, sources=MappingProxyType(sources))
    try:
        read.check_distinct(settings.keys)
    except ValueError as error:
        raise UsageError(f"These keys cannot be used: {error}.") from None
    return settings


def _parsed(name: str, value: object, source: str, parse: Callable[[object], Any]) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        hint = "Change it, or leave it out: every setting has a default."
        if source == "flag":
            where = f"--{_FLAGS.get(name, name).replace('_', '-')}"
        elif source.startswith(ENVIRONMENT_PREFIX):
            where = source
        else:
            where, hint = f"{name} from {source}", _MEND
        raise UsageError(f"{where} cannot be used: {error}.", hint=hint) from None


def _read_config(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", hint="Make it a file that you may read."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not text in UTF-8.", hint="Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path} is not valid TOML: {error}.", hint="Correct it at that place."
        ) from error


def _nearest(name: str, known: Mapping[str, object]) -> str | None:
    near = get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else None
