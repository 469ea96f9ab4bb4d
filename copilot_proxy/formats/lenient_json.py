"""Reads JSON that is not quite JSON: half characters, and numbers that JSON does not have.

Models and clients cut texts in the middle of a character; the rest of what they say is not to be
lost for that.
"""

import json
from typing import Any


def decode_leniently(data: bytes, *, strict: bool = False) -> Any:
    """The JSON of `data`, with the replacement character for what is no character, and null for
    NaN and the infinities.

    If `strict`, only for half characters that were escaped. Raises `ValueError` for all else.
    """
    try:
        text = data.decode("utf-8", "strict" if strict else "replace")
        return _whole_characters(json.loads(text, parse_constant=_refuse if strict else _null))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _null(name: str) -> None:
    return None


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _whole_characters(value: Any) -> Any:
    """`value` with the halves of a character joined where both are there, else replaced."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_whole_characters(one) for one in value]
    if isinstance(value, dict):
        return {_whole_characters(k): _whole_characters(v) for k, v in value.items()}
    return value
