"""Which cases `make test` leaves out."""

from itertools import product

import pytest

from tests import selection
from tests.selection import covering, every_value, first, sample, share


@pytest.fixture(autouse=True)
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Select cases as outside CI."""
    monkeypatch.setattr(selection, "COMPLETE", False)


def test_a_sample_has_one_of_each_group() -> None:
    """Each group contributes one case, each from a different position in its group."""
    assert [0, 4, 8] == sample(range(9), alike=lambda number: number // 3)
    assert ["a"] == first("abc")


def test_every_value_is_covered() -> None:
    """Not all pairs are chosen, but the choice is always the same, and in the original order."""
    pairs = list(product("abcd", range(6)))

    chosen = covering(pairs, lambda pair: pair[0], lambda pair: pair[1])

    assert ({*"abcd"}, {*range(6)}) == tuple(map(set, zip(*chosen, strict=True)))
    assert len(chosen) <= 9
    assert chosen == [pair for pair in pairs if pair in chosen]
    assert chosen == covering(pairs, lambda pair: pair[0], lambda pair: pair[1])


def test_combinations_cover_every_value() -> None:
    """Decorators are combined into one, whose cases have the ids that pytest would give them."""

    @every_value
    @pytest.mark.parametrize("size", [1, 2, 3])
    @pytest.mark.parametrize(("api", "fields"), [("chat", {}), pytest.param("old", {}, id="old")])
    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
    def test(size: int, api: str, fields: object, stream: bool) -> None: ...

    (mark,) = getattr(test, "pytestmark")  # noqa: B009  # mypy does not know it
    ids = [case.id for case in mark.args[1]]
    assert ["stream", "api", "fields", "size"] == mark.args[0]
    assert 3 <= len(ids) <= 4
    assert {"stream", "whole", "chat", "fields0", "old", "1", "2", "3"} == {
        part for id in ids for part in id.split("-")
    }


def test_cases_are_divided() -> None:
    """Each key gets a share; equal keys get the same share, and every case is in some share."""
    shares = [share(range(10), number, 3) for number in range(20)]

    assert {*range(10)} == {case for cases in shares for case in cases}
    assert all(3 <= len(cases) <= 4 for cases in shares)
    assert shares[7] == share(range(10), 7, 3)


def test_ci_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case runs."""
    monkeypatch.setattr(selection, "COMPLETE", True)

    assert [*range(9)] == sample(range(9), alike=lambda number: 0)
    assert [*range(9)] == covering(range(9), lambda number: 0)
    assert [*range(9)] == list(share(range(9), "key", 3))
