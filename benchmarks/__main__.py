"""`python -m benchmarks`: measures this proxy, beside others in the same run.

Prints Markdown to standard output and progress to standard error. The fake upstream and the load
client share one core, the target has the other.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import candidates, measures, runs
from benchmarks.candidates import Candidate
from benchmarks.installed import own_build
from benchmarks.measures import Measure
from benchmarks.noise import Noise, warning
from benchmarks.processes import HAS_PROC, helper
from benchmarks.report import LEGEND, Results
from benchmarks.rivals import RIVALS
from benchmarks.target import Fake, Target


def main() -> int:
    """The exit code: 1 if an answer was wrong."""
    given = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        tls = [] if given.plain else ["--tls", str(folder)]
        told, _ = stack.enter_context(helper("upstream", *tls))
        bench = _Bench(given, Fake(**told), folder)
        noise = Noise()
        bench.load()
        bench.starts()
        bench.commands()
        _tell(bench, noise.others())
    return 1 if bench.results.problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [one.name for one in measures.MEASURES] + ["start", "commands"]
    parser.add_argument("--quick", action="store_true", help="about two minutes, one round")
    parser.add_argument("--rounds", type=int, help="how often each is measured (3; quick: 1)")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"measures of that name, such as 'paced-*'; may be repeated. All: {', '.join(names)}",
    )
    parser.add_argument(
        "--build",
        action="append",
        default=[],
        metavar="[NAME=]PROGRAM",
        help="another copilot-proxy to compare with, such as /path/.venv/bin/copilot-proxy",
    )
    parser.add_argument(
        "--flag", action="append", default=[], help="flag for `serve`, such as --flag=--workers=2"
    )
    parser.add_argument(
        "--rival", action="append", default=[], choices=RIVALS, help="installed where it is missing"
    )
    parser.add_argument(
        "--url", action="append", default=[], metavar="NAME=URL", help="a server that runs already"
    )
    parser.add_argument("--direct", action="store_true", help="the upstream without any proxy, too")
    parser.add_argument("--plain", action="store_true", help="no TLS between proxy and upstream")
    given = parser.parse_args()
    if not HAS_PROC:
        parser.error("CPU and memory are read from /proc, which is not here: use Linux")
    given.rounds = given.rounds or (1 if given.quick else 3)
    if given.direct and not given.plain:
        parser.error("--direct needs --plain: the load client speaks no TLS")
    return given


class _Bench:
    """One run of the harness."""

    def __init__(self, given: argparse.Namespace, fake: Fake, folder: Path) -> None:
        self.given = given
        self.fake = fake
        self.folder = folder
        self.candidates = list(_candidates(given, fake, folder))
        self.results = Results([one.name for one in self.candidates])

    def load(self) -> None:
        """What the load client measures, target after target in every round."""
        chosen = [one for one in measures.MEASURES if self._is_wanted(one.name)]
        if not chosen:
            return
        with ExitStack() as stack:
            running = [(one, stack.enter_context(one.start())) for one in self.candidates]
            for measure in chosen:
                for _ in range(self.given.rounds):
                    for candidate, target in running:
                        if measure.only_ours and candidate.build is None:
                            continue
                        _say(f"{measure.name}: {candidate.name}")
                        told = self._told(measure, candidate, target)
                        self.results.add(measure.rows, candidate.name, told)

    def _told(self, measure: Measure, candidate: Candidate, target: Target) -> runs.Json:
        """One round; of one that was just started where it is about memory, which stays taken."""
        if not (measure.watch_memory and candidate.can_start):
            return runs.run(measure, target, self.fake, quick=self.given.quick)
        with candidate.start() as fresh:
            return runs.run(measure, fresh, self.fake, quick=self.given.quick)

    def starts(self) -> None:
        """Cold starts, and memory of what was just started."""
        if not self._is_wanted("start"):
            return
        for _ in range(self.given.rounds):
            for one in self.candidates:
                if one.can_start:
                    _say(f"start: {one.name}")
                    self.results.add(measures.START, one.name, runs.fresh(one.start, self.fake))

    def commands(self) -> None:
        """Commands that people type."""
        if not self._is_wanted("commands"):
            return
        for _ in range(self.given.rounds):
            for one in self.candidates:
                if one.build is not None:
                    _say(f"commands: {one.name}")
                    told = runs.commands(one.build, self.fake, self.folder)
                    self.results.add(measures.COMMANDS, one.name, told)

    def _is_wanted(self, name: str) -> bool:
        return not self.given.only or any(fnmatch(name, one) for one in self.given.only)


def _candidates(given: argparse.Namespace, fake: Fake, folder: Path) -> Iterator[Candidate]:
    _say("installing what is here")
    yield candidates.ours("ours", own_build(), fake, folder, given.flag)
    for number, text in enumerate(given.build, 1):
        name, _, program = text.rpartition("=")
        yield candidates.ours(name or f"build-{number}", [program], fake, folder, given.flag)
    for name in given.rival:
        yield candidates.rival(name, fake, folder)
    for text in given.url:
        name, _, url = text.partition("=")
        yield candidates.known(name, url)
    if given.direct:
        yield candidates.known("direct", fake.url)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _tell(bench: _Bench, others: float) -> None:
    """The report."""
    upstream = "plain HTTP" if bench.given.plain else "TLS"
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; upstream over {upstream}; {bench.given.rounds} round(s)"
        f"{', quick' if bench.given.quick else ''}. Others used {others:.2f} cores.\n"
    )
    print(bench.results.table())
    print(f"\n{LEGEND}")
    for text in filter(None, [warning(others), *bench.results.problems]):
        print(f"\n**{text}**")


if __name__ == "__main__":
    sys.exit(main())
