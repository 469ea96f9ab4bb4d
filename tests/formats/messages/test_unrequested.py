"""Fields of Claude's responses that clients expect only if they requested them."""

from typing import Final

import pytest

from copilot_proxy.formats.messages.api import MESSAGES
from copilot_proxy.formats.types import Json

assert MESSAGES.counting is not None
COUNTING: Final = MESSAGES.counting
APPLIED: Json = {"context_management": {"original_input_tokens": 9}}


@pytest.mark.parametrize("edits", [None, {"edits": []}])
def test_token_count(edits: Json | None) -> None:
    """A token count mentions the effect of edits only if the client sent edits."""
    request: Json = {"model": "m", "messages": [], "context_management": edits}

    counted = COUNTING.answer(request, {"input_tokens": 3, **APPLIED})

    assert {"input_tokens": 3, **(APPLIED if edits else {})} == counted


@pytest.mark.parametrize("answer", [None, [], {}, {"input_tokens": "3"}])
def test_answers_without_a_count(answer: object) -> None:
    """A response in another format is not treated as a token count."""
    assert COUNTING.answer({"model": "m", "messages": []}, answer) is None
