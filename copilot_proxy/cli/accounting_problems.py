"""Prints why the budget or the ledger cannot be used, for commands without a log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from copilot_proxy.cli.console import print_message

_LOGGERS: Final = (
    "copilot_proxy.budget.budget",
    "copilot_proxy.budget.limits_file",
    "copilot_proxy.ledger.writer",
)


class AccountingProblems(logging.Handler):
    """Collects errors from other threads, so that they are not printed in the middle of an
    answer."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._new: list[str] = []
        self._sources: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        # Keep only the first error of each source, because it causes the later ones.
        if record.name not in self._sources:
            self._sources.add(record.name)
            self._new.append(record.getMessage())

    def show(self) -> None:
        """Print the problems that have not been printed yet."""
        while self._new:
            print_message(self._new.pop(0))


@contextmanager
def collected_problems() -> Iterator[AccountingProblems]:
    """Collect problems while the block runs, and print the remaining ones when it ends."""
    problems = AccountingProblems()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(problems)
    try:
        yield problems
    finally:
        for logger in loggers:
            logger.removeHandler(problems)
        problems.show()
