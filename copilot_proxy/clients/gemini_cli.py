"""Gemini CLI: variables, and a settings file that chooses the kind of sign-in.

A variable cannot choose it. Gemini CLI skips a settings file that a variable names if any folder
above it, such as ``/tmp``, is writable for others. So it gets a home of its own, where it also
keeps its sessions. Source: https://geminicli.com/docs/reference/configuration
"""

import json
from typing import Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.edits.changes import JsonValues, WholeFile

_FILE: Final = "settings.json"
_KIND: Final = "gemini-api-key"


def _launch(to: Connection) -> Launch:
    settings = {"security": {"auth": {"selectedType": _KIND}}}
    environ = {
        **_variables(to),
        "GEMINI_MODEL": to.model.id,
        "GEMINI_CLI_HOME": str(to.folder),
    }
    return Launch(environ=environ, files={f".gemini/{_FILE}": json.dumps(settings, indent=2)})


def _setup(to: Connection, machine: Machine) -> Setup:
    folder = machine.folder("GEMINI_CLI_HOME", "") / ".gemini"
    lines = [f"{name}={value}\n" for name, value in _variables(to).items()]
    values = [
        (("security", "auth", "selectedType"), _KIND),
        (("model", "name"), to.model.id),
    ]
    return Setup(
        [
            JsonValues(folder / _FILE, values),
            WholeFile(folder / ".env", "".join(lines), only_new=True),
        ],
        start="gemini",
        notes=(
            "In a project with a file .env of its own, Gemini CLI reads that one instead: copy "
            "the two variables there.",
        ),
    )


def _variables(to: Connection) -> dict[str, str]:
    return {"GEMINI_API_KEY": to.key, "GOOGLE_GEMINI_BASE_URL": to.url}


GEMINI_CLI: Final = Client(
    name="gemini-cli",
    title="Gemini CLI",
    programs=("gemini",),
    install="npm install -g @google/gemini-cli",
    version="0.61.0",
    apis=("gemini",),
    launch=_launch,
    setup=_setup,
    overrides=("GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"),
    keeps_folder=True,
)
