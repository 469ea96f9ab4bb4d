"""The ``models`` command: lists the account's models and their prices."""

import json
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from copilot_proxy.cli.completion import remember_models
from copilot_proxy.cli.console import counted, print_drawn, print_message, print_result
from copilot_proxy.cli.shared_options import SimulateOption, UpstreamOption
from copilot_proxy.cli.simulated_settings import settings_for
from copilot_proxy.composition import make_connection
from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.terminal import can_style

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Catalogue, Model
    from copilot_proxy.settings import Settings


def models(
    filter: Annotated[
        str | None,
        typer.Argument(
            help="Show only models with this text in their id, name or vendor.", metavar="[FILTER]"
        ),
    ] = None,
    include_all: Annotated[
        bool,
        typer.Option(
            "--all", help="Include models that Copilot's model picker omits, and embedding models."
        ),
    ] = False,
    changed: Annotated[
        bool,
        typer.Option(
            "--changed",
            help="Show what changed since last time: new, removed and retiring models, and prices.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all models as JSON, in the format of /v1/models.")
    ] = False,
    upstream: UpstreamOption = None,
    simulate: SimulateOption = False,
) -> None:
    """List the account's models and their prices."""
    if changed and (filter or include_all):
        raise UsageError("--changed cannot be combined with a filter or --all.")
    flags = {"upstream": upstream.value if upstream else None}
    with settings_for(flags, simulate=simulate) as (settings, simulator):
        catalogue = _read(settings)
        host = "simulator" if simulator else str(urlsplit(settings.github_url).hostname)
        if changed:
            _print_changes(catalogue, settings.state_dir, host, as_json=as_json)
            return
        _remember_first(catalogue, settings.state_dir, host)
        if not settings.simulated:
            from copilot_proxy.cli import model_list_file

            remember_models(settings.state_dir, (model.id for model in catalogue.usable))
            model_list_file.save(settings.state_dir, host, catalogue)
        if as_json:
            _print_json(catalogue, filter, settings)
        else:
            _print_table(catalogue, filter, settings, include_all=include_all)


def _read(settings: "Settings") -> "Catalogue":
    import asyncio

    async def read() -> "Catalogue":
        connection = make_connection(settings)
        try:
            return await connection.upstream.catalogue()
        finally:
            await connection.aclose()

    return asyncio.run(read())


def _remember_first(catalogue: "Catalogue", folder: Path, host: str) -> None:
    """Remember the list for ``--changed``, unless a list is already remembered."""
    from copilot_proxy.cli import model_changes

    with suppress(CopilotProxyError):
        if model_changes.load(folder, host) is None:
            model_changes.save(folder, host, model_changes.seen_list(catalogue))


def _print_changes(catalogue: "Catalogue", folder: Path, host: str, *, as_json: bool) -> None:
    from copilot_proxy.cli import model_changes

    now = model_changes.seen_list(catalogue)
    before = model_changes.load(folder, host)
    changes = model_changes.compare(before or now, now)
    if as_json:
        found = model_changes.as_json(changes, before or now, catalogue)
        print_result(json.dumps(found, indent=2))
    elif before is not None:
        for line in model_changes.lines(changes, before, catalogue):
            print_result(line)
        what = "Compared with the list from" if changes else "Nothing has changed since"
        print_message(f"{what} {before.at.astimezone():%Y-%m-%d %H:%M}.")
    model_changes.save(folder, host, now)
    if before is None and not as_json:
        count = len(now.models)
        print_message(f"The list of {counted(count, 'model')} was saved for the next comparison.")


def _print_json(catalogue: "Catalogue", words: str | None, settings: "Settings") -> None:
    from copilot_proxy.cli.default_model import default_model
    from copilot_proxy.cli.model_table import matching
    from copilot_proxy.formats.models import model_object

    found = matching(catalogue.usable, words or "")
    default = default_model(catalogue, settings)
    print_result(json.dumps([model_object(model, default=default) for model in found], indent=2))


def _print_table(
    catalogue: "Catalogue", words: str | None, settings: "Settings", *, include_all: bool
) -> None:
    from copilot_proxy.cli.default_model import default_model
    from copilot_proxy.cli.model_table import draw, hidden_columns, matching

    found = matching(catalogue.usable, words or "")
    shown = (
        found
        if include_all
        else [model for model in found if model.is_chat and catalogue.is_picked(model)]
    )
    # If the filter matches no model in GitHub's model picker, show its other matches.
    shown = shown or (found if words else [])
    if not shown:
        what = f"No model matches {words!r}." if words else "The account has no chat models."
        raise CopilotProxyError(what, hint="See: copilot-proxy models --all")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    default = default_model(catalogue, settings)
    lines = draw(shown, width=width, bold=can_style(sys.stdout), default=default)
    for line in lines:
        print_drawn(line)
    _explain(shown, catalogue, settings, hidden=len(found) - len(shown))
    if titles := hidden_columns(lines):
        print_message(f"To see {', '.join(titles)}, use a wider terminal or a pipe.")


def _explain(
    shown: "list[Model]", catalogue: "Catalogue", settings: "Settings", *, hidden: int
) -> None:
    from copilot_proxy.catalogue import ENABLE_URL
    from copilot_proxy.cli.default_model import default_model, default_model_warning
    from copilot_proxy.cli.prices import price_text
    from copilot_proxy.cli.retirements import retirement_text

    print_message()
    if warning := default_model_warning(catalogue, settings):
        print_message(warning)
    elif (default := default_model(catalogue, settings)) is not None:
        print_message(f"Default model: {default.id}")
    if settings.aliases:
        names = (f"{name} ({alias.model})" for name, alias in settings.aliases.items())
        print_message(f"Your aliases: {', '.join(names)}")
    if any("$" in price_text(model) for model in shown):
        print_message("Prices are per million input and output tokens.")
    if any(price_text(model).endswith("x") for model in shown):
        print_message("1x means one premium request for each of your prompts.")
    for model in shown:
        text = retirement_text(catalogue, model)
        if text is not None and text != warning:
            print_message(text)
    if waiting := [model.id for model in shown if model.needs_enabling]:
        print_message(f"To enable {', '.join(waiting)}: {ENABLE_URL}")
    chat = [model for model in shown if model.is_chat]
    if unlisted := [model.id for model in chat if not catalogue.is_picked(model)]:
        print_message(f"Not in Copilot's model picker, but usable by name: {', '.join(unlisted)}")
    usable = sum(not model.needs_enabling for model in chat)
    others = len(shown) - len(chat)
    parts = [f"Ready for chat: {usable} of {len(chat)}"] if chat else []
    parts += [counted(others, "embedding model")] if others else []
    parts += [f"{counted(hidden, 'more model')} with --all"] if hidden else []
    print_message(f"{'; '.join(parts)}.")
