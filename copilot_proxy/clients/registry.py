"""The list of all clients, and lookup by name."""

import re
from difflib import get_close_matches
from typing import Final

from copilot_proxy.clients import environment
from copilot_proxy.clients.aider import AIDER
from copilot_proxy.clients.claude_code import CLAUDE_CODE
from copilot_proxy.clients.claude_desktop import CLAUDE_DESKTOP
from copilot_proxy.clients.client import Client
from copilot_proxy.clients.cline import CLINE
from copilot_proxy.clients.codex import CODEX
from copilot_proxy.clients.continue_cli import CONTINUE
from copilot_proxy.clients.copilot_cli import COPILOT_CLI
from copilot_proxy.clients.crush import CRUSH
from copilot_proxy.clients.droid import DROID
from copilot_proxy.clients.editors import (
    AVANTE,
    CODECOMPANION,
    CURSOR,
    GPTEL,
    JETBRAINS,
    OBSIDIAN,
    XCODE,
)
from copilot_proxy.clients.gemini_cli import GEMINI_CLI
from copilot_proxy.clients.goose import GOOSE
from copilot_proxy.clients.gptme import GPTME
from copilot_proxy.clients.llm import LLM
from copilot_proxy.clients.opencode import KILO, OPENCODE
from copilot_proxy.clients.openhands import OPENHANDS
from copilot_proxy.clients.pi import PI
from copilot_proxy.clients.qwen_code import QWEN_CODE
from copilot_proxy.clients.raycast import RAYCAST
from copilot_proxy.clients.vs_code import VS_CODE
from copilot_proxy.clients.web_apps import LIBRECHAT, N8N, OPEN_WEBUI
from copilot_proxy.clients.zed import ZED

_UNUSUAL: Final = re.compile(r"[^A-Za-z0-9._-]")
"""Characters that are possible in a program's name, but undesirable in a URL."""
_MAX_LENGTH: Final = 64
"""Maximum length of a client's name in the ledger."""
_SIMILAR: Final = 0.7
"""Minimum similarity, from 0 to 1, at which a name is suggested."""
CLIENTS: Final = (
    CLAUDE_CODE,
    CODEX,
    OPENCODE,
    KILO,
    COPILOT_CLI,
    PI,
    QWEN_CODE,
    CONTINUE,
    CLINE,
    DROID,
    GEMINI_CLI,
    AIDER,
    OPENHANDS,
    GOOSE,
    LLM,
    GPTME,
    CRUSH,
    CLAUDE_DESKTOP,
    VS_CODE,
    ZED,
    JETBRAINS,
    XCODE,
    CURSOR,
    AVANTE,
    CODECOMPANION,
    GPTEL,
    OPEN_WEBUI,
    LIBRECHAT,
    N8N,
    RAYCAST,
    OBSIDIAN,
    environment.SDKS,
)
RUNNABLE: Final = tuple(client for client in CLIENTS if client.launch is not None)
"""The clients that ``run`` can start."""


def find_client(name: str) -> Client | None:
    """Return the client with this name, title or program, ignoring case. Returns None if it is
    unknown."""
    wanted = name.lower()
    for client in CLIENTS:
        if wanted in (client.name, client.title.lower(), *client.programs):
            return client
    return None


def similar_clients(name: str) -> list[str]:
    """Return the command-line names of clients whose names resemble `name`."""
    names = {word: one.word for one in CLIENTS for word in (one.name, one.title.lower(), one.word)}
    return list(
        {names[near]: None for near in get_close_matches(name.lower(), names, cutoff=_SIMILAR)}
    )


def any_program(program: str) -> Client:
    """Return a definition for any other program. It works only if the program reads the SDKs'
    environment variables."""
    return Client(
        name=_UNUSUAL.sub("-", program)[:_MAX_LENGTH],
        title=program,
        programs=(program,),
        apis=("chat", "responses", "messages"),
        launch=environment.launch,
        setup=environment.SDKS.setup,
        overrides=environment.OVERRIDES,
    )
