"""What counts for an estimate of tokens."""

from copilot_proxy.formats.messages.token_estimate import (
    DOCUMENT_TOKENS,
    IMAGE_TOKENS,
    media_tokens,
    text_of,
)
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
ASKED = request(
    user("Hi"),
    assistant(THOUGHT, text("I look."), use(name="look", input={"at": "it"})),
    user(result(content=[text("seen"), IMAGE]), result("b", "plain"), IMAGE, PDF, PAGE),
    system=[text("Be brief.")],
    tools=[{"name": "look", "description": "Looks.", "input_schema": {"type": "object"}}],
)


def test_every_text_counts_once() -> None:
    """The system prompt, tools and messages count, and no ids, signatures or base64."""
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
    ] == text_of(ASKED).split("\n")


def test_images_and_papers_count_by_the_piece() -> None:
    """Images, also in results, and documents that are no text have a fixed number each."""
    assert 2 * IMAGE_TOKENS + DOCUMENT_TOKENS == media_tokens(ASKED)
    assert 0 == media_tokens(request(user("Hi"), system="Be brief."))
