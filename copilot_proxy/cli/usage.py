"""The ``usage`` command: shows the cost of requests, from the ledger."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from copilot_proxy.cli.completion import word_completer
from copilot_proxy.cli.console import print_drawn, print_message, print_result
from copilot_proxy.cli.shared_options import JsonOption
from copilot_proxy.cli.usage_options import refuse_unused
from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.settings import Settings, load_settings

if TYPE_CHECKING:
    from copilot_proxy.cli.usage_report import Report
    from copilot_proxy.ledger.database import Database
    from copilot_proxy.ledger.periods import Period
    from copilot_proxy.ledger.queries import Filters, Group

_VIEWS: Final = ("day", "week", "month", "session", "client", "model", "key", "project")
_ACTIONS: Final = {
    "show": "REQUEST",
    "path": None,
    "backup": "FILE",
    "forget": None,
    "import": "copilot-cli",
}
"""The actions, and the argument that follows each, if any."""


def usage(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Group by {', '.join(_VIEWS[:-1])} or {_VIEWS[-1]}. Or: show [REQUEST], path, "
            "backup FILE, forget --before DATE, import copilot-cli.",
            metavar="[VIEW]",
            autocompletion=word_completer(
                {**dict.fromkeys((*_VIEWS, *_ACTIONS)), "import": _ACTIONS["import"]}
            ),
        ),
    ] = None,
    since: Annotated[str | None, typer.Option(help="First day or time.", metavar="DATE")] = None,
    until: Annotated[str | None, typer.Option(help="Last day or time.", metavar="DATE")] = None,
    last: Annotated[
        str | None, typer.Option(help="The last hours, days or weeks: 12h, 7d, 4w.", metavar="TIME")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Only this model, by its id.", metavar="MODEL")
    ] = None,
    client: Annotated[str | None, typer.Option(help="Only this client.", metavar="CLIENT")] = None,
    key: Annotated[
        str | None, typer.Option(help="Only the API key with this name.", metavar="NAME")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Only this project.", metavar="PROJECT")
    ] = None,
    as_model: Annotated[
        str | None,
        typer.Option(
            "--as", help="Show what the same tokens would cost with this model.", metavar="MODEL"
        ),
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    line: Annotated[
        bool, typer.Option("--line", help="Print one short line, for a status bar.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Check every cost and compare the sum with GitHub's quota."),
    ] = False,
    why: Annotated[
        bool,
        typer.Option(
            "--why", help="Show why requests missed the prompt cache and how to avoid misses."
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Exit with 1 if the remaining quota is below NUMBER, or with 2 if it is used up.",
            metavar="NUMBER",
        ),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="With forget: the first day to keep.", metavar="DATE"),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Show what the simulator has charged.")
    ] = False,
) -> int:
    """Show the cost of requests and the remaining quota.

    FRESH, CACHED, WRITTEN and OUT are token counts: CACHED is input read from the cache, WRITTEN
    is input written to the cache, FRESH is all other input, and OUT is output. CACHE is the share
    of the prompts that was read from the cache. LOST is the cost of cache misses.
    """
    from copilot_proxy.ledger.database import opened_ledger
    from copilot_proxy.ledger.queries import UNKNOWN, Filters

    word, argument = _parsed(words or [])
    refuse_unused(
        word,
        argument,
        {
            "--since": since,
            "--until": until,
            "--last": last,
            "--model": model,
            "--client": client,
            "--key": key,
            "--project": project,
            "--as": as_model,
            "--json": as_json,
            "--csv": as_csv,
            "--line": line,
            "--verify": verify,
            "--why": why,
            "--threshold": threshold,
            "--before": before,
        },
    )
    if threshold is not None and not threshold >= 0:  # NaN fails every comparison
        raise UsageError("--threshold must not be negative.")
    settings = replace(load_settings(), simulated=simulate)
    match word:
        case "path":
            print_result(str(settings.ledger_file))
            return 0
        case "forget" | "backup" | "import":
            from copilot_proxy.cli import usage_file

            if word == "import":
                return usage_file.import_from(settings.ledger_file, argument)
            if word == "forget":
                return usage_file.forget(settings.ledger_file, before)
            return usage_file.backup(settings.ledger_file, Path(argument))
    if client:
        from copilot_proxy.cli.client_choice import ledger_name

        client = ledger_name(client)
    period = _period(word, since, until, last)
    names = ("" if name == UNKNOWN else name for name in (model, client, key, project))
    filters = Filters(*names)
    if not (settings.ledger or as_json or as_csv or line):
        print_message(f"The ledger is off, as set in {settings.sources['ledger']}.")
    with opened_ledger(settings.ledger_file) as database:
        if word == "show":
            from copilot_proxy.cli import usage_request

            if not argument:
                return usage_request.show_recent(database, period, filters, as_json=as_json)
            return usage_request.show(database, argument, as_json=as_json, simulated=simulate)
        if verify:
            from copilot_proxy.cli import usage_check

            return usage_check.check(database, as_json=as_json)
        if why:
            from copilot_proxy.cli import usage_why

            return usage_why.show(database, period, filters, as_json=as_json)
        return _report(
            database,
            word,
            period,
            filters,
            settings,
            as_model=as_model,
            form="json" if as_json else "csv" if as_csv else "line" if line else "text",
            threshold=threshold,
        )


def _parsed(words: list[str]) -> tuple[str | None, str]:
    """Return the view or the action, and the action's argument. Raises `UsageError`."""
    if not words:
        return None, ""
    word, rest = words[0], words[1:]
    if word not in _VIEWS and word not in _ACTIONS:
        raise UsageError(
            f"Unknown view: {word!r}.", hint=f"Use one of: {', '.join((*_VIEWS, *_ACTIONS))}."
        )
    wanted = _ACTIONS.get(word)
    if wanted is not None and not rest and word != "show":
        raise UsageError(f"`usage {word}` needs {wanted}.")
    if len(rest) > (wanted is not None):
        raise UsageError(f"Unexpected argument: {rest[-1]}")
    return word, rest[0] if rest else ""


