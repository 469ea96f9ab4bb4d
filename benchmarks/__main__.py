"""`python -m benchmarks`: measure this proxy, and compare it with others in the same run.

Prints Markdown to standard output and progress to standard error. The fake upstream and the load
client share one core; the target has another one.
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
from benchmarks.machine_load import MachineLoad, warning
from benchmarks.measures import Measure, Result
from benchmarks.processes import HAS_PROC, helper
from benchmarks.report import LEGEND, Results
from benchmarks.rivals import RIVALS
from benchmarks.target import Fake, Target


def main() -> int:
    """Run the benchmarks; return the exit code, which is 1 if an answer was wrong."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        tls = [] if options.plain else ["--tls", str(folder)]
        address, _ = stack.enter_context(helper("upstream", *tls))
        bench = _Bench(options, Fake(**address), folder)
        machine = MachineLoad()
        bench.load()
        bench.starts()
        bench.commands()
        _report(bench, machine.other_cores())
    return 1 if bench.results.problems else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    names = [one.name for one in measures.MEASURES] + ["start", "commands"]
    parser.add_argument("--quick", action="store_true", help="about three minutes, one round")
    parser.add_argument(
        "--rounds", type=int, help="rounds per measurement (default: 3, or 1 with --quick)"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help=f"measures to run, such as 'paced-*'; may be repeated. All: {', '.join(names)}",
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
        "--rival",
        action="append",
        default=[],
        choices=RIVALS,
        help="another proxy to compare with; installed if missing",
    )
    parser.add_argument(
        "--url",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a running server to compare with",
    )
    parser.add_argument(
        "--direct", action="store_true", help="also measure the upstream without a proxy"
    )
    parser.add_argument(
        "--plain", action="store_true", help="do not use TLS between proxy and upstream"
    )
    options = parser.parse_args()
    if not HAS_PROC:
        parser.error("CPU and memory are read from /proc, which is missing: use Linux")
    options.rounds = options.rounds or (1 if options.quick else 3)
    return options


class _Bench:
    """One run of the harness."""

    def __init__(self, options: argparse.Namespace, fake: Fake, folder: Path) -> None:
        self.options = options
        self.fake = fake
        self.folder = folder
        self.candidates = list(_candidates(options, fake, folder))
        self.results = Results([one.name for one in self.candidates])

    def load(self) -> None:
        """Run the selected load measures; each round runs on all targets, one after another."""
        chosen = [one for one in measures.MEASURES if self._is_selected(one.name)]
        if not chosen:
            return
        with ExitStack() as stack:
            running = [(one, stack.enter_context(one.start())) for one in self.candidates]
            for measure in chosen:
                for _ in range(self.options.rounds):
                    for candidate, target in running:
                        if measure.needs_all_apis and not candidate.has_all_apis:
                            continue
                        _progress(f"{measure.name}: {candidate.name}")
                        result = self._round(measure, candidate, target)
                        self.results.add(measure.rows, candidate.name, result)

    def _round(self, measure: Measure, candidate: Candidate, target: Target) -> Result:
        """Run one round; memory is measured on a new process, since a process keeps the memory that
        it has used."""
        if not (measure.watch_memory and candidate.can_start):
            return runs.run(measure, target, self.fake, quick=self.options.quick)
        with candidate.start() as fresh:
            return runs.run(measure, fresh, self.fake, quick=self.options.quick)

    def starts(self) -> None:
        """Measure cold starts, and the memory of new processes."""
        if not self._is_selected("start"):
            return
        for _ in range(self.options.rounds):
            for one in self.candidates:
                if one.can_start:
                    _progress(f"start: {one.name}")
                    self.results.add(measures.START, one.name, runs.fresh(one.start, self.fake))

    def commands(self) -> None:
        """Measure commands that users type."""
        if not self._is_selected("commands"):
            return
        for _ in range(self.options.rounds):
            for one in self.candidates:
                if one.build is not None:
                    _progress(f"commands: {one.name}")
                    result = runs.commands(one.build, self.fake, self.folder)
                    self.results.add(measures.COMMANDS, one.name, result)

    def _is_selected(self, name: str) -> bool:
        return not self.options.only or any(fnmatch(name, one) for one in self.options.only)


def _candidates(options: argparse.Namespace, fake: Fake, folder: Path) -> Iterator[Candidate]:
    _progress("installing this checkout")
    build = own_build()
    yield candidates.ours("ours", build, fake, folder, options.flag)
    for number, text in enumerate(options.build, 1):
        name, _, program = text.rpartition("=")
        yield candidates.ours(name or f"build-{number}", [program], fake, folder, options.flag)
    for name in options.rival:
        yield candidates.rival(name, fake, folder)
    for text in options.url:
        name, _, url = text.partition("=")
        yield candidates.known(name, url)
    if options.direct:
        yield candidates.direct(fake)


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _report(bench: _Bench, other_cores: float) -> None:
    """Print the report."""
    upstream = "plain HTTP" if bench.options.plain else "TLS"
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores; upstream over {upstream}; {bench.options.rounds} round(s)"
        f"{', quick' if bench.options.quick else ''}. "
        f"Other processes used {other_cores:.2f} cores.\n"
    )
    print(bench.results.table())
    print(f"\n{LEGEND}")
    for text in filter(None, [warning(other_cores), *bench.results.problems]):
        print(f"\n**{text}**")


if __name__ == "__main__":
    sys.exit(main())
