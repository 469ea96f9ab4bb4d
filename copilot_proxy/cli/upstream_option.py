"""The ``--upstream`` option of the commands that send requests to Copilot."""

from enum import StrEnum
from typing import Annotated

import typer


class UpstreamName(StrEnum):
    """The ways to call Copilot."""

    copilot = "copilot"
    pi_ai = "pi-ai"


UpstreamOption = Annotated[
    UpstreamName | None,
    typer.Option(
        "--upstream", help="How to reach Copilot: directly, or through the pi-ai library."
    ),
]
