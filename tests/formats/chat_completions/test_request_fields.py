"""What becomes of each field of OpenAI's request, for a model of each vendor: one table."""

from typing import Any, Final

import pytest

from copilot_proxy.errors import RequestError
from tests.formats.requests import TOOL, asked, for_chat, recorded, user

OPENAIS_FIELDS: Final = [
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model",
    "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
    "verbosity", "web_search_options",
]  # fmt: skip
"""The fields of CreateChatCompletionRequest."""

MODELS: Final = ("gpt-4o", "gpt-5-mini", "claude-sonnet-4.6", "gemini-3.1-pro-preview")

TABLE: Final[dict[str, tuple[Any, str]]] = {
    # kept: as it came.  gone: dropped, and a note says so.  quiet: dropped, as it changes nothing.
    # refused: with an error.  Another field's name: moved there, and a note says so.
    #                        a value           gpt-4o  gpt-5  claude  gemini
    "audio": ({"voice": "alloy", "format": "mp3"}, "kept kept gone gone"),
    "frequency_penalty": (0.5, "kept kept gone gone"),
    "function_call": ("auto", "refused refused refused refused"),
    "functions": ([{"name": "f"}], "refused refused refused refused"),
    "logit_bias": ({"50256": -100}, "kept kept gone gone"),
    "logprobs": (True, "kept kept gone gone"),
    "max_completion_tokens": (5, "max_tokens kept max_tokens max_tokens"),
    "max_tokens": (5, "kept max_completion_tokens kept kept"),
    "messages": ([user("Hello")], "kept kept kept kept"),
    "metadata": ({"a": "b"}, "gone gone gone gone"),
    "modalities": (["text"], "kept kept gone gone"),
    "model": ("m", "id id id id"),
    "moderation": ({"model": "m"}, "kept kept gone gone"),
    "n": (1, "quiet quiet quiet quiet"),
    "parallel_tool_calls": (False, "kept kept kept kept"),
    "prediction": ({"type": "content", "content": "x"}, "kept kept gone gone"),
    "presence_penalty": (0.5, "kept kept gone gone"),
    "prompt_cache_key": ("k", "kept kept gone gone"),
    "prompt_cache_options": ({"ttl": "30m"}, "kept kept gone gone"),
    "prompt_cache_retention": ("24h", "kept kept gone gone"),
    "reasoning_effort": ("low", "gone kept kept kept"),
    "response_format": ({"type": "json_object"}, "kept kept kept kept"),
    "safety_identifier": ("s", "gone gone gone gone"),
    "seed": (7, "kept kept gone gone"),
    "service_tier": ("auto", "gone gone gone gone"),
    "stop": (["."], "kept kept kept kept"),
    "store": (False, "gone gone gone gone"),
    "stream": (True, "kept kept kept kept"),
    "stream_options": ({"include_usage": True}, "quiet quiet quiet quiet"),
    "temperature": (0.5, "kept gone kept kept"),
    "tool_choice": ("auto", "kept kept kept kept"),
    "tools": ([TOOL], "kept kept kept kept"),
    "top_logprobs": (2, "kept kept gone gone"),
    "top_p": (0.5, "kept gone kept kept"),
    "user": ("u", "kept kept gone gone"),
    "verbosity": ("low", "kept kept gone gone"),
    "web_search_options": ({}, "kept kept gone gone"),
}


def test_the_table_is_complete() -> None:
    """Every field of OpenAI's has its line, in order, and there is no other."""
    assert OPENAIS_FIELDS == list(TABLE)


@pytest.mark.parametrize("model_id", MODELS)
@pytest.mark.parametrize("field", TABLE)
def test_each_field_of_openais(field: str, model_id: str) -> None:
    """A field is passed on, moved, dropped with a note, or refused: as the table says."""
    value, fates = TABLE[field]
    fate = fates.split()[MODELS.index(model_id)]
    model = recorded(model_id)

    if fate == "refused":
        with pytest.raises(RequestError) as caught:
            asked(**{field: value})
        assert (field, "unsupported_parameter") == (caught.value.param, caught.value.code)
        return

    plain, _ = for_chat(asked(), model)
    body, notes = for_chat(asked(**{field: value}), model)
    for message in body["messages"]:
        message.pop("copilot_cache_control", None)  # of its own tests
    for message in plain["messages"]:
        message.pop("copilot_cache_control", None)
    match fate:
        case "kept":
            assert value == body[field]
            assert [] == notes
        case "id":
            assert model_id == body["model"]
            assert [] == notes
        case "gone":
            assert plain == body
            assert [f"dropped {field}"] == [note.partition(":")[0] for note in notes]
        case "quiet":
            assert plain == body
            assert [] == notes
        case other:
            assert value == body[other]
            assert field not in body
            assert [f"renamed {field}: {other}"] == notes


@pytest.mark.parametrize("model_id", MODELS)
@pytest.mark.parametrize("field", [f for f in TABLE if f not in ("model", "messages")])
def test_a_null_field_is_as_good_as_none(field: str, model_id: str) -> None:
    """Null means not set: it is neither sent nor worth a note."""
    assert for_chat(asked(), recorded(model_id)) == (
        for_chat(asked(**{field: None}), recorded(model_id))
    )


@pytest.mark.parametrize("field", [f for f in TABLE if f not in ("model", "messages")])
def test_without_a_catalogue_only_what_no_model_takes_is_dropped(field: str) -> None:
    """When the list of models cannot be had, everything else is left for Copilot to judge."""
    value, fates = TABLE[field]
    if "refused" in fates:
        return
    body, notes = for_chat(asked(**{field: value}), None)

    if {"gone"} == set(fates.split()):
        assert [f"dropped {field}"] == [note.partition(":")[0] for note in notes]
    elif "quiet" in fates:
        assert field not in body
    else:
        assert value == body[field]
        assert [] == notes
