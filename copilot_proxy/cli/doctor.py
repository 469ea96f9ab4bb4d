"""The ``doctor`` command: finds problems, and shows how to fix them."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from copilot_proxy.cli.completion import complete_client
from copilot_proxy.cli.console import print_drawn, print_result, with_commands
from copilot_proxy.cli.shared_options import JsonOption
from copilot_proxy.errors import UsageError, with_simulate_flag
from copilot_proxy.terminal import can_draw, can_style, escape_controls

if TYPE_CHECKING:
    from copilot_proxy.doctor.check_context import CheckContext
    from copilot_proxy.doctor.runner import Finding
    from copilot_proxy.settings import Settings

_WIDTH: Final = 100
"""Maximum output width in columns."""
_PASSED: Final = "ok  {:<15}"
"""The start of the line for a check that found no problem."""
_ORDER: Final = ("broken", "warning", "fixed")
_SHOWN_FILES: Final = 12


def doctor(
    client: Annotated[
        str | None,
        typer.Argument(
            help="Check only this client, which must be installed.",
            metavar="[CLIENT]",
            autocompletion=complete_client,
        ),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Fix problems that can be fixed safely.")
    ] = False,
    network_only: Annotated[
        bool, typer.Option("--network-only", help="Check only the connection to GitHub.")
    ] = False,
    as_json: JsonOption = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            help="Print a report for an issue, without secrets, names or conversations.",
        ),
    ] = False,
    files: Annotated[
        bool,
        typer.Option("--files", help="Also list the files that uninstalling would leave behind."),
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Check with the simulator instead of an account.")
    ] = False,
) -> int:
    """Find problems and explain how to fix them.

    The exit code is 0 if there are no problems, 1 if there are warnings, and 2 if something is
    broken.
    """
    from copilot_proxy.cli.client_choice import named_client
    from copilot_proxy.cli.run_connection import is_found, program_of
    from copilot_proxy.cli.run_list import version_of
    from copilot_proxy.doctor import runner
    from copilot_proxy.doctor.check_context import CheckContext
    from copilot_proxy.doctor.checks import checks_for
    from copilot_proxy.doctor.clients import Programs

    if as_json and report:
        raise UsageError("--json cannot be combined with --report.")
    wanted = None if client is None else named_client(client)
    programs = Programs(program_of, is_found, version_of)
    checks = checks_for(programs, client=wanted, network_only=network_only)
    with _settings(simulate=simulate) as (settings, errors), _spinner():
        context = CheckContext(settings, errors, os.environ)
        findings = runner.run_checks(context, checks)
    if simulate:
        findings = [_with_simulate_flag(one) for one in findings]
    if fix:
        findings = runner.fix(findings)
    code = runner.exit_code(findings)
    if report:
        from copilot_proxy.doctor.report import report as report_of

        print_result(report_of(context, findings))
    elif as_json:
        print_result(json.dumps(_json(context, findings, code), indent=2))
    else:
        _print(findings)
        if files:
            _print_leftovers(context)
    return code


@contextmanager
def _settings(*, simulate: bool) -> "Iterator[tuple[Settings, Sequence[UsageError]]]":
    """Yield the settings, with defaults in place of invalid values, and the errors found."""
    from copilot_proxy.cli.simulated_settings import settings_for
    from copilot_proxy.settings import load_settings_with_errors

    if not simulate:
        yield load_settings_with_errors()
        return
    with settings_for({}, simulate=True) as (settings, _):
        yield settings, ()


@contextmanager
def _spinner() -> Iterator[None]:
    """Show a spinner on a terminal while the block runs."""
    if not can_draw():
        yield
        return
    from copilot_proxy.cli.spinner import Spinner

    spinner = Spinner("Checking")
    try:
        yield
    finally:
        spinner.stop()


def _json(context: "CheckContext", findings: "Sequence[Finding]", code: int) -> dict[str, Any]:
    from copilot_proxy import __version__
    from copilot_proxy.doctor.leftovers import leftovers

    return {
        "status": ("ok", "warnings", "broken")[code],
        "version": __version__,
        "checks": [
            {
                "name": one.check.name,
                "title": one.check.title,
                "status": one.result.status.value,
                "what": one.result.what,
                "remedy": one.result.remedy,
            }
            for one in findings
        ],
        "left_by_uninstall": leftovers(context),
    }


def _print(findings: "Sequence[Finding]") -> None:
    problems = sorted(
        (one for one in findings if one.result.status in _ORDER),
        key=lambda one: _ORDER.index(one.result.status),
    )
    # Several problems may share a remedy.
    for _, group in groupby(problems, key=lambda one: (one.result.status, one.result.remedy)):
        for line in _described(list(group)):
            print_drawn(line)
        print_drawn("")
    if passed := list(_passed(findings)):
        for line in (*passed, ""):
            print_drawn(line)
    for line in _wrapped(_summary(findings, problems), ""):
        print_drawn(line)


def _passed(findings: "Sequence[Finding]") -> Iterator[str]:
    """Yield lines for the checks that found no problem or did not run."""
    for one in findings:
        if one.result.status == "ok" and not one.result.is_off:
            yield from _wrapped(one.result.what, _PASSED.format(one.check.title))
    for start, titles in {
        "not in use: ": [one.check.title for one in findings if one.result.is_off],
        "not checked: ": [one.check.title for one in findings if one.result.status == "skipped"],
    }.items():
        if titles:
            yield from _wrapped(", ".join(titles), start)


def _with_simulate_flag(finding: "Finding") -> "Finding":
    """Return the finding with ``--simulate`` added to the commands in its remedy."""
    result = replace(finding.result, remedy=with_simulate_flag(finding.result.remedy))
    return replace(finding, result=result)


def _print_leftovers(context: "CheckContext") -> None:
    from copilot_proxy.doctor.leftovers import leftovers

    files = leftovers(context)
    if files:
        print_drawn("Uninstalling leaves these files behind:")
        for path in files[:_SHOWN_FILES]:
            print_drawn(f"  {escape_controls(path)}")
        if len(files) > _SHOWN_FILES:
            print_drawn(f"  and {len(files) - _SHOWN_FILES} more; see --json")


def _described(problems: "Sequence[Finding]") -> Iterator[str]:
    """Yield lines for problems that share a status and a remedy, followed by the remedy."""
    start = f"{problems[0].result.status!s:<9}"
    for one in problems:
        yield from _wrapped(f"{one.check.title}: {one.result.what}", start)
        start = " " * len(start)
    result = problems[0].result
    if result.status != "fixed" and result.remedy:
        yield from map(_bold, _wrapped(result.remedy, start))


def _wrapped(text: str, start: str) -> list[str]:
    lines = textwrap.wrap(
        with_commands(escape_controls(text)),
        _width(),
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]


def _width() -> int:
    return min(_WIDTH, shutil.get_terminal_size().columns)


def _summary(findings: "Sequence[Finding]", problems: "Sequence[Finding]") -> str:
    """Return the counts, and the names of the problems, which may have scrolled off the screen."""
    counts = {name: sum(one.result.status == name for one in findings) for name in _ORDER}
    parts = [
        f"{counts['broken']} broken" if counts["broken"] else "",
        f"{counts['warning']} warning{'s' if counts['warning'] > 1 else ''}"
        if counts["warning"]
        else "",
        f"{counts['fixed']} fixed" if counts["fixed"] else "",
    ]
    if not problems:
        return "No problems found."
    return f"{', '.join(filter(None, parts))}: {', '.join(one.check.title for one in problems)}"


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if can_style(sys.stdout) else text
