"""What defines a client: how it is found, how it is pointed at the server, how it names itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from copilot_proxy.clients.models import Api, ClientModel
from copilot_proxy.clients.request_headers import USER_AGENTS
from copilot_proxy.config_edits.changes import Change


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server and its models, as a client that is started or configured will use them."""

    url: str
    """Without ``/v1``. It names the client and the session, so that the ledger knows both."""
    key: str
    model: ClientModel
    """The model to start with."""
    models: Sequence[ClientModel]
    """All chat models, including `model`."""
    families: Mapping[str, ClientModel] = field(default_factory=dict)
    """What each of the client's `families` means, if the account has it."""
    folder: PurePath
    """The folder to which the files of the `Launch` will be written."""
    answer: str = ""
    """What the client has printed for its `question`."""

    @property
    def ordered_models(self) -> list[ClientModel]:
        """All chat models, beginning with `model`."""
        return [self.model, *(model for model in self.models if model is not self.model)]


@dataclass(frozen=True)
class Launch:
    """How to start a client so that it uses the server."""

    arguments: Sequence[str] = ()
    """Before the user's own. They are visible to other users of the machine, so no key is here."""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Names and contents of files in the connection's folder."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Variables that are only set if the user has not set them."""


@dataclass(frozen=True)
class Machine:
    """Where a client looks for its configuration."""

    home: PurePath
    environ: Mapping[str, str] = field(default_factory=dict)
    platform: str = "linux"
    """As in ``sys.platform``."""
    exists: Callable[[PurePath], bool] = lambda path: False
    """Returns whether there is a file or folder."""

    def folder(self, variable: str, default: str) -> PurePath:
        """Return the folder that `variable` names, or else `default` in the home folder."""
        return self.home / (self.environ.get(variable) or default)

    @property
    def config(self) -> PurePath:
        """The folder for configurations by the XDG convention."""
        return self.folder("XDG_CONFIG_HOME", ".config")

    @property
    def application_data(self) -> PurePath:
        """The folder in which graphical programs keep their settings."""
        if self.platform == "darwin":
            return self.home / "Library" / "Application Support"
        if self.platform == "win32":
            return self.folder("APPDATA", "AppData/Roaming")
        return self.config


@dataclass(frozen=True)
class Setup:
    """How a client is configured so that it always uses the server."""

    changes: Sequence[Change] = ()
    """What to change in its files; nothing if the user has to do it."""
    text: str = ""
    """What the user has to do or to copy, if there are no changes."""
    start: str = ""
    """How it is then started."""
    notes: Sequence[str] = ()
    """What else the user should know, each a sentence."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client."""

    name: str
    """Its name in the ledger."""
    title: str
    programs: tuple[str, ...]
    """The names of its program. If `launch` starts it, the first name is also its name on the
    command line."""
    setup: Callable[[Connection, Machine], Setup]
    """How it is configured permanently."""
    apis: tuple[Api, ...]
    """The APIs that it can use, in the order of preference."""
    launch: Callable[[Connection], Launch] | None = None
    """How it is started for one session, without touching its files; None if that is impossible."""
    install: str = ""
    """The command that installs it, or the address of a page about it."""
    version: str = ""
    """The version that it was tried with; empty if only its documentation was read."""
    paths: tuple[str, ...] = ()
    """Where else its program, or its app, may be; relative to the home folder."""
    lists_models: bool = False
    """Whether it asks for the list of models before it sends anything."""
    overrides: tuple[str, ...] = ()
    """Variables that would make it use something else, so it is started without them."""
    question: tuple[str, ...] = ()
    """The arguments with which it prints what `launch` needs to know about this version."""
    families: tuple[str, ...] = ()
    """Families of models that `launch` has a use for."""
    family: str = "default"
    """The family to start with, if neither the command nor the settings name a model."""
    obstacle: str = ""
    """Why it cannot use this server at all; empty if it can."""
    keeps_folder: bool = False
    """Whether it stores other data next to the files, so that the folder has to stay."""

    @property
    def user_agent(self) -> str:
        """What its header ``user-agent`` begins with; empty if that does not name the client."""
        return USER_AGENTS.get(self.name, "")

    @property
    def word(self) -> str:
        """Its name on the command line."""
        return self.name if self.launch is None else self.programs[0]
