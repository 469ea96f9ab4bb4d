"""Formats sizes in messages to users."""

from typing import Final

_UNITS: Final = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def size_text(count: int) -> str:
    """Return a size in the largest unit in which it is a whole number, such as ``32 MiB``."""
    for size, unit in _UNITS:
        if count >= size and count % size == 0:
            return f"{count // size:,} {unit}"
    return f"{count:,} byte{'' if count == 1 else 's'}"
