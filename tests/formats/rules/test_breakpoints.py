"""OpenAI's marks for the prompt cache, ``prompt_cache_breakpoint`` and ``prompt_cache_options``."""

import pytest

from copilot_proxy.formats.types import Json
from tests.formats.routes import model_on, sent

MARK = {"prompt_cache_breakpoint": {"mode": "explicit"}}
OPTIONS = {"prompt_cache_options": {"mode": "explicit"}}
CHAT = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]}]}
CALL = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "a"}
ITEMS = [
    {"role": "user", "content": [{"type": "input_text", "text": "Hi", **MARK}]},
    CALL,
    {**OUTPUT, "output": [{"type": "input_text", "text": "done", **MARK}]},
]
both = pytest.mark.parametrize(
    ("client", "own", "marks"),
    [("chat_completions", CHAT, 1), ("responses", {"input": ITEMS}, 2)],
)


@both
@pytest.mark.parametrize("id", ["gpt-5.6-luna", "gpt-6-sol", "gpt-6.2-sol", "gpt-7-sol"])
def test_newer_gpt_models_get_them(client: str, own: Json, marks: int, id: str) -> None:
    """GPT-5.6 and later receive the client's marks on either of OpenAI's APIs."""
    request = sent(client, model_on("responses", id), own={**own, **OPTIONS})

    assert marks == str(request.body).count("prompt_cache_breakpoint")
    assert OPTIONS["prompt_cache_options"] == request.body["prompt_cache_options"]
    assert [] == request.notes


def test_newer_gpt_models_get_no_unknown_fields() -> None:
    """Other fields that Copilot refuses are still dropped."""
    request = sent(
        "responses", model_on("responses", "gpt-6-sol"), own={"metadata": {"a": "b"}, "x": 1}
    )

    assert {"metadata", "x"}.isdisjoint(request.body)


@both
@pytest.mark.parametrize("id", ["gpt-5.4", "gpt-5.3-codex", "o4-mini", "grok-4.7", "mai-code-2"])
def test_other_models_do_not(client: str, own: Json, marks: int, id: str) -> None:
    """Other models refuse both fields, so both are dropped with a note."""
    request = sent(client, model_on("responses", id), own={**own, **OPTIONS})

    assert "prompt_cache" not in str(request.body)
    assert ["dropped prompt_cache_breakpoint", "dropped prompt_cache_options"] == sorted(
        note.partition(":")[0] for note in request.notes
    )
