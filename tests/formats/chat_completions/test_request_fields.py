"""What happens to each field of OpenAI's request, per vendor."""

from typing import Any, Final

import pytest

from copilot_proxy.errors import RequestError
from tests.formats.requests import TOOL, chat_request, for_chat, recorded, user
from tests.selection import crossed

MODELS: Final = ("gpt-4o", "gpt-5-mini", "claude-sonnet-4.6", "gemini-3.1-pro-preview")

TABLE: Final[dict[str, tuple[Any, str]]] = {
    # kept: unchanged.  gone: dropped with a note.  quiet: dropped without a note; nothing changes.
    # refused: with an error.  Another field's name: renamed to it, with a note.
    #                        a value           gpt-4o  gpt-5  claude  gemini
    "audio": ({"voice": "alloy", "format": "mp3"}, "gone gone gone gone"),
    "frequency_penalty": (0.5, "kept kept gone gone"),
    "function_call": ("auto", "quiet quiet quiet quiet"),
    "logit_bias": ({"50256": -100}, "kept kept gone gone"),
    "logprobs": (True, "kept kept gone gone"),
    "max_completion_tokens": (5, "max_tokens kept max_tokens max_tokens"),
    "max_tokens": (5, "kept max_completion_tokens kept kept"),
    "messages": ([user("Hello")], "kept kept kept kept"),
    "metadata": ({"a": "b"}, "gone gone gone gone"),
    "modalities": (["text", "audio"], "refused refused refused refused"),
    "model": ("m", "id id id id"),
    "moderation": ({"model": "m"}, "refused refused refused refused"),
    "n": (1, "quiet quiet quiet quiet"),
    "parallel_tool_calls": (False, "quiet quiet quiet quiet"),
    "prediction": ({"type": "content", "content": "x"}, "kept kept gone gone"),
    "presence_penalty": (0.5, "kept kept gone gone"),
    "prompt_cache_key": ("k", "kept kept gone gone"),
    "prompt_cache_options": ({"ttl": "30m"}, "kept kept gone gone"),
    "prompt_cache_retention": ("24h", "gone gone gone gone"),
    "reasoning_effort": ("low", "gone kept kept kept"),
    "response_format": ({"type": "json_object"}, "kept kept kept kept"),
    "safety_identifier": ("s", "gone gone gone gone"),
    "seed": (7, "kept kept gone gone"),
    "service_tier": ("flex", "gone gone gone gone"),
    "stop": (["."], "kept kept kept kept"),
    "store": (True, "gone gone gone gone"),
    "stream": (True, "kept kept kept kept"),
    "stream_options": ({"include_usage": True}, "quiet quiet quiet quiet"),
    "temperature": (0.5, "kept gone kept kept"),
    "tool_choice": ("auto", "quiet quiet quiet quiet"),
    "tools": ([TOOL], "kept kept kept kept"),
    "top_logprobs": (2, "kept kept gone gone"),
    "top_p": (0.5, "kept gone kept kept"),
    "user": ("u", "kept kept gone gone"),
    "verbosity": ("low", "kept kept gone gone"),
    "web_search_options": ({}, "refused refused refused refused"),
}


@pytest.mark.parametrize("model_id", MODELS)
@pytest.mark.parametrize("field", TABLE)
def test_each_field_of_openais(field: str, model_id: str) -> None:
    """Each field is passed on, renamed, dropped or refused as in the table."""
    value, fates = TABLE[field]
    fate = fates.split()[MODELS.index(model_id)]
    model = recorded(model_id)

    if fate == "refused":
        with pytest.raises(RequestError) as caught:
            chat_request(**{field: value})
        assert (field, "unsupported_parameter") == (caught.value.param, caught.value.code)
        return

    plain, _ = for_chat(chat_request(), model)
    body, notes = for_chat(chat_request(**{field: value}), model)
    for message in body["messages"]:
        message.pop("copilot_cache_control", None)  # tested separately
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
            assert [f"renamed {field} to {other}"] == notes


@crossed(field=[f for f in TABLE if f not in ("model", "messages")], model_id=MODELS)
def test_null_fields_count_as_unset(field: str, model_id: str) -> None:
    """A null field counts as unset: it is neither sent nor mentioned in a note."""
    assert for_chat(chat_request(), recorded(model_id)) == (
        for_chat(chat_request(**{field: None}), recorded(model_id))
    )


@pytest.mark.parametrize("field", [f for f in TABLE if f not in ("model", "messages")])
def test_without_a_catalogue_only_refused_fields_are_dropped(field: str) -> None:
    """Without a catalogue, only fields that no model accepts are dropped."""
    value, fates = TABLE[field]
    if "refused" in fates:
        return
    body, notes = for_chat(chat_request(**{field: value}), None)

    if {"gone"} == set(fates.split()):
        assert [f"dropped {field}"] == [note.partition(":")[0] for note in notes]
    elif "quiet" in fates:
        assert field not in body
    else:
        assert value == body[field]
        assert [] == notes