def _period(word: str | None, since: str | None, until: str | None, last: str | None) -> "Period":
    """Return the period that the options select.

    The default is this month, or all time for the views by week and month.
    """
    from copilot_proxy.ledger.periods import Period, parse_period, this_month

    now = datetime.now().astimezone()
    if since is None and until is None and last is None:
        return Period() if word in ("week", "month", "show") else this_month(now)
    return parse_period(since, until, last, now)


def _report(
    database: "Database",
    word: str | None,
    period: "Period",
    filters: "Filters",
    settings: Settings,
    *,
    as_model: str | None,
    form: str,
    threshold: float | None,
) -> int:
    from copilot_proxy.budget import limits_file
    from copilot_proxy.budget.report import limit_states
    from copilot_proxy.cli import usage_output, usage_report
    from copilot_proxy.ledger.cache_queries import next_turns

    group: Group = word if word in _VIEWS else "model"  # type: ignore[assignment]
    report = usage_report.read(database, group, period, filters)
    limits = limits_file.read(limits_file.path_for(settings.ledger_file))
    limits = limits.with_defaults(settings.budget)
    report = replace(
        report,
        limits=limit_states(database, limits, report.now),
        next_turns=next_turns(database, report.now, filters=filters)
        if group == "session" or form == "line"
        else (),
    )
    if as_model is not None:
        from copilot_proxy.cli.usage_as import with_prices_of

        report = with_prices_of(as_model, report, database, filters, settings)
    if form == "text":
        # The overview covers today and this month, so it does not fit other periods.
        is_bare = word is None and as_model is None and period.month is not None
        print_result("\n".join(usage_output.lines(report, is_bare=is_bare)))
        for text in usage_output.remarks(report):
            print_message(text)
        if report.total.requests == 0:
            for text in usage_report.unknown_names(database, filters):
                print_message(text)
    else:
        text = usage_output.FORMATS[form](report)
        # JSON is ASCII with all control characters escaped; escaping them again takes time.
        (print_drawn if form == "json" else print_result)(text)
    return 0 if threshold is None else _threshold_code(report, threshold)


def _threshold_code(report: "Report", threshold: float) -> int:
    """Return the exit code of ``--threshold``.

    Raises `CopilotProxyError` if the remaining quota is unknown.
    """
    if report.quota is not None and report.quota.unlimited:
        return 0
    left = report.quota.left if report.quota else None
    if left is None:
        raise CopilotProxyError(
            "The remaining quota is unknown.",
            hint="If the plan has a quota, Copilot reports it with every answer.",
        )
    return 2 if left <= 0 else 1 if left < threshold else 0
