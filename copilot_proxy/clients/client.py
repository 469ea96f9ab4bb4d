"""The definition of a client: how to find it, point it at the server, and recognize it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from copilot_proxy.clients.models import Api, ClientModel
from copilot_proxy.clients.request_headers import USER_AGENTS
from copilot_proxy.config_edits.changes import Change


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server and its models, as seen by a client that is started or configured."""

    url: str
    """The server's URL without ``/v1``. It includes the names of the client and the session, for
    the ledger."""
    key: str
    model: ClientModel
    """The model to start with."""
    models: Sequence[ClientModel]
    """All chat models, including `model`."""
    families: Mapping[str, ClientModel] = field(default_factory=dict)
    """The model for each of the client's `families`, if the account has one."""
    folder: PurePath
    """The folder for the `Launch.files`."""
    answer: str = ""
    """What the client printed when started with its `question`."""
    arguments: Sequence[str] = ()
    """The user's own arguments for the client."""

    @property
    def ordered_models(self) -> list[ClientModel]:
        """All chat models, beginning with `model`."""
        return [self.model, *(model for model in self.models if model is not self.model)]


@dataclass(frozen=True)
class Launch:
    """How to start a client so that it uses the server."""

    arguments: Sequence[str] = ()
    """Arguments to put before the user's. They must not contain a key, since other users of the
    machine can see them."""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Name -> content of each file to create in `Connection.folder`."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Variables to set only if the user has not set them."""


@dataclass(frozen=True)
class Machine:
    """The machine on which a client looks for its configuration."""

    home: PurePath
    environ: Mapping[str, str] = field(default_factory=dict)
    platform: str = "linux"
    """The platform, as in ``sys.platform``."""
    exists: Callable[[PurePath], bool] = lambda path: False
    """Returns whether a file or folder exists."""

    def folder(self, variable: str, default: str) -> PurePath:
        """Return the folder that `variable` names, or `default` in the home folder."""
        return self.home / (self.environ.get(variable) or default)

    @property
    def config(self) -> PurePath:
        """The configuration folder, according to the XDG Base Directory Specification."""
        return self.folder("XDG_CONFIG_HOME", ".config")

    @property
    def application_data(self) -> PurePath:
        """The folder where graphical programs keep their settings."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.folder("APPDATA", "AppData/Roaming")
        return self.config


@dataclass(frozen=True)
class Setup:
    """How to configure a client so that it always uses the server."""

    changes: Sequence[Change] = ()
    """The changes to the client's files; empty if the user must configure the client by hand."""
    text: str = ""
    """What the user must do or copy, if there are no changes."""
    start: str = ""
    """How to start the client once it is configured."""
    notes: Sequence[str] = ()
    """Other things the user should know, one sentence each."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that can use the server, and how to make it do so."""

    name: str
    """The client's name in the ledger."""
    title: str
    programs: tuple[str, ...]
    """The names of the client's programs. With a `launch`, the first one is the client's `word`."""
    setup: Callable[[Connection, Machine], Setup]
    """Returns how to configure the client permanently."""
    apis: tuple[Api, ...]
    """The APIs that the client can use, in order of preference."""
    launch: Callable[[Connection], Launch] | None = None
    """Returns how to start the client without changing its files. None if that is impossible."""
    install: str = ""
    """The command that installs the client, or the URL of installation instructions."""
    version: str = ""
    """The version of the client that was tested; empty if only its documentation was consulted."""
    paths: tuple[str, ...] = ()
    """Other possible locations of the client's program or app, relative to the home folder."""
    lists_models: bool = False
    """Whether the client requests the model list before anything else."""
    overrides: tuple[str, ...] = ()
    """Variables that would override what `launch` sets; `run` removes them."""
    question: tuple[str, ...] = ()
    """Arguments that make the client print what `launch` needs to know about the installed
    version."""
    families: tuple[str, ...] = ()
    """Model families that `launch` needs."""
    family: str = "default"
    """The family to start with if neither the command nor the settings name a model."""
    resume: str = ""
    """Arguments that continue the client's last conversation, if the client has such arguments. The
    command that the client itself suggests would not use this server."""
    obstacle: str = ""
    """Why the client cannot use this server, or "" if it can."""
    keeps_folder: bool = False
    """Whether `Connection.folder` must be kept, because the client also stores data of its own
    there."""

    @property
    def install_hint(self) -> str:
        """The sentence that says how to install the client."""
        if not self.install:
            return "Install it."
        return f"Install it {'with' if ' ' in self.install else 'from'}: {self.install}"

    @property
    def upgrade_hint(self) -> str:
        """The sentence that says how to upgrade the client."""
        if " " not in self.install:
            return f"Upgrade it from: {self.install}" if self.install else "Upgrade it."
        # Installing again upgrades with npm, but not with pipx or uv.
        command = self.install.replace("pipx install", "pipx upgrade")
        return f"Upgrade it with: {command.replace('uv tool install', 'uv tool upgrade')}"

    @property
    def user_agent(self) -> str:
        """The start of the client's ``user-agent`` header, or "" if that does not identify the
        client."""
        return USER_AGENTS.get(self.name, "")

    @property
    def word(self) -> str:
        """The client's name on the command line."""
        return self.name if self.launch is None else self.programs[0]
