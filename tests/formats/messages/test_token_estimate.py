"""Which parts of a request an estimate counts as tokens."""

from copilot_proxy.formats.messages.token_estimate import media_tokens, text_of
from copilot_proxy.formats.token_estimate import DOCUMENT_TOKENS, IMAGE_TOKENS
from tests.formats.messages.samples import (
    IMAGE,
    PIXEL,
    THOUGHT,
    assistant,
    request,
    result,
    text,
    use,
    user,
)

PDF = {"type": "document", "title": "Paper", "source": {"type": "base64", "data": PIXEL}}
PAGE = {"type": "document", "source": {"type": "text", "data": "words of a page"}}
REQUEST = request(
    user("Hi"),
    assistant(THOUGHT, text("I look."), use(name="look", input={"at": "it"})),
    user(result(content=[text("seen"), IMAGE]), result("b", "plain"), IMAGE, PDF, PAGE),
    system=[text("Be brief.")],
    tools=[{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
)


def test_every_text_counts_once() -> None:
    """The system prompt, tools and messages count; ids, signatures and base64 do not."""
    assert [
        "Be brief.",
        "look",
        "Looks.",
        '{"type":"object"}',
        "Hi",
        "Hm.",
        "I look.",
        "look",
        '{"at":"it"}',
        "seen",
        "plain",
        "Paper",
        "words of a page",
    ] == text_of(REQUEST).split("\n")


def test_images_and_pdfs_have_a_fixed_count() -> None:
    """Each image, even in a tool result, and each document that is not text has a fixed count."""
    assert 2 * IMAGE_TOKENS + DOCUMENT_TOKENS == media_tokens(REQUEST)
    assert 0 == media_tokens(request(user("Hi"), system="Be brief."))
