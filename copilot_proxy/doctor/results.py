"""What a check finds: a status, a description, and a remedy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from copilot_proxy.errors import CopilotProxyError

if TYPE_CHECKING:
    from copilot_proxy.doctor.check_context import CheckContext


class Status(StrEnum):
    """How serious a result is."""

    OK = "ok"
    SKIPPED = "skipped"
    """Another check has found the reason why this one cannot be made."""
    WARNING = "warning"
    """It works, but probably not as the user wants."""
    BROKEN = "broken"
    FIXED = "fixed"


@dataclass(frozen=True)
class Result:
    """What a check has found."""

    status: Status
    what: str
    """One or two sentences."""
    remedy: str | None = None
    """What to do, as a sentence that begins with a verb, or a command."""
    fix: Callable[[], str] | None = None
    """Does what the remedy says, if that is safe, and returns a sentence about it. Raises
    `OSError`."""
    is_off: bool = False
    """Whether it is fine because it is not used."""
    public: str | None = None
    """Takes the place of `what` in a report for others, if `what` has the user's own names."""


def ok(what: str, *, public: str | None = None) -> Result:
    """Return the result that all is well."""
    return Result(Status.OK, what, public=public)


def off(what: str) -> Result:
    """Return the result that something is not used."""
    return Result(Status.OK, what, is_off=True)


def skipped(why: str) -> Result:
    """Return the result that something cannot be checked."""
    return Result(Status.SKIPPED, why)


def warning(
    what: str, remedy: str, fix: Callable[[], str] | None = None, *, public: str | None = None
) -> Result:
    """Return the result that something works, but not as it should."""
    return Result(Status.WARNING, what, remedy, fix, public=public)


def broken(what: str, remedy: str, fix: Callable[[], str] | None = None) -> Result:
    """Return the result that something does not work."""
    return Result(Status.BROKEN, what, remedy, fix)


def from_error(error: CopilotProxyError) -> Result:
    """Return an error as a result; its hint is the remedy."""
    return broken(error.message, error.hint or "Run the command again with --debug.")


@dataclass(frozen=True)
class Check:
    """One check."""

    name: str
    """For programs, such as ``sign-in``."""
    title: str
    run: "Callable[[CheckContext], Iterable[Result]]"
    is_network: bool = False
    """Whether it is about the connection to GitHub, for ``--network-only``."""
