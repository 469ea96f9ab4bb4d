"""Everything that one run compares: ours first, other builds of ours, rivals, known addresses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import target
from benchmarks.rivals import RIVALS
from benchmarks.target import Fake, Target


@dataclass(frozen=True)
class Candidate:
    """One column of the tables."""

    name: str
    start: Callable[[], AbstractContextManager[Target]]
    build: tuple[str, ...] | None = None
    """The program, where it is a copilot-proxy."""
    can_start: bool = True
    """Whether a start of it can be measured."""


def ours(
    name: str, build: Sequence[str], fake: Fake, folder: Path, flags: Sequence[str]
) -> Candidate:
    """This proxy, or another build of it; `flags` are more flags of `serve`."""
    start = partial(target.ours, fake, folder, name=name, build=build, flags=flags)
    return Candidate(name, start, tuple(build))


def rival(name: str, fake: Fake, folder: Path) -> Candidate:
    """One of `RIVALS`."""
    return Candidate(name, partial(RIVALS[name].start, fake, folder))


def known(name: str, url: str) -> Candidate:
    """A server that runs already."""

    @contextmanager
    def running() -> Iterator[Target]:
        yield Target(name, url)

    return Candidate(name, running, can_start=False)
