"""All settings, with their defaults, parsers and help texts, and values derived from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from copilot_proxy import ENVIRONMENT_PREFIX
from copilot_proxy.api_keys import ApiKey
from copilot_proxy.catalogue import Alias
from copilot_proxy.cost.limits import Limit, parse_limits
from copilot_proxy.errors import UsageError
from copilot_proxy.headers import Identity
from copilot_proxy.host_names import is_loopback
from copilot_proxy.masking import Secret
from copilot_proxy.model_names import DEFAULT_FAMILY
from copilot_proxy.settings import folders, profiles, tables
from copilot_proxy.settings import values as parse
from copilot_proxy.settings.command_line import command_line

DEFAULT_GITHUB_URL: Final = "https://github.com"
DEFAULT_GITHUB_API_URL: Final = "https://api.github.com"


def _setting(
    default: Any, parser: Callable[[object], object], help: str, *, own: bool = False
) -> Any:
    """Declare a setting. Named profiles do not inherit an `own` setting from the top level of
    ``config.toml``, because it belongs to one account or cannot be shared by two servers."""
    return field(default=default, metadata={"parse": parser, "help": help, "own": own})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The program's settings.

    `sources` maps each name to ``default``, the path of ``config.toml``, the name of an environment
    variable, or ``flag``.
    """

    host: str = _setting("127.0.0.1", parse.host, "Address that the server listens on.")
    port: int = _setting(
        8000, parse.port, "Port that the server listens on; 0 picks a free one.", own=True
    )
    uds: Path | None = _setting(
        None, parse.path, "Unix socket that the server listens on instead of a port.", own=True
    )
    workers: int = _setting(
        1, parse.workers, "Number of processes that answer requests; always 1 on Windows."
    )
    api_key: Secret | None = _setting(
        None,
        parse.key,
        "Key that clients must send, as a Bearer token or in x-api-key. Required unless HOST is a "
        "loopback address.",
        own=True,
    )
    api_keys: tuple[ApiKey, ...] = _setting(
        (),
        tables.api_keys,
        "More keys, each with a name for the log and optionally the models that it may use.",
        own=True,
    )
    cors_origins: tuple[str, ...] = _setting(
        (), parse.origins, "Web origins that may call the server from a browser; none by default."
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), parse.hosts, "More names that clients may use for this server in the Host header."
    )
    github_token: Secret | None = _setting(
        None,
        parse.token,
        "A GitHub token; overrides the stored token, and is never stored.",
        own=True,
    )
    github_url: str = _setting(
        DEFAULT_GITHUB_URL,
        parse.required_url,
        "GitHub's web address, for the device flow.",
        own=True,
    )
    github_api_url: str = _setting(
        DEFAULT_GITHUB_API_URL,
        parse.required_url,
        "GitHub's API address, for the token exchange and the account.",
        own=True,
    )
    copilot_api_url: str | None = _setting(
        None, parse.url, "The Copilot API's address; by default from the token exchange.", own=True
    )
    upstream: str = _setting(
        "copilot",
        parse.choice("copilot", "pi-ai"),
        "How Copilot is called: directly (`copilot`), or through the pi agent's library (`pi-ai`).",
    )
    default_model: str = _setting(
        DEFAULT_FAMILY,
        parse.header_text,
        "The model for `default`, and for `chat` without --model.",
    )
    small_model: str | None = _setting(
        None,
        parse.header_text,
        "The model for clients' small jobs, such as titles; by default, the model in the request.",
    )
    aliases: Mapping[str, Alias] = field(
        default_factory=lambda: MappingProxyType({}),
        metadata={
            "parse": tables.aliases,
            "help": "Your own names for models, optionally with fixed parameters.",
        },
    )
    home_dir: Path | None = _setting(
        None, parse.path, "One folder to use instead of the config, data and state folders."
    )
    profile: str | None = _setting(
        None, profiles.profile, "The profile: an account with its own port, ledger and budget."
    )
    log_format: str = _setting(
        "text", parse.choice("text", "json"), "Log lines as `text` or `json`."
    )
    log_file: Path | None = _setting(
        None,
        parse.path,
        "Also write the log to this file; only its owner can read it.",
        own=True,
    )
    log_file_bytes: int = _setting(
        10 * 1024 * 1024, parse.positive, "Size in bytes at which the log file is rotated."
    )
    log_file_count: int = _setting(5, parse.positive, "Number of old log files to keep.")
    ollama: bool = _setting(
        False,
        parse.boolean,
        "Also serve Ollama's API, for clients that support no other.",
        own=True,
    )
    ollama_port: int = _setting(
        11434,
        parse.port,
        "With `ollama`, a second port for clients that only try Ollama's port; 0 for none.",
        own=True,
    )
    update_check: bool = _setting(
        True, parse.boolean, "Announce a newer version on a terminal, once a day."
    )
    ledger: bool = _setting(True, parse.boolean, "Record what each request costs, for `usage`.")
    budget: tuple[Limit, ...] = _setting(
        (), parse_limits, "Limits on the cost in AI credits, such as 500/day.", own=True
    )
    notify: tuple[str, ...] = _setting(
        (),
        command_line,
        "A command to run when 80% of a budget is spent, and when a budget causes a refusal.",
    )
    context_guard: bool = _setting(
        False,
        parse.boolean,
        "Refuse prompts that exceed a model's regular price tier, so that agents compact them.",
    )
    otlp_endpoint: str | None = _setting(
        None,
        parse.collector,
        "A collector to send metrics and traces to, as OTLP over HTTP; `env` means the address in "
        "OTEL_EXPORTER_OTLP_ENDPOINT.",
    )
    dump_dir: Path | None = _setting(
        None, parse.path, "A folder to write every conversation to, for debugging.", own=True
    )
    dump_hours: float = _setting(24.0, parse.hours, "Hours after which a dump is removed.")
    keep_alive: float = _setting(
        10.0,
        parse.seconds,
        "Seconds without data after which a stream sends a comment line or whitespace.",
    )
    header_grace: float = _setting(
        5.0,
        parse.seconds,
        "Seconds that a stream waits for Copilot's first event or error. After that, it starts "
        "with status 200, and errors are sent as events.",
    )
    connect_timeout: float = _setting(
        10.0, parse.seconds, "Seconds that connecting to GitHub and Copilot may take."
    )
    read_timeout: float = _setting(
        600.0,
        parse.seconds,
        "Seconds after which a request is aborted if Copilot sends nothing, or the client reads "
        "nothing.",
    )
    max_body_bytes: int = _setting(
        32 * 1024 * 1024, parse.positive, "Maximum size of a request body in bytes."
    )
    receive_timeout: float = _setting(
        30.0,
        parse.seconds,
        "Maximum seconds for receiving a request's headers, and for receiving its body. A large "
        "body may take one more second per 64 KiB.",
    )
    responses_memory: bool = _setting(
        True,
        parse.boolean,
        "Remember responses of the Responses API in memory, for `previous_response_id`.",
    )
    max_concurrency: int = _setting(
        1000, parse.positive, "Maximum number of concurrent requests; more wait in a queue."
    )
    max_queue: int = _setting(
        100, parse.not_negative, "Maximum number of queued requests; more are answered with 503."
    )
    queue_timeout: float = _setting(
        30.0,
        parse.seconds,
        "Seconds that a request waits in the queue before it is answered with 503.",
    )
    fetch_images: bool = _setting(
        False,
        parse.boolean,
        "Fetch images and PDFs from public https URLs in requests.",
    )
    shutdown_timeout: float = _setting(
        30.0, parse.seconds, "Seconds that open requests may take to finish when the server stops."
    )
    editor_version: str = _setting(
        Identity.editor_version, parse.header_text, "Editor-Version sent to Copilot."
    )
    editor_plugin_version: str = _setting(
        Identity.editor_plugin_version,
        parse.header_text,
        "Editor-Plugin-Version sent to Copilot.",
    )
    integration_id: str = _setting(
        Identity.integration_id, parse.header_text, "Copilot-Integration-Id sent to Copilot."
    )
    api_version: str = _setting(
        Identity.api_version, parse.header_text, "X-GitHub-Api-Version sent to the Copilot API."
    )
    known_profiles: tuple[str, ...] = ()  # the names of all profiles except the default
    instance: str | None = None  # the id of a server that runs as a service, for `/health`
    read_at: float = field(default=0.0, compare=False)  # when the settings were read, in Unix time
    simulated: bool = False  # whether the URLs of GitHub and Copilot belong to a simulator
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @cached_property
    def keys(self) -> tuple[ApiKey, ...]:
        """All keys that clients may send; if empty, clients need no key."""
        unnamed = (ApiKey(self.api_key),) if self.api_key else ()
        return (*unnamed, *self.api_keys)

    @property
    def identity(self) -> Identity:
        """The identity that is sent to Copilot."""
        return Identity(
            editor_version=self.editor_version,
            editor_plugin_version=self.editor_plugin_version,
            integration_id=self.integration_id,
            api_version=self.api_version,
        )

    @property
    def reaches_network(self) -> bool:
        """Whether other machines can reach the server."""
        return self.uds is None and not is_loopback(self.host)

    @property
    def config_file(self) -> Path:
        """The configuration file, which may not exist."""
        return folders.config_dir(self.home_dir) / "config.toml"

    @property
    def data_dir(self) -> Path:
        """The folder of the token file."""
        return profiles.folder_of(self.shared_data_dir, self.profile)

    @property
    def shared_data_dir(self) -> Path:
        """The folder with the data of all profiles, such as pi-ai."""
        return folders.data_dir(self.home_dir)

    def place_of(self, name: str) -> str:
        """Return where a setting is set: a variable, or a place such as ``log_file in FILE``."""
        source = self.sources.get(name, "default")
        return source if source.startswith(ENVIRONMENT_PREFIX) else f"{name} in {source}"

    def require_ledger(self) -> None:
        """Raise `UsageError` if the ledger, which a budget needs, is off."""
        if not self.ledger:
            raise UsageError(
                f"A budget needs the ledger, which {self.sources['ledger']} turns off.",
                hint="Set it to true, or remove the budget.",
            )

    @property
    def state_dir(self) -> Path:
        """The folder with the profile's state, such as the models last seen."""
        return profiles.folder_of(folders.state_dir(self.home_dir), self.profile)

    @property
    def ledger_file(self) -> Path:
        """The ledger's file. The simulator has a separate one, since it does not charge real
        money."""
        return self.state_dir / f"ledger{'-simulated' if self.simulated else ''}.sqlite3"
