"""Gemini CLI, which needs variables, and a settings file that selects the type of sign-in.

No variable can select the type of sign-in. A variable can name a settings file, but Gemini CLI
skips that file if others can write to a parent folder, such as ``/tmp``. Gemini CLI is therefore
given a separate home folder, where it also keeps its sessions. Source:
https://geminicli.com/docs/reference/configuration
"""

import json
from typing import Any, Final

from copilot_proxy.clients.client import Client, Connection, Launch, Machine, Setup
from copilot_proxy.config_edits.changes import JsonValues, WholeFile

_FILE: Final = "settings.json"
_KIND: Final = "gemini-api-key"
_SMALL: Final = "gpt-mini"
"""The model family for Gemini CLI's small jobs."""
_SMALL_JOBS: Final = (
    "classifier",
    "prompt-completion",
    "fast-ack-helper",
    "next-speaker-checker",
    "summarizer-default",
    "summarizer-shell",
)
_OTHER_JOBS: Final = (
    "agent-history-provider-summarizer",
    "chat-compression-default",
    "context-snapshotter",
    "edit-corrector",
    "llm-edit-fixer",
    "loop-detection",
    "loop-detection-double-check",
    "web-fetch",
    "web-fetch-fallback",
)
"""Gemini CLI's jobs other than the conversation. Version 0.61 maps these names to Google's
models."""


def _launch(to: Connection) -> Launch:
    settings = {
        "security": {"auth": {"selectedType": _KIND}},
        "privacy": {"usageStatisticsEnabled": False},
        "modelConfigs": {"customOverrides": _models_of_jobs(to)},
    }
    environ = {
        **_variables(to),
        "GEMINI_MODEL": to.model.id,
        "GEMINI_CLI_HOME": str(to.folder),
    }
    return Launch(environ=environ, files={f".gemini/{_FILE}": json.dumps(settings, indent=2)})


def _models_of_jobs(to: Connection) -> list[dict[str, Any]]:
    """Return the model for each job. Gemini CLI itself might choose models that the account does
    not have."""
    small = to.families.get(_SMALL, to.model)
    models = dict.fromkeys(_SMALL_JOBS, small) | dict.fromkeys(_OTHER_JOBS, to.model)
    return [
        {"match": {"model": job}, "modelConfig": {"model": model.id}}
        for job, model in models.items()
    ]


def _setup(to: Connection, machine: Machine) -> Setup:
    folder = machine.folder("GEMINI_CLI_HOME", "") / ".gemini"
    lines = [f"{name}={value}\n" for name, value in _variables(to).items()]
    values = [
        (("security", "auth", "selectedType"), _KIND),
        (("model", "name"), to.model.id),
        (("modelConfigs", "customOverrides"), _models_of_jobs(to)),
    ]
    return Setup(
        [
            JsonValues(folder / _FILE, values),
            WholeFile(folder / ".env", "".join(lines), only_new=True),
        ],
        start="gemini",
        notes=(
            "In a project with its own .env file, Gemini CLI reads that file instead: copy the two "
            "variables into it.",
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
    resume="--resume latest",
    launch=_launch,
    setup=_setup,
    overrides=("GOOGLE_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA"),
    families=(_SMALL,),
    keeps_folder=True,
)
