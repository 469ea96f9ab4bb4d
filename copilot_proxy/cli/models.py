"""The ``models`` command: what the account can use, and what it costs."""

import json
import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from copilot_proxy.cli.console import result, talk
from copilot_proxy.cli.upstream_option import UpstreamOption
from copilot_proxy.composition import make_backend, settings_for
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.terminal import can_style

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings


def models(
    filter: Annotated[
        str | None,
        typer.Argument(
            help="Show only models with this text in id, name or vendor.", metavar="FILTER"
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Also models that Copilot's own menu leaves out, and embeddings."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for other programs, as /v1/models has it.")
    ] = False,
    upstream: UpstreamOption = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show the simulator's; no account is needed.")
    ] = False,
) -> None:
    """Show the models of the account, with prices."""
    flags = {"upstream": upstream.value if upstream else None}
    with settings_for(flags, simulate=simulate) as (settings, _):
        catalogue = _read(settings)
    if as_json:
        _print_json(catalogue, filter)
    else:
        _print_table(catalogue, filter, settings, every=every)


def _read(settings: "Settings") -> "Catalogue":
    import asyncio

    async def read() -> "Catalogue":
        connection = make_backend(settings, report=lambda _: None)
        try:
            return await connection.relay.names.models()
        finally:
            await connection.aclose()

    return asyncio.run(read())


def _print_json(catalogue: "Catalogue", words: str | None) -> None:
    from copilot_proxy.cli.model_table import matching
    from copilot_proxy.formats.models import model_object

    found = matching(catalogue.usable, words or "")
    result(json.dumps([model_object(model) for model in found], indent=2))


def _print_table(
    catalogue: "Catalogue", words: str | None, settings: "Settings", *, every: bool
) -> None:
    from copilot_proxy.cli.model_table import draw, matching

    found = matching(catalogue.usable, words or "")
    shown = found if every else [model for model in found if model.is_chat and model.is_picked]
    # Whoever asks for a model by name wants to see it, also if the menu leaves it out.
    shown = shown or (found if words else [])
    if not shown:
        what = f"No model matches {words!r}." if words else "There is no model for chat."
        raise CopilotProxyError(what, hint="See: copilot-proxy models --all")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in draw(shown, width=width, bold=can_style(sys.stdout)):
        result(line)
    _explain(shown, catalogue, settings, hidden=len(found) - len(shown))


def _explain(
    shown: "list[Model]", catalogue: "Catalogue", settings: "Settings", *, hidden: int
) -> None:
    from copilot_proxy.catalogue import ENABLE_URL
    from copilot_proxy.cli.default_model import default_model, not_the_wanted
    from copilot_proxy.cli.prices import price_text

    talk()
    if other := not_the_wanted(catalogue, settings):
        talk(other)
    elif (default := default_model(catalogue, settings)) is not None:
        talk(f"Used unless you name another one: {default.id}")
    if any("$" in price_text(model) for model in shown):
        talk("Prices are for a million tokens in and out.")
    if any(price_text(model).endswith("x") for model in shown):
        talk("1x is one premium request for each thing you say.")
    if waiting := [model.id for model in shown if model.needs_enabling]:
        talk(f"To enable {', '.join(waiting)}: {ENABLE_URL}")
    usable = sum(model.is_chat and not model.needs_enabling for model in shown)
    more = f"; {hidden} more models with --all" if hidden else ""
    talk(f"Ready for chat: {usable} of {len(shown)}{more}.")
