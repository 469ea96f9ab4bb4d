"""The ``budget`` command: shows and changes the limits on the cost of requests."""

import json
import shlex
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.completion import word_completer
from copilot_proxy.cli.console import print_message, print_result, wrapped
from copilot_proxy.cli.shared_options import JsonOption
from copilot_proxy.cost.limits import SCOPES, Limit, parse_amount, parse_limit
from copilot_proxy.errors import UsageError, hints_for_simulator
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.budget.report import LimitState

_ARGUMENTS: Final = {"set": "AMOUNT/PERIOD", "raise": "AMOUNT or AMOUNT/PERIOD", "off": None}
"""The command's subcommands and their arguments."""


def budget(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Amounts are in AI credits; periods are day, session and month. For example: set "
            "500/day, raise 100, raise 100/day.",
            metavar="[set|raise|off [AMOUNT/PERIOD]]",
            autocompletion=word_completer(dict.fromkeys(_ARGUMENTS)),
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Only for the API key with this name.", metavar="NAME")
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="Only for this client.", metavar="NAME")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Only for this project.", metavar="NAME")
    ] = None,
    as_json: JsonOption = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Use the simulator's limits and costs.")
    ] = False,
) -> None:
    """Set or show limits on the cost of requests."""
    from copilot_proxy.budget.limits_file import path_for

    word, argument = _parsed(words or [])
    if client:
        from copilot_proxy.cli.client_choice import ledger_name

        client = ledger_name(client)
    kind, name = _scope(key, client, project)
    settings = replace(load_settings(), simulated=simulate)
    path = path_for(settings.ledger_file)
    if word in ("set", "raise"):
        settings.require_ledger()
    with hints_for_simulator(simulate):
        match word:
            case "set":
                _set(path, _limit(argument)._replace(kind=kind, name=name))
            case "raise":
                _raise(path, settings, argument, kind, name)
            case "off":
                _off(path, settings, kind, name)
    shown = (kind, name) if word is None and kind else None
    _show(path, settings, shown, as_json=as_json)
    if settings.config_file.exists():
        _warn_of_old_config(settings, simulate=simulate)


def _parsed(words: list[str]) -> tuple[str | None, str]:
    if not words:
        return None, ""
    word, rest = words[0], words[1:]
    if word not in _ARGUMENTS:
        raise UsageError(f"Unknown argument: {word}.", hint="Use set, raise or off.")
    wanted = _ARGUMENTS[word]
    if len(rest) != (wanted is not None):
        raise UsageError(
            f"`budget {word}` needs {wanted}." if wanted else f"`budget {word}` takes no argument.",
            hint="Examples: copilot-proxy budget set 500/day, copilot-proxy budget raise 100",
        )
    return word, rest[0] if rest else ""


def _scope(key: str | None, client: str | None, project: str | None) -> tuple[str, str]:
    given = [
        (kind, name)
        for kind, name in zip(SCOPES, (key, client, project), strict=True)
        if name is not None
    ]
    if len(given) > 1:
        raise UsageError("Use only one of --key, --client and --project.")
    if given and not given[0][1].strip():
        # If a variable in a script is unset, the name is empty. That must not change the limit that
        # applies to all requests.
        raise UsageError(f"The name after --{given[0][0]} is empty.", hint="Is a variable unset?")
    return given[0] if given else ("", "")


def _limit(text: str) -> Limit:
    try:
        return parse_limit(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a limit: {error}.",
            hint="An AI credit is worth $0.01: $5 a day is 500/day.",
        ) from None


def _set(path: Path, limit: Limit) -> None:
    from copilot_proxy.budget import limits_file

    limits_file.change(path, _now(), lambda stored: stored.with_limit(limit))


def _raise(path: Path, settings: Settings, text: str, kind: str, name: str) -> None:
    from copilot_proxy.budget.raising import raise_limits

    amount, separator, _ = text.partition("/")
    per = _limit(text).per if separator else ""
    try:
        nano = parse_amount(amount)
    except ValueError as error:
        raise UsageError(f"{text!r} is not an amount: {error}.") from None
    raise_limits(path, settings.budget, nano, kind, name, _now(), per=per)


