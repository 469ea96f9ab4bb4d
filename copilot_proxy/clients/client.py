"""What defines a client: how it is found, how it is pointed at the server, how it names itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from copilot_proxy.clients.models import Api, ClientModel


@dataclass(frozen=True, kw_only=True)
class Connection:
    """The server and its models, as one start of a client will use them."""

    url: str
    """Without ``/v1``. It names the client and the session, so that the ledger knows both."""
    key: str
    model: ClientModel
    """The one to start with."""
    models: Sequence[ClientModel]
    """All chat models, including `model`."""
    families: Mapping[str, ClientModel] = field(default_factory=dict)
    """What those of the client's `families` mean that the account has."""
    folder: PurePath
    """The folder to which the files of the `Launch` will be written."""
    answer: str = ""
    """What the client has printed for its `question`."""


@dataclass(frozen=True)
class Launch:
    """How to start a client so that it uses the server."""

    arguments: Sequence[str] = ()
    """Before the user's own. They are visible to other users of the machine, so no key is here."""
    environ: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Names and contents of files in the connection's folder."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client."""

    name: str
    """Its name in the ledger."""
    title: str
    programs: tuple[str, ...]
    """The names of its program; the first one is also its name on the command line."""
    install: str
    """The command that installs it."""
    version: str
    """The version that it was tried with."""
    apis: tuple[Api, ...]
    """The APIs that it can use, in the order of preference."""
    launch: Callable[[Connection], Launch]
    user_agent: str
    """What its header ``user-agent`` begins with."""
    paths: tuple[str, ...] = ()
    """Where else its program may be, relative to the home folder."""
    overrides: tuple[str, ...] = ()
    """Variables that would make it use something else, so it is started without them."""
    question: tuple[str, ...] = ()
    """The arguments with which it prints what `launch` has to know of this version."""
    families: tuple[str, ...] = ()
    """Families of models that `launch` has a use for."""
    family: str = "default"
    """The family to start with, if neither the command nor the settings name a model."""
    keeps_folder: bool = False
    """Whether it stores something of its own beside the files, so that the folder has to stay."""

    @property
    def word(self) -> str:
        """Its name on the command line."""
        return self.programs[0]
