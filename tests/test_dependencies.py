"""What an installation brings along is what docs/security.md says, and nothing comes unbounded."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
OURS = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
GROUPS = [line for group in PROJECT["dependency-groups"].values() for line in group]
TOOLS = [Requirement(line) for line in GROUPS if isinstance(line, str)]


def table() -> dict[str, set[str]]:
    """The table in docs/security.md: each package that we name, and those that it brings."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.split("\n## Dependencies\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^|]+)` \| [^|]+ \|([^|]*)\|$", section, re.M)
    return {name: set(re.findall(r"`([^`]+)`", brought)) for name, brought in rows}


def needed(requirements: Iterable[Requirement], known: set[str]) -> Iterator[str]:
    """All that these need here, each name once; `known` are those that were told already."""
    for one in requirements:
        name = canonicalize_name(one.name)
        if name in known:
            continue
        known.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue  # of another system
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
    """The oldest version that is known to do, and the next one that may break something."""
    assert {">=", "<"} == {bound.operator for bound in requirement.specifier}


def test_nothing_unexpected_is_installed() -> None:
    """A package that comes along has been looked at, and stands in the table."""
    documented = table()

    assert {canonicalize_name(one.name) for one in OURS} == set(documented)
    expected = set(documented).union(*documented.values())
    assert not set(needed(OURS, set())) - expected
