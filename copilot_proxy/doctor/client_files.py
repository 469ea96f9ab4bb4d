"""Reads what the configuration files of clients say about servers and models.

The files have many forms, and are the user's own, so nothing is parsed: keys whose names end like
those of URLs and models are found in any of them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from copilot_proxy.clients.client import Client

_URL_KEY: Final = re.compile(
    r"""["']?(?P<key>[\w-]*(?:base_?url|api_?base|endpoint))["']?\s*[:=]\s*["']?"""
    r"""(?P<url>https?://[^\s"',]+)""",
    re.IGNORECASE,
)
"""A key with the URL of an API, in JSON, TOML, YAML or a list of variables."""
_MODEL_KEY: Final = re.compile(
    r"""["']?(?P<key>[\w-]*model)["']?\s*[:=]\s*["'](?P<name>[^"'\s]+)["']""", re.IGNORECASE
)
_MAX_CHARACTERS: Final = 1024 * 1024
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "claude-code": (".claude/settings.json",),
    "codex": (".codex/config.toml", ".codex/copilot-proxy.config.toml"),
    "opencode": (".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"),
    "kilo": (".config/kilo/kilo.jsonc", ".config/kilo/kilo.json"),
    "pi": (".pi/agent/models.json",),
    "qwen-code": (".qwen/settings.json",),
    "continue": (".continue/config.yaml",),
    "aider": (".aider.conf.yml",),
    "gptme": (".config/gptme/config.toml",),
}
"""The files of each client, relative to the home folder."""


class ClientFile(NamedTuple):
    """A configuration file of a client, as far as it is understood."""

    path: Path
    urls: tuple[tuple[str, str], ...]
    """The URLs of APIs, each with its key."""
    models: tuple[str, ...]
    """The names of models, without that of a provider before a slash."""


def client_files(client: Client) -> Iterator[ClientFile]:
    """Yield the configuration files of the client that can be read."""
    for name in _FILES.get(client.name, ()):
        path = Path.home() / name
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                text = file.read(_MAX_CHARACTERS)
        except OSError:
            continue
        yield ClientFile(
            path,
            tuple((found["key"], found["url"]) for found in _URL_KEY.finditer(text)),
            tuple(
                dict.fromkeys(
                    found["name"].rpartition("/")[2] for found in _MODEL_KEY.finditer(text)
                )
            ),
        )
