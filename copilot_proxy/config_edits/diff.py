"""Shows what a change does to a file, as a unified diff."""

import difflib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

_MASK: Final = "********"
_MAX_NEW_LINES: Final = 20
"""A new file with more lines than this is not shown."""
_MAX_RUN: Final = 20
"""Runs of added or removed lines that are longer than this are shortened."""
_RUN_START: Final = 16
"""How many lines of a shortened run are shown."""


def diff(name: str, before: bytes | None, after: bytes | None, secret: str = "") -> str:
    """Return the difference between two versions of the file `name`; None means no file.

    `secret` is masked.
    """
    old = name if before is not None else "(no file)"
    new = name if after is not None else "(no file)"
    lines = difflib.unified_diff(_lines(before), _lines(after), old, new, n=2, lineterm="")
    # There are no lines if only line endings change, or if an empty file is removed.
    text = "\n".join(lines) or f"--- {old}\n+++ {new}"
    return text.replace(secret, _MASK) if secret else text


def brief(lines: Sequence[str], width: int) -> list[str]:
    """Return the lines of a diff, shortened for reading on a terminal with `width` columns.

    Every change remains visible, but a long one, such as a list of models, is shortened.
    """
    before, after, *changed = lines
    added = len(changed) - 1
    if before.startswith("--- (no file)") and added > _MAX_NEW_LINES:
        return [f"New file {after.removeprefix('+++ ')}, {added:,} lines"]
    return [
        line if len(line) <= width else f"{line[: width - 1]}…"
        for line in [before, after, *_shortened(changed)]
    ]


def _shortened(lines: Sequence[str]) -> Iterator[str]:
    for sign, group in groupby(lines, key=lambda line: line[:1]):
        run = list(group)
        if sign in ("+", "-") and len(run) > _MAX_RUN:
            yield from run[:_RUN_START]
            yield f"{sign} … {len(run) - _RUN_START:,} more lines"
        else:
            yield from run


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
