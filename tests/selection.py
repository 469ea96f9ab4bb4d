"""Chooses the cases that `make test` runs.

CI runs every case. Elsewhere, the suite should take three minutes on two cores, so tables whose
cases run the same code many times are sampled, and property tests try fewer examples, which differ
in every run. With CI=true, every case runs anywhere.
"""

import os
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import chain, product
from operator import itemgetter
from typing import Any, Final, TypeVar
from zlib import crc32

import hypothesis
import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.model_profiles import Api, profile_of

T = TypeVar("T")
Test = TypeVar("Test", bound=Callable[..., object])

COMPLETE: Final = "CI" in os.environ
"""Whether every case runs."""
_VALUES: Final[dict[str, Any]] = {
    "id": None,
    "efforts": None,
    "max_budget": None,
    "max_output": None,
    "max_unstreamed_output": None,
    "default_output": None,
    "default_unstreamed_output": None,
}
"""Replaces names and numbers in a profile, which do not affect which code runs."""
_EXAMPLES: Final = 100 if COMPLETE else 5
"""The number of examples for property tests that do not set their own."""

hypothesis.settings.register_profile(
    "selection",
    hypothesis.settings.get_profile("ci" if COMPLETE else "default"),
    max_examples=_EXAMPLES,
    # The duration of an example depends on the machine, not on the program.
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("selection")


def examples(number: int) -> hypothesis.settings:
    """Return settings for `number` examples in CI, and for a twentieth of them elsewhere."""
    return hypothesis.settings(max_examples=number if COMPLETE else max(3, number // 20))


def sample(cases: Iterable[T], alike: Callable[[Any], Hashable]) -> list[T]:
    """Return all cases in CI, and elsewhere one of each group of cases that are `alike`.

    Cases are alike if the function returns the same value for them. The first group contributes its
    first case, the second group its second case, and so on, so that other properties vary. The
    result is the same in every process, as pytest-xdist requires.
    """
    if COMPLETE:
        return list(cases)
    groups: dict[Hashable, list[T]] = {}
    for case in cases:
        groups.setdefault(alike(case), []).append(case)
    return [group[number % len(group)] for number, group in enumerate(groups.values())]


def first(cases: Iterable[T]) -> list[T]:
    """Return all cases in CI, and only the first elsewhere, for programs that take seconds."""
    return sample(cases, alike=lambda case: None)


def covering(cases: Iterable[T], *keys: Callable[[Any], Hashable]) -> list[T]:
    """Return all cases in CI, and elsewhere enough of them to cover every value of each key."""
    given = list(cases)
    if COMPLETE:
        return given
    values = [{(number, key(case)) for number, key in enumerate(keys)} for case in given]
    # Shuffled, so that values of one key are not all combined with the same value of another.
    order = random.Random(len(given)).sample(range(len(given)), len(given))
    seen: set[Hashable] = set()
    chosen = []
    # Cases with several new values come first, so that fewer are needed.
    for new in range(len(keys), 0, -1):
        for index in order:
            if len(values[index] - seen) >= new:
                seen |= values[index]
                chosen.append(index)
    return [given[index] for index in sorted(chosen)]


def crossed(**arguments: Iterable[Any]) -> pytest.MarkDecorator:
    """Parametrize a test with all combinations of values in CI.

    Elsewhere, use enough of them to cover every value.
    """
    values = [list(each) for each in arguments.values()]
    chosen = covering(product(*map(range, map(len, values))), *map(itemgetter, range(len(values))))
    cases = [[one[index] for one, index in zip(values, case, strict=True)] for case in chosen]
    return pytest.mark.parametrize(list(arguments), cases)


def every_value(test: Test) -> Test:
    """Select the combinations of a test's `parametrize` decorators, which come below this one.

    All of them run in CI. Elsewhere, enough run to cover every value of each decorator.
    """
    if COMPLETE:
        return test
    marked: Any = test
    axes = [_axis(mark) for mark in marked.pytestmark]
    chosen = covering(product(*map(range, map(len, axes))), *map(itemgetter, range(len(axes))))
    names = [name for mark in marked.pytestmark for name in _names(mark)]
    cases = []
    for case in chosen:
        values, ids = zip(
            *(axis[index] for axis, index in zip(axes, case, strict=True)), strict=True
        )
        cases.append(pytest.param(*chain(*values), id="-".join(ids)))
    marked.pytestmark = [pytest.mark.parametrize(names, cases).mark]
    return test


def _names(mark: pytest.Mark) -> list[str]:
    """Return the arguments of a test that a `parametrize` decorator sets."""
    names = mark.args[0]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]


def _axis(mark: pytest.Mark) -> list[tuple[tuple[object, ...], str]]:
    """Return the values of a `parametrize` decorator, each with its id."""
    assert mark.name == "parametrize", mark
    assert mark.kwargs.keys() <= {"ids"}, mark
    names, ids = _names(mark), mark.kwargs.get("ids")
    given = ids if callable(ids) or ids is None else [*ids]
    axis = []
    for index, value in enumerate(mark.args[1]):
        own = getattr(value, "id", None) if hasattr(value, "marks") else None
        values = value.values if hasattr(value, "marks") else value
        if len(names) == 1 and values is value:
            values = (value,)
        parts = [_id(name, one, index, given) for name, one in zip(names, values, strict=True)]
        listed = str(given[index]) if isinstance(given, list) else None
        axis.append((tuple(values), own or listed or "-".join(parts)))
    return axis


def _id(name: str, value: object, index: int, make: object) -> str:
    """Return the id that pytest would give a value."""
    made = make(value) if callable(make) else None
    if made is not None:
        return str(made)
    return str(value) if isinstance(value, str | int | float | None) else f"{name}{index}"


def share(cases: Sequence[T], key: object, parts: int) -> Sequence[T]:
    """Return all cases in CI, and elsewhere every `parts`-th, starting with a case chosen by `key`.

    This way, tests with different keys share the work. Keys with the same `repr` are equal.
    """
    return cases if COMPLETE else cases[crc32(repr(key).encode()) % parts :: parts]


def amount(*, in_ci: int, elsewhere: int) -> int:
    """Return how many requests or connections a test makes."""
    return in_ci if COMPLETE else elsewhere


def only_in_ci(test: Test) -> Test | None:
    """Collect the decorated test only in CI."""
    return test if COMPLETE else None


def traits(model: Model, api: Api) -> Hashable:
    """Return a key that is equal for models that run the same code on `api`, a Copilot API."""
    return api, str(replace(profile_of(model, api), **_VALUES)), model.supports.get("vision")
