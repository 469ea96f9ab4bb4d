"""Runs checks in parallel, since most of them wait for something."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from copilot_proxy.daemon_threads import submit
from copilot_proxy.doctor.check_context import CheckContext
from copilot_proxy.doctor.results import Check, Result, Status, broken, from_error
from copilot_proxy.errors import CopilotProxyError
from copilot_proxy.masking import mask

_REPORT: Final = "Please report this with the output of: copilot-proxy doctor --report"
_SEVERITY: Final = {Status.BROKEN: 2, Status.WARNING: 1}


@dataclass(frozen=True)
class Finding:
    """A result, and the check that found it."""

    check: Check
    result: Result


def run_checks(context: CheckContext, checks: Iterable[Check]) -> list[Finding]:
    """Run the checks and return their findings, in the order of the checks.

    If a check finds problems, its results that are not problems are left out.
    """
    running = [(check, _start(check, context)) for check in checks]
    findings: list[Finding] = []
    for check, future in running:
        wait([future], max(0.0, context.deadline - time.monotonic()))
        results = _relevant(_results(future, context.seconds))
        findings += [Finding(check, _shown(one)) for one in results]
    return findings


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 0 if all is well, 1 if there are warnings, 2 if something is broken."""
    return max((_SEVERITY.get(one.result.status, 0) for one in findings), default=0)


def fix(findings: Iterable[Finding]) -> list[Finding]:
    """Apply the safe fixes, and return the findings with descriptions of what was done."""
    return [replace(one, result=_fixed(one.result)) for one in findings]


def _start(check: Check, context: CheckContext) -> "Future[list[Result]]":
    return submit(lambda: list(check.run(context)))


def _results(future: "Future[list[Result]]", seconds: float) -> list[Result]:
    if not future.done():
        return [broken(f"The check did not finish within {seconds:.0f} seconds.", _REPORT)]
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, CopilotProxyError):
        return [from_error(error)]
    return [broken(f"The check itself failed ({type(error).__name__}: {error}).", _REPORT)]


def _relevant(results: Sequence[Result]) -> Sequence[Result]:
    problems = [result for result in results if result.status in _SEVERITY]
    return problems or results


def _fixed(result: Result) -> Result:
    if result.fix is None:
        return result
    try:
        done = result.fix()
    except OSError as error:
        return replace(result, what=f"{result.what} It could not be fixed: {error.strerror}.")
    return _shown(Result(Status.FIXED, f"{result.what} {done}"))


def _shown(result: Result) -> Result:
    """Return the result without secrets, and with ``~`` for the home folder."""
    remedy = None if result.remedy is None else _plain(result.remedy)
    return replace(result, what=_plain(result.what), remedy=remedy)


def _plain(text: str) -> str:
    return mask(" ".join(text.split())).replace(str(Path.home()), "~")
