"""Token counts in every format that models use."""

from typing import Any

import pytest

from copilot_proxy.formats.chat_completions.usage import repair_usage


def usage(prompt: int, completion: int, total: int, *, cached: int = 0, reasoning: int = 0) -> Any:
    """Return usage with all fields of OpenAI's schema."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
        "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param({}, usage(0, 0, 0), id="empty"),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
            usage(9, 2, 11),
            id="the three counts only",
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 2}, usage(9, 2, 11), id="no total"
        ),
        pytest.param(
            {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
             "completion_tokens_details": {"reasoning_tokens": 3},
             "prompt_tokens_details": {"cached_tokens": 4}},
            usage(9, 5, 14, cached=4, reasoning=3),
            id="OpenAI's shape",
        ),
        pytest.param(
            {"prompt_tokens": 900, "completion_tokens": 30, "total_tokens": 1010,
             "reasoning_tokens": 80},
            usage(900, 110, 1010, reasoning=80),
            id="Gemini's reasoning apart",
        ),
        pytest.param(
            {"prompt_tokens": 900, "completion_tokens": 110, "total_tokens": 1010,
             "reasoning_tokens": 80},
            usage(900, 110, 1010, reasoning=80),
            id="Gemini's reasoning counted already",
        ),
        pytest.param(
            {"prompt_tokens": None, "completion_tokens": "2", "total_tokens": -1,
             "prompt_tokens_details": None, "completion_tokens_details": []},
            usage(0, 0, 0),
            id="other types",
        ),
        pytest.param(
            {"prompt_tokens": 9.0, "completion_tokens": 2.0, "total_tokens": 11.0},
            usage(9, 2, 11),
            id="counts with a point",
        ),
    ],
)  # fmt: skip
def test_usage_has_openais_shape(theirs: Any, ours: Any) -> None:
    """Every field of OpenAI's usage is present as an integer, and the parts add up to the total."""
    assert ours == repair_usage(theirs)


def test_cache_writes_are_counted() -> None:
    """Claude's count of tokens written to the cache is kept, since they cost more."""
    repaired = repair_usage({"prompt_tokens_details": {"cache_creation_input_tokens": 6}})

    assert repaired is not None
    assert 6 == repaired["prompt_tokens_details"]["cache_creation_input_tokens"]


@pytest.mark.parametrize("value", [None, [], "x", 5])
def test_missing_usage_is_none(value: object) -> None:
    """If a model sends no counts, none are invented."""
    assert repair_usage(value) is None
