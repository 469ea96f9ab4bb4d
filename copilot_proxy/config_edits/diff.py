"""Shows what a change does to a file, as a unified diff."""

import difflib
from typing import Final

_MASK: Final = "********"


def diff(name: str, before: bytes | None, after: bytes | None, secret: str = "") -> str:
    """Return the difference between two versions of the file `name`; None means no file.

    `secret` is masked.
    """
    lines = difflib.unified_diff(
        _lines(before),
        _lines(after),
        name if before is not None else "(no file)",
        name if after is not None else "(no file)",
        n=2,
        lineterm="",
    )
    text = "\n".join(lines)
    return text.replace(secret, _MASK) if secret else text


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace").removeprefix("\ufeff")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
