"""Runs the cases of a parametrized test as one test if they need no fixtures.

Half of all cases call a function with a value, which takes less time than the three milliseconds
that pytest and pytest-xdist need for a test. A table that fails names all cases that fail.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, cast

import hypothesis
import pytest

AUTOMATIC: Final = {"clean_environment", "collect_garbage", "own_home", "a_fixed_clock"}
"""Fixtures that need not be set up for every case."""


def is_wanted(config: pytest.Config) -> bool:
    """Return whether to merge cases, which is unless the command line selects single ones."""
    return not config.option.keyword and not any("[" in argument for argument in config.args)


def merged(items: Sequence[object]) -> list[Any]:
    """Return one test that runs all cases of a table, or the given tests if they need fixtures.

    Args:
        items: What pytest has collected for one name in a module.
    """
    cases = [item for item in items if isinstance(item, pytest.Function)]
    if not 2 <= len(cases) == len(items) or not _is_plain(cases):
        return list(items)
    whole = all_of(cases[0].obj, {case.nodeid: case.callspec.params for case in cases})
    return [pytest.Function.from_parent(cases[0].parent, name=cases[0].originalname, callobj=whole)]


def _is_plain(cases: list[pytest.Function]) -> bool:
    """Return whether a test gets nothing but the values that its decorators list."""
    test = cases[0].obj
    listed = {name for mark in cases[0].own_markers for name in _names(mark)}
    fixtures = {*cases[0]._fixtureinfo.initialnames} - listed
    return (
        {*inspect.signature(test).parameters} == listed == {*cases[0].callspec.params}
        and fixtures <= AUTOMATIC
        and not inspect.iscoroutinefunction(test)
        and not hypothesis.is_hypothesis_test(test)
        # Other marks, of the test or of a case, are pytest's to handle.
        and all(_names(mark) for case in cases for mark in case.own_markers)
    )


def _names(mark: pytest.Mark) -> list[str]:
    """Return the arguments for which a mark lists values."""
    if mark.name != "parametrize" or mark.kwargs.get("indirect") or not mark.args:
        return []
    names = mark.args[0]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]


def all_of(
    test: Callable[..., object], cases: Mapping[str, Mapping[str, object]]
) -> Callable[[], None]:
    """Return a test that runs all cases and then fails like the first one that failed.

    Args:
        test: The test of one case.
        cases: The arguments of each case by its node id.
    """

    @wraps(test)
    def whole() -> None:
        __tracebackhide__ = True
        failures: dict[str, BaseException] = {}
        skips: list[BaseException] = []
        for case, arguments in cases.items():
            try:
                test(**arguments)
            except pytest.skip.Exception as skip:
                skips.append(skip)
            except (Exception, pytest.fail.Exception) as failure:
                failures[case] = failure
        if failures:
            first = next(iter(failures.values()))
            first.add_note(f"{len(failures)} of {len(cases)} cases failed. Run one of them with")
            for case in failures:
                first.add_note(f"pytest '{case}'")
            raise first
        if len(skips) == len(cases):
            raise skips[0]

    # Without these, pytest would take the arguments and the marks from the wrapped function.
    cast(Any, whole).__signature__ = inspect.Signature()
    cast(Any, whole).pytestmark = []
    return whole
