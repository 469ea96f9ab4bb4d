"""The estimated length of answers that were cut off."""

from copilot_proxy.cost.estimated_tokens import (
    TOKENS_PER_ANSWER,
    TOKENS_PER_EVENT,
    AnswerSizes,
)


def test_answers_of_the_same_model() -> None:
    """Only complete answers of the model count, and only streamed ones for the size of an event."""
    sizes = AnswerSizes()
    sizes.learn("gpt", events=100, tokens=300)
    sizes.learn("gpt", events=300, tokens=500)
    sizes.learn("gpt", events=0, tokens=100)

    assert 300 == sizes.per_answer("gpt")
    assert 2 == sizes.per_event("gpt")
    assert TOKENS_PER_ANSWER == sizes.per_answer("claude")
    assert TOKENS_PER_EVENT == sizes.per_event("claude")