def _off(path: Path, settings: Settings, kind: str, name: str) -> None:
    """Remove the limits and temporary raises of a scope, or of all scopes if `kind` is ""."""
    from copilot_proxy.budget import limits_file

    def is_other(one: Limit | limits_file.Raise) -> bool:
        return bool(kind) and (one.kind, one.name) != (kind, name)

    def remaining(stored: limits_file.Limits) -> limits_file.Limits:
        limits = tuple(filter(is_other, stored.limits))
        if kind and limits == stored.limits:
            raise UsageError(
                f"There is no budget for the {kind} {name}, so nothing was removed.",
                hint="To list the budgets, run: copilot-proxy budget",
            )
        return limits_file.Limits(limits, tuple(filter(is_other, stored.raises)))

    limits_file.change(path, _now(), remaining)
    if settings.budget and not kind:
        source = settings.sources["budget"]
        print_message(f"The limits in {source} still apply until you remove them there.")


def _show(path: Path, settings: Settings, only: tuple[str, str] | None, *, as_json: bool) -> None:
    """Print all limits, or only those of one scope; `only` is its kind and name."""
    from copilot_proxy.budget import limits_file
    from copilot_proxy.budget.formatting import scope_flag
    from copilot_proxy.budget.report import limit_states
    from copilot_proxy.ledger.database import opened_ledger

    limits = limits_file.read(path).with_defaults(settings.budget)
    if only is not None:
        limits = limits._replace(
            limits=tuple(one for one in limits.limits if (one.kind, one.name) == only)
        )
    with opened_ledger(settings.ledger_file) as database:
        states = limit_states(database, limits, _now())
    if as_json:
        print_result(json.dumps({"limits": [one.as_json() for one in states]}, indent=2))
    elif not states:
        scope = f" for the {' '.join(only)}" if only else ""
        flag = f" {shlex.join((f'--{only[0]}', only[1]))}" if only else ""
        flag += " --simulate" if settings.simulated else ""
        command = f"copilot-proxy budget set 500/day{flag}"
        print_result(f"There is no budget{scope}. Set one with: {command}")
    if states and (problem := _problem(settings)):
        print_message(f"No limit is enforced: {problem}")
    for one in states if not as_json else ():
        print_result(wrapped(limit_line(one), "  "))
        if one.allowed == 0:
            flag = f"{scope_flag(one.limit)}{' --simulate' if settings.simulated else ''}"
            print_message(
                "With a budget of 0, every request that costs anything is refused. Remove it with: "
                f"copilot-proxy budget off{flag}"
            )


def _problem(settings: Settings) -> str | None:
    """Return a sentence that says why the limits are not enforced, or None if they are."""
    from copilot_proxy.budget.formatting import ledger_problem
    from copilot_proxy.ledger.reservation_file import check_usable

    if not settings.ledger:
        return f"{settings.sources['ledger']} turns off the ledger."
    try:
        check_usable(settings.ledger_file)
    except OSError as error:
        return ledger_problem(error)
    return None


def _warn_of_old_config(settings: Settings, *, simulate: bool) -> None:
    """Warn if the running server does not use the limits from the configuration file."""
    from copilot_proxy.cli.shared_server import running_server
    from copilot_proxy.server.discovery import has_old_config

    server = running_server(settings, simulate=simulate)
    if server is not None and has_old_config(settings, server.settings_read_at):
        print_message(
            f"{settings.config_file} was changed after the server at {server.url} read it. "
            "Restart the server to apply the limits shown here."
        )


def limit_line(one: "LimitState") -> str:
    """Describe a limit and how much of it is used, in one line."""
    from copilot_proxy.cost.nano_aiu import NANO, credits, grouped, rounded

    limit = one.limit
    scope = f" for the {limit.kind} {limit.name}" if limit.kind else ""
    more = one.allowed - limit.nano
    raised = f" (raised by {grouped(credits(more))})" if more else ""
    text = (
        f"{grouped(credits(one.allowed))} AI credit{'s' * (one.allowed != NANO)} per {limit.per}"
        f"{scope}{raised}: {rounded(one.spent)} spent"
    )
    if limit.per == "session":
        text += " by today's most expensive session"
    if one.reserved:
        text += f", {rounded(one.reserved)} reserved"
    return f"{text}, {rounded(one.left)} left"


def _now() -> datetime:
    return datetime.now().astimezone()
