"""Decodes JSON that is almost valid, with incomplete characters, NaN or infinities.

Models and clients sometimes cut off text in the middle of a character. The rest of the message
should not be lost because of that.
"""

import json
import re
from math import isfinite
from typing import Any, Final, NoReturn

_SURROGATES: Final = re.compile("[\ud800-\udfff]+")


def decode_leniently(data: bytes, *, strict: bool = False) -> Any:
    """Decode `data`, replacing what JSON does not allow.

    Incomplete characters become U+FFFD. NaN, infinities and numbers that are too large become None.

    If `strict`, only unpaired surrogate escapes are replaced; anything else is an error. Raises
    `ValueError` if `data` is not JSON.
    """
    try:
        text = data.decode("utf-8", "strict" if strict else "replace")
        number, constant = (_finite, _refuse) if strict else (_finite_or_null, _null)
        return _whole_characters(json.loads(text, parse_float=number, parse_constant=constant))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(number: str) -> float:
    value = float(number)
    return value if isfinite(value) else _refuse(number)


def _finite_or_null(number: str) -> float | None:
    value = float(number)
    return value if isfinite(value) else None


def _null(name: str) -> None:
    return None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _whole_characters(value: Any) -> Any:
    """Return `value` with unpaired surrogates replaced."""
    if isinstance(value, str):
        # `json` has already combined surrogate pairs that were written as two escapes.
        return _SURROGATES.sub(lambda found: "\ufffd" * len(found[0]), value)
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {_whole_characters(k): _whole_characters(v) for k, v in value.items()}
    return value
