"""The candidates that a run compares: this proxy, other builds of it, rivals, running servers."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import target
from benchmarks.report import DIRECT
from benchmarks.rivals import RIVALS
from benchmarks.target import Fake, Target


@dataclass(frozen=True)
class Candidate:
    """One column of the tables."""

    name: str
    start: Callable[[], AbstractContextManager[Target]]
    build: tuple[str, ...] | None = None
    """The command if the candidate is a build of copilot-proxy."""
    can_start: bool = True
    """Whether its startup can be measured."""
    has_all_apis: bool = False
    """Whether the candidate has all APIs of this proxy, with all models of the fake upstream."""


def ours(
    name: str, build: Sequence[str], fake: Fake, folder: Path, flags: Sequence[str]
) -> Candidate:
    """Return this proxy or another build of it; `flags` are added to `serve`."""
    start = partial(target.ours, fake, folder, name=name, build=build, flags=flags)
    return Candidate(name, start, tuple(build), has_all_apis=True)


def accounts(build: Sequence[str], fake: Fake, folder: Path) -> Iterator[Candidate]:
    """Yield this proxy without a ledger, with one, and with a ledger and a budget."""
    for name, settings in (
        ("ledger-off", {"COPILOT_PROXY_LEDGER": "false"}),
        ("ledger", {}),
        ("budget", {"COPILOT_PROXY_BUDGET": "999999/day,9999999/month"}),
    ):
        start = partial(target.ours, fake, folder, name=name, build=build, settings=settings)
        yield Candidate(name, start, tuple(build), has_all_apis=True)


def rival(name: str, fake: Fake, folder: Path) -> Candidate:
    """Return one of `RIVALS`."""
    return Candidate(name, partial(RIVALS[name].start, fake, folder))


def direct(fake: Fake) -> Candidate:
    """Return the fake upstream itself, whose times are subtracted from those of the proxies.

    The load client connects to it over plain HTTP, as it does to the proxies.
    """
    return known(DIRECT, fake.plain, has_all_apis=True)


def known(name: str, url: str, *, has_all_apis: bool = False) -> Candidate:
    """Return a server that is already running."""

    @contextmanager
    def running() -> Iterator[Target]:
        yield Target(name, url)

    return Candidate(name, running, can_start=False, has_all_apis=has_all_apis)
