"""Completes clients, models and subcommands in a shell, using only local data."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import typer

from copilot_proxy.private_files import NEW, READ, make_folder, open_private

_FILE: Final = "models-for-completion.json"
_MAX_BYTES: Final = 1024 * 1024


def complete_runnable(incomplete: str) -> list[tuple[str, str]]:
    """Return the clients that ``run`` can start, with their titles."""
    from copilot_proxy.clients.registry import RUNNABLE

    names = [*((one.word, one.title) for one in RUNNABLE), ("env", "any other program")]
    return [(word, title) for word, title in names if word.startswith(incomplete)]


def complete_client(incomplete: str) -> list[tuple[str, str]]:
    """Return all clients, with their titles."""
    from copilot_proxy.clients.registry import CLIENTS

    return [(one.word, one.title) for one in CLIENTS if one.word.startswith(incomplete)]


def complete_model(incomplete: str) -> list[str]:
    """Return model families, aliases, and the models in the most recent list."""
    return [name for name in dict.fromkeys(_names()) if name.startswith(incomplete)]


def word_completer(
    words: Mapping[str, str | None],
) -> Callable[[typer.Context, str], list[str]]:
    """Return a completer for a command's ``words``.

    `words` maps each first word to the word that may follow it, or to None.
    """

    def complete(context: typer.Context, incomplete: str) -> list[str]:
        match list(context.params.get("words") or ()):
            case []:
                names = list(words)
            case [word]:
                names = [value] if (value := words.get(word)) else []
            case _:
                names = []
        return [name for name in names if name.startswith(incomplete)]

    return complete


def remember_models(state_dir: Path, ids: Iterable[str]) -> None:
    """Remember the account's models for later completions, if possible."""
    content = json.dumps(sorted(set(ids)))
    path = state_dir / _FILE
    with suppress(OSError):
        if _read(path) == content:
            return
        make_folder(state_dir)
        new = path.with_suffix(f".{os.getpid()}.tmp")
        new.unlink(missing_ok=True)
        with open(open_private(new, NEW), "w", encoding="utf-8") as file:
            file.write(content)
        new.replace(path)


def _names() -> Iterator[str]:
    from copilot_proxy.errors import CopilotProxyError
    from copilot_proxy.model_names import FAMILY_NAMES
    from copilot_proxy.settings import load_settings

    yield from FAMILY_NAMES
    # Completion must not print errors in the middle of the user's command line.
    with suppress(CopilotProxyError, OSError, ValueError):
        settings = load_settings()
        yield from settings.aliases
        yield from (str(name) for name in json.loads(_read(settings.state_dir / _FILE)))


def _read(path: Path) -> str:
    try:
        with open(open_private(path, READ), encoding="utf-8") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return ""
