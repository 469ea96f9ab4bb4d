"""Options shared by several commands."""

from enum import StrEnum
from typing import Annotated

import typer


class UpstreamName(StrEnum):
    """The possible ways to call Copilot."""

    copilot = "copilot"
    pi_ai = "pi-ai"


UpstreamOption = Annotated[
    UpstreamName | None,
    typer.Option(
        "--upstream", help="How to reach Copilot: directly, or through the pi-ai library."
    ),
]
SimulateOption = Annotated[
    bool, typer.Option("--simulate", help="Use a simulator; no account is needed.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
