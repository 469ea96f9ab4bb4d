"""The list of commands. Each is imported when it is first used.

Importing all of them would take longer than running most of them.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final = {
    "login": "Sign in to GitHub and store the token.",
    "logout": "Delete the stored GitHub token.",
    "status": "Show the account, its plan and its remaining quota.",
    "serve": "Start a server with the OpenAI, Anthropic and other APIs.",
    "run": "Start a client, such as Claude Code, that uses this server.",
    "connect": "Configure a client to always use this server.",
    "chat": "Ask a model a question, or start a conversation.",
    "models": "List the account's models and their prices.",
    "usage": "Show the cost of requests and the remaining quota.",
    "budget": "Set or show limits on the cost of requests.",
    "dashboard": "Open the dashboard of a running server in the browser.",
    "doctor": "Find problems and explain how to fix them.",
    "simulate": "Run a simulator of GitHub and Copilot; no account is needed.",
    "service": "Run the server in the background, starting at login.",
    "pi-ai": "Install the library for --upstream pi-ai.",
}
"""Command name -> first line of its help. Each command is a function, or an app with subcommands,
in the module of the same name: ``pi-ai`` is `cli.pi_ai.pi_ai`."""
_OTHER_WORDS: Final[Mapping[str, str]] = {
    "start": "serve",
    "server": "serve",
    "auth": "login",
    "signin": "login",
    "signout": "logout",
    "whoami": "status",
    "quota": "status",
    "list": "models",
    "ask": "chat",
    "cost": "usage",
    "logs": "service logs",
    "install": "service install",
    "uninstall": "service uninstall",
}
"""Other programs' names for commands -> our names."""


def with_option(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``help COMMAND`` and ``version`` replaced by equivalent options."""
    match list(arguments):
        case ["help", *command]:
            words = [word for word in command if not word.startswith("-")]
            return [*words, "--help"]
        case ["version"]:
            return ["--version"]
        case others:
            return others


class CommandGroup(TyperGroup):
    """The commands of ``copilot-proxy``. Listing them does not import them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.rich_markup_mode)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands at the end of the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command. For an unknown one, the error suggests what the user may have meant."""
        known = _known_as(args[0]) if args and args[0] not in COMMANDS else None
        if known is not None:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {known!r}?")
        return super().resolve_command(ctx, args)


def _known_as(word: str) -> str | None:
    """Return the command for a word that other programs use, or for the name of a client."""
    if word in _OTHER_WORDS:
        return _OTHER_WORDS[word]
    from copilot_proxy.clients.registry import find_client

    client = find_client(word)
    if client is None:
        return None
    return f"{'connect' if client.launch is None else 'run'} {client.word}"


class _Commands(MutableMapping[str, Any]):
    """The commands by name; each is imported when it is looked up."""

    def __init__(self, markup_mode: Any) -> None:
        self._markup_mode = markup_mode
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in COMMANDS:
                raise KeyError(name)
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Any:
        word = name.replace("-", "_")
        command = getattr(import_module(f"copilot_proxy.cli.{word}"), word)
        around = typer.Typer(rich_markup_mode=self._markup_mode)
        if isinstance(command, typer.Typer):
            around.add_typer(command)
        else:
            # Without a callback, Typer would make a single command the whole program.
            around.callback()(lambda: None)
            around.command()(command)
        group: Any = typer.main.get_command(around)
        return group.commands[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)
