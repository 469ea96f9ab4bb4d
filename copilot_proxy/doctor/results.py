"""The result of a check: a status, a description, and a remedy."""

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
    """Another check has already found why this one cannot be run."""
    WARNING = "warning"
    """The checked feature works, but probably not as the user intended."""
    BROKEN = "broken"
    FIXED = "fixed"


@dataclass(frozen=True)
class Result:
    """The result of a check."""

    status: Status
    what: str
    """One or two sentences."""
    remedy: str | None = None
    """What to do: a sentence that starts with a verb, or a command."""
    fix: Callable[[], str] | None = None
    """Carries out the remedy, and returns a sentence about it. Raises `OSError`. None if this
    cannot be done safely."""
    is_off: bool = False
    """Whether the result is fine because the feature is not used."""
    public: str | None = None
    """Replaces `what` in a report for others, if `what` contains the user's own names."""


def ok(what: str, *, public: str | None = None) -> Result:
    """Return a result for something that works."""
    return Result(Status.OK, what, public=public)


def off(what: str) -> Result:
    """Return a result for something that is not used."""
    return Result(Status.OK, what, is_off=True)


def skipped(why: str) -> Result:
    """Return a result for something that cannot be checked."""
    return Result(Status.SKIPPED, why)


def warning(
    what: str, remedy: str, fix: Callable[[], str] | None = None, *, public: str | None = None
) -> Result:
    """Return a result for something that works, but not as it should."""
    return Result(Status.WARNING, what, remedy, fix, public=public)


def broken(what: str, remedy: str, fix: Callable[[], str] | None = None) -> Result:
    """Return a result for something that does not work."""
    return Result(Status.BROKEN, what, remedy, fix)


def from_error(error: CopilotProxyError) -> Result:
    """Return the result for an error; its hint becomes the remedy."""
    return broken(error.message, error.hint or "Run the command again with --debug.")


@dataclass(frozen=True)
class Check:
    """A check and its name."""

    name: str
    """The name that programs use, such as ``sign-in``."""
    title: str
    run: "Callable[[CheckContext], Iterable[Result]]"
    is_network: bool = False
    """Whether the check concerns the connection to GitHub, for ``--network-only``."""
