"""Changes a client's files for ``connect``, or undoes the changes: shows a diff, asks, and
writes."""

import os
import shlex
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Final

import typer

from copilot_proxy.cli.console import confirmed, is_interactive, print_message, print_result
from copilot_proxy.cli.run_connection import NO_KEY
from copilot_proxy.clients.client import Client, Connection, Setup
from copilot_proxy.config_edits.diff import brief, diff
from copilot_proxy.config_edits.journal import FilePlan, FileProblem, Journal
from copilot_proxy.errors import CopilotProxyError, UsageError
from copilot_proxy.settings import Settings
from copilot_proxy.terminal import escape_controls

_MAX_LINES: Final = 60
"""Maximum number of diff lines per file that are shown before asking."""


def short(path: PurePath) -> str:
    """Return the path as a user would type it."""
    try:
        return str(PurePath("~") / path.relative_to(Path.home()))
    except ValueError:
        return str(path)


def write_changes(
    settings: Settings, client: Client, to: Connection, setup: Setup, *, yes: bool, dry_run: bool
) -> int:
    """Apply the changes in `setup` to the files if the user agrees; return the exit code.

    Raises `CopilotProxyError`.
    """
    journal = Journal.of(client.name, settings.state_dir)
    try:
        plans = journal.plan(setup.changes)
    except FileProblem as problem:
        print_message(f"Error: {short(problem.path)} {problem.reason}. Nothing was changed.")
        print_message("Add this to the files yourself:")
        for change in setup.changes:
            print_result(f"# In {short(change.path)}:\n{change.shown().rstrip()}")
        return 1
    needed = [plan for plan in plans if plan.is_needed]
    if not needed:
        print_message(f"{client.title} is already configured. Nothing was changed.")
        return 0
    _show(needed, to.key, all_lines=dry_run)
    if dry_run:
        return 0
    names = ", ".join(short(plan.path) for plan in needed)
    purpose = " to use the simulator" if settings.simulated else ""
    if not _agreed(f"Change {names}{purpose}?", yes=yes):
        print_message("Nothing was changed.")
        return 1
    about = {"url": to.url, "model": to.model.id}
    try:
        journal.apply(plans, about)
    except FileProblem as problem:
        raise _failure(problem) from None
    print_message(f"Changed {names}.")
    if to.key != NO_KEY:
        _report_readable(plan.path for plan in needed if plan.after is not None)
    print_message(f"Undo it with: copilot-proxy connect {client.word} --undo")
    return 0


def undo_changes(settings: Settings, client: Client, *, yes: bool, dry_run: bool) -> int:
    """Restore the files if the user agrees; return the exit code.

    Raises `CopilotProxyError`.
    """
    journal = Journal.of(client.name, settings.state_dir)
    if journal.is_damaged:
        raise CopilotProxyError(
            f"Cannot tell what `connect` changed for {client.title}: the journal is damaged.",
            hint=f"The original files are in {journal.folder}",
        )
    if not journal.entries:
        print_message(f"`connect` has not changed any of {client.title}'s files.")
        return 0
    try:
        plans = journal.undo_plan()
    except FileProblem as problem:
        raise _failure(problem, f"Its backups are in {journal.folder}.") from None
    needed = [plan for plan in plans if plan.is_needed]
    _show(needed, "", all_lines=dry_run)
    for plan in plans:
        if plan.kept:
            print_message(
                f"Edited after `connect`, so kept in {short(plan.path)}: {', '.join(plan.kept)}"
            )
    if dry_run:
        return 0
    if needed and not _agreed("Undo these changes?", yes=yes):
        print_message("Nothing was changed.")
        return 1
    try:
        journal.apply(plans, {})
    except FileProblem as problem:
        raise _failure(problem) from None
    if not needed and any(plan.kept for plan in plans):
        print_message("There was nothing else to undo.")
        return 0
    names = ", ".join(short(plan.path) for plan in needed)
    print_message(f"Undone: {names}." if names else "There was nothing left to undo.")
    return 0


def _show(plans: Sequence[FilePlan], key: str, *, all_lines: bool) -> None:
    """Print the diffs. With `all_lines`, they go to stdout in full; otherwise, they are shortened
    and go to stderr."""
    is_shortened = False
    for plan in plans:
        secret = "" if key == NO_KEY else key
        lines = diff(short(plan.path), plan.before, plan.after, secret).split("\n")
        if all_lines:
            print_result("\n".join(lines))
            continue
        shown = brief(lines, shutil.get_terminal_size().columns)[:_MAX_LINES]
        is_shortened = is_shortened or shown != lines
        for line in shown:
            typer.echo(escape_controls(line), err=True)
    if is_shortened:
        print_message("To see all lines, use --dry-run.")


def _report_readable(paths: Iterable[Path]) -> None:
    """Report files that reveal the server's key to other users of this machine."""
    for path in paths:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            print_message(
                f"{short(path)} can be read by other users of this machine, and now contains the "
                f"server's API key. Run: chmod 600 {shlex.quote(str(path))}"
            )


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not is_interactive():
        raise UsageError(
            "Nothing was changed: there is no terminal to ask for confirmation.",
            hint="To confirm, add --yes.",
        )
    return confirmed(question)


def _failure(problem: FileProblem, hint: str | None = None) -> CopilotProxyError:
    return CopilotProxyError(f"{short(problem.path)} {problem.reason}.", hint=hint)
