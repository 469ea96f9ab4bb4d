"""Describes what makes a request large, for the error if Copilot finds it too large."""

from typing import Any, Final

from copilot_proxy.formats.types import UpstreamBody

_MIN_DATA: Final = 1000
"""Length from which a text in one of the `_DATA_KEYS` is the data of an image or file."""
_DATA_KEYS: Final = ("url", "image_url", "file_data", "data")
"""The keys for data in Chat Completions, Responses and Messages."""


def describe_size(body: UpstreamBody) -> str:
    """Return a sentence with the size of `body`, and of the images and files in it."""
    total = 0
    data: list[int] = []
    values: list[tuple[str, Any]] = [("", body)]
    while values:
        key, value = values.pop()
        if isinstance(value, str):
            total += len(value)
            if key in _DATA_KEYS and len(value) >= _MIN_DATA:
                data.append(len(value))
        elif isinstance(value, dict):
            values += value.items()
        elif isinstance(value, list):
            values += [("", item) for item in value]
    if not data:
        return f"The text in the request takes up {_size(total)}."
    kinds = "image or file takes up" if len(data) == 1 else "images and files take up"
    largest = f"; the largest is {_size(max(data))}" if len(data) > 1 else ""
    return f"{len(data)} {kinds} {_size(sum(data))} of the request's {_size(total)}{largest}."


def _size(length: int) -> str:
    # Always with a decimal, because some clients retry if they find a number such as 429.
    return f"{max(length / 1_000_000, 0.1):.1f} MB"
