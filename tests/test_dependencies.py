"""The dependencies match docs/security.md and have version bounds."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lowest import DEPENDENCIES, TESTS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURS = [Requirement(line) for line in DEPENDENCIES]
GROUPS = [line for group in PROJECT["dependency-groups"].values() for line in group]
TOOLS = [Requirement(line) for line in GROUPS if isinstance(line, str) and line not in DEPENDENCIES]


def table() -> dict[str, set[str]]:
    """The table in docs/security.md: our dependencies, and the dependencies of each."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.split("\n## Dependencies\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^|]+)` \| [^|]+ \|([^|]*)\|$", section, re.M)
    return {name: set(re.findall(r"`([^`]+)`", brought)) for name, brought in rows}


def needed(requirements: Iterable[Requirement], known: set[str]) -> Iterator[str]:
    """Return the dependencies of these packages that are not in `known`."""
    for one in requirements:
        name = canonicalize_name(one.name)
        if name in known:
            continue
        known.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # for another operating system
        yield name
        more = [Requirement(line) for line in lines]
        extras = ("", *one.extras)
        yield from needed(
            (
                r
                for r in more
                if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)
            ),
            known,
        )


@pytest.mark.parametrize("requirement", [*OURS, *TOOLS], ids=lambda one: one.name)
def test_each_has_its_bounds(requirement: Requirement) -> None:
    """Every dependency has a lower and an upper bound."""
    assert {">=", "<"} == {bound.operator for bound in requirement.specifier}


def test_nothing_unexpected_is_installed() -> None:
    """Every installed package is in the table."""
    documented = table()

    assert {canonicalize_name(one.name) for one in OURS} == set(documented)
    expected = set(documented).union(*documented.values())
    assert not set(needed(OURS, set())) - expected


@pytest.mark.parametrize("requirement", OURS, ids=lambda one: one.name)
def test_each_has_tests_for_its_lowest_version(requirement: Requirement) -> None:
    """`make lowest` runs tests that use the dependency, and finds them."""
    files = TESTS.get(requirement.name, ())

    assert files
    assert [] == [name for name in files if not (ROOT / "tests" / name).is_file()]
