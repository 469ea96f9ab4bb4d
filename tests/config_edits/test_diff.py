"""How file changes are shown to the user."""

from collections.abc import Sequence
from pathlib import Path

from copilot_proxy.config_edits.changes import Change, JsonValues, TomlTables, WholeFile
from copilot_proxy.config_edits.diff import brief, diff


def test_diff() -> None:
    """The diff shows what changes, without the key."""
    shown = diff("~/f", b'{\r\n"a": 1\r\n}', b'{\r\n"key": "secret",\r\n"a": 1\r\n}', "secret")

    assert ['+"key": "********",'] == [one for one in shown.split("\n") if one.startswith('+"')]
    assert diff("~/f", None, b"x\n").startswith("--- (no file)\n+++ ~/f\n")
    assert diff("~/f", b"x\n", None).startswith("--- ~/f\n+++ (no file)\n")


def test_a_brief_diff() -> None:
    """All changes of a long diff are visible, in lines that fit; a long new file is only named."""
    before = "a\n" + "x" * 200 + "\nb\nlast\n"
    after = "a\n" + "n\n" * 500 + "y" * 200 + "\nb\nnew last\n"
    lines = brief(diff("~/f", before.encode(), after.encode()).split("\n"), 80)

    assert {"-last", "+new last", "+ … 485 more lines"} <= set(lines)
    assert all(len(line) <= 80 for line in lines)
    assert "-" + "x" * 78 + "…" in lines
    assert len(lines) < 30
    new = diff("~/f", None, b"n\n" * 2000).split("\n")
    assert ["New file ~/f, 2,000 lines"] == brief(new, 80)
    short = diff("~/f", None, b"n\n" * 20).split("\n")
    assert short == brief(short, 80)


def test_a_diff_without_lines() -> None:
    """If a change is not visible in the lines, its file is still named."""
    assert ["--- ~/f", "+++ (no file)"] == brief(diff("~/f", b"", None).split("\n"), 80)
    assert ["--- ~/f", "+++ ~/f"] == brief(diff("~/f", b"a\r\n", b"a\n").split("\n"), 80)


def shown(changes: Sequence[Change]) -> list[str]:
    return [change.shown() for change in changes]


def test_lines_to_add_by_hand() -> None:
    """Each change can be printed for users who make it themselves."""
    path = Path("f")
    assert '{\n  "a": {\n    "b": 1\n  }\n}\n' == JsonValues(path, [(("a", "b"), 1)]).shown()
    assert ["x\n", "y\n"] == shown([WholeFile(path, "x\n"), TomlTables(path, "y\n")])


def test_a_new_file_has_the_values_in_the_order_shown() -> None:
    """Values written to an empty file look like the output of `--print`."""
    change = JsonValues(Path("x.json"), [((name, "value"), 1) for name in "cab"])

    assert change.shown() == change.applied(None).decode()
