"""Tables that run as one test."""

from collections.abc import Mapping

import pytest

from tests.tables import all_of

CASES: Mapping[str, Mapping[str, object]] = {f"test_x[{n}]": {"number": n} for n in range(4)}


@pytest.mark.parametrize("number", range(3))
def test_plain_cases(number: int) -> None:
    """The cases below run in one test, without the number in its name."""
    assert number < 3


def test_a_table_is_one_test(request: pytest.FixtureRequest) -> None:
    """A table without fixtures is collected as one test, unless a case is selected."""
    names = {item.name for item in request.session.items if item.path == request.path}
    selected = request.config.option.keyword or any("[" in arg for arg in request.config.args)

    assert bool(selected) or "test_plain_cases" in names


def test_every_case_runs() -> None:
    """Cases after a failure run as well; the failure names all that failed."""
    seen = []

    def test(number: int) -> None:
        seen.append(number)
        assert number % 2 == 0

    with pytest.raises(AssertionError) as failure:
        all_of(test, CASES)()

    assert [0, 1, 2, 3] == seen
    assert ["pytest 'test_x[1]'", "pytest 'test_x[3]'"] == failure.value.__notes__[1:]


def test_skipped_cases() -> None:
    """A table counts as skipped if all its cases are."""

    def test(number: int) -> None:
        pytest.skip("not possible here")

    def other(number: int) -> None:
        if number:
            pytest.skip("not possible here")

    with pytest.raises(pytest.skip.Exception):
        all_of(test, CASES)()
    all_of(other, CASES)()
