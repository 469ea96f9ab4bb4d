"""Formats sizes in messages to users."""

from typing import Final

_UNITS: Final = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def size_text(count: int) -> str:
    """Return a size such as ``32 MiB``; in bytes if it is not a whole number of a larger unit."""
    for size, unit in _UNITS:
        if count >= size and count % size == 0:
            return f"{count // size:,} {unit}"
    return f"{count:,} byte{'' if count == 1 else 's'}"
