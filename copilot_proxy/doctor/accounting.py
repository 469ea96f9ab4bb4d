"""Checks the ledger, the budget and the prices."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Final

from copilot_proxy.budget import limits_file
from copilot_proxy.budget.formatting import advised_raise, ledger_problem, scope_text
from copilot_proxy.budget.report import LimitState, limit_states
from copilot_proxy.cost.limits import Limit
from copilot_proxy.cost.nano_aiu import credits, grouped, rounded
from copilot_proxy.cost.price_list import listed_prices
from copilot_proxy.cost.price_table import table_date, table_prices
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.files import existing, unwritable
from copilot_proxy.doctor.results import Result, broken, from_error, off, ok, skipped, warning
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.ledger.database import opened_ledger, set_aside
from copilot_proxy.ledger.health import DamagedLedger, check_writable
from copilot_proxy.ledger.reservation_file import check_usable
from copilot_proxy.private_files import UnsafeFileError
from copilot_proxy.server.leases import is_used

_PRICES_AGE: Final = 60
"""Days after which the bundled prices are out of date; Copilot's prices change within weeks."""
_PER: Final = {
    "day": "today",
    "month": "this month",
    "session": "in today's most expensive session",
}


def check_ledger(context: CheckContext) -> Iterator[Result]:
    """Check whether the ledger can be read and written."""
    settings = context.settings
    if not settings.ledger:
        yield ok(f"off, as set in {settings.sources['ledger']}")
        return
    try:
        found = context.ledger()
    except DamagedLedger as error:
        if _is_server_running(context):
            # The server still has the file open, and will move it aside itself.
            yield broken(error.message, "Stop the server, then run: copilot-proxy doctor --fix")
        else:
            yield broken(error.message, str(error.hint), _set_aside(settings.ledger_file))
    except CopilotProxyError as error:
        yield from_error(error)
    else:
        file = settings.ledger_file
        if unwritable(existing(file.parent)) is not None:
            yield skipped("The ledger's folder cannot be written to, so requests are not recorded.")
            return
        if found and not os.access(file, os.W_OK):
            yield broken(
                f"The ledger {file} cannot be written to, so requests are not recorded.",
                f"Run: chmod u+w {shlex.quote(str(file))}",
            )
            return
        if found:
            try:
                check_writable(file)
            except CopilotProxyError as error:
                yield from_error(error)
                return
        count = found.requests if found else 0
        yield ok(f"{count:,} request{'s' * (count != 1)}" if count else "no requests yet")


def _is_server_running(context: CheckContext) -> bool:
    shared = context.settings.state_dir.glob("run/*")
    return context.server().is_running or any(is_used(folder) for folder in shared)


def _set_aside(path: Path) -> Callable[[], str]:
    return lambda: (
        f"The damaged ledger was renamed to {set_aside(path)}; a new one will be created."
    )


def check_budget(context: CheckContext) -> Iterator[Result]:
    """Check whether the limits can be read, and how much of them is left."""
    settings = context.settings
    path = limits_file.path_for(settings.ledger_file)
    try:
        limits = limits_file.read(path).with_defaults(settings.budget)
    except CopilotProxyError as error:
        yield broken(f"{error.message} No limit is applied.", error.hint or "")
        return
    if not limits.limits:
        yield off("none")
        return
    if settings.notify and shutil.which(settings.notify[0]) is None:
        yield warning(
            f"The notify program {settings.notify[0]} was not found.",
            f"Install it, or change {settings.place_of('notify')}.",
            public="The notify program was not found.",
        )
    if not settings.ledger:
        yield broken(
            f"There is a budget, but {settings.sources['ledger']} turns off the ledger that it "
            "needs.",
            f"Set ledger to true, or remove {settings.place_of('budget')}."
            if settings.budget
            else "Set ledger to true, or run: copilot-proxy budget off",
        )
        return
    try:
        check_usable(settings.ledger_file)
    except OSError as error:
        yield broken(
            f"The budget is not enforced: {ledger_problem(error)}",
            _remedy(error),
        )
        return
    try:
        context.ledger()
        with opened_ledger(settings.ledger_file) as database:
            states = limit_states(database, limits, datetime.now().astimezone())
    except CopilotProxyError:
        yield skipped("The ledger cannot be read, so requests are not limited.")
        return
    spent = [one for one in states if not one.left]
    for one in spent:
        yield warning(
            f"The budget{scope_text(one.limit)}, {grouped(credits(one.allowed))} AI credits per "
            f"{one.limit.per}, is used up, so requests are refused.",
            f"Run: {advised_raise(one.limit, one.spent + one.reserved - one.allowed)}",
            public=f"The budget per {one.limit.per}{_kind(one.limit)} is used up.",
        )
    if not spent:
        limits_set = ", ".join(f"per {one.limit.per}{_kind(one.limit)}" for one in states)
        yield ok("; ".join(map(_left, states)), public=f"limits: {limits_set}; none is used up")


def _left(one: LimitState) -> str:
    scope = f", for the {one.limit.kind} {one.limit.name}" if one.limit.kind else ""
    return (
        f"{rounded(one.left)} of {grouped(credits(one.allowed))} AI credits left "
        f"{_PER[one.limit.per]}{scope}"
    )


def _kind(limit: Limit) -> str:
    """Describe the kind of requests that a limit applies to, without any names."""
    return f" for a {limit.kind}" if limit.kind else ""


def check_prices(context: CheckContext) -> Iterator[Result]:
    """Check whether the prices of all models are known and up to date."""
    age = (date.today() - date.fromisoformat(table_date())).days
    catalogue = context.catalogue()
    if catalogue is None:
        if age > _PRICES_AGE:
            yield _old_prices(age, "if Copilot does not report the cost")
        else:
            yield ok(f"bundled, from {table_date()}")
        return
    unlisted = [model.id for model in catalogue.chat if listed_prices(model.raw) is None]
    if unlisted and age > _PRICES_AGE:
        yield _old_prices(age, f"for {_models(len(unlisted))} without a price in Copilot's list")
        return
    unknown = [name for name in unlisted if table_prices(name) is None]
    text = f"Copilot's own prices for {_models(len(catalogue.chat) - len(unlisted))}"
    if bundled := len(unlisted) - len(unknown):
        text += f", bundled prices from {table_date()} for {bundled}"
    if unknown:
        text += f", none for {len(unknown)} (until Copilot reports what a request cost)"
    yield ok(text)


def _models(count: int) -> str:
    return f"{count:,} model{'s' * (count != 1)}"


def _old_prices(age: int, when: str) -> Result:
    return warning(
        f"The bundled prices are {age} days old, and are used {when}.",
        "Upgrade copilot-proxy, for example with: pipx upgrade g-copilot-proxy",
    )


def _remedy(error: OSError) -> str:
    """Return what to do if the file with the reservations cannot be used."""
    if isinstance(error, TimeoutError):
        return "End the process that uses it, which may be stopped."
    if isinstance(error, UnsafeFileError) and error.hint:
        return error.hint
    if isinstance(error, PermissionError):
        return "Make sure that you can read and write the file and its folder."
    return "Stop all servers, and rename or remove the file. Its disk must support locks."
