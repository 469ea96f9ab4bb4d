"""The ``--upstream`` flag of the commands that ask Copilot."""

from enum import StrEnum
from typing import Annotated

import typer


class UpstreamName(StrEnum):
    """Who asks Copilot."""

    copilot = "copilot"
    pi_ai = "pi-ai"


UpstreamOption = Annotated[
    UpstreamName | None,
    typer.Option("--upstream", help="Who asks Copilot: this program, or the library pi-ai."),
]
