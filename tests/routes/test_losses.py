"""A note or an error names what the model does not get.

Each case is a part of a request that was once dropped silently.
"""

from typing import Final

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy, settings_at
from tests.routes.parts import (
    CHAT,
    CONTINUE,
    GEMINI,
    GO_ON,
    MESSAGES,
    MODELS,
    RESPONSES,
    SCHEMA,
    chat,
    gemini,
    messages,
    post,
    responses,
)
from tests.selection import every_value

OTHERS: Final = MODELS[:2]
NOT_CLAUDE: Final = (MODELS[0], MODELS[2])
NOT_CHAT: Final = MODELS[1:]
REASONING: Final = "dropped the reasoning from earlier answers"
CITATIONS: Final = "dropped citations from earlier answers"
SOURCE: Final = {"url": "https://x.example", "title": "Cats", "start_index": 0, "end_index": 2}


def _reasoning(kind: str) -> tuple[str, Json]:
    answer: Json = {"role": "assistant", "content": "Well."}
    match kind:
        case "chat":
            return CHAT, chat({**answer, "reasoning_content": "Hm."}, GO_ON)
        case "responses":
            item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
            return RESPONSES, responses(item, answer, GO_ON)
        case "messages":
            thinking = {"type": "thinking", "thinking": "Hm.", "signature": "0123456789"}
            blocks = [thinking, {"type": "text", "text": "Well."}]
            return MESSAGES, messages({"role": "assistant", "content": blocks}, GO_ON)
        case "ollama":
            return "/api/chat", chat({**answer, "thinking": "Hm."}, GO_ON, stream=False)
    thought = {"text": "Hm.", "thought": True}
    return GEMINI, gemini({"role": "model", "parts": [thought, {"text": "Well."}]}, CONTINUE)


@every_value
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        *((kind, model) for kind in ("chat", "ollama", "gemini") for model in NOT_CHAT),
        *(("responses", model) for model in OTHERS),
        *(("messages", model) for model in NOT_CLAUDE),
    ],
)
def test_unusable_reasoning_is_noted(simulator: Simulator, kind: str, model: str) -> None:
    """The model does not see another model's reasoning, and a note says so."""
    path, body = _reasoning(kind)

    with Proxy(settings_at(simulator, ollama=True)) as proxy:
        answer, notes, sent = post(proxy, simulator, path, model, body)

    assert 200 == answer.status_code, answer.text
    assert "Hm." not in sent
    assert REASONING in notes


NAMED: Final = {"role": "user", "name": "Ann", "content": "Hi"}
WELL: Final[Json] = {"role": "assistant", "content": "Well."}
SPOKEN: Final = {**WELL, "audio": {"id": "audio_1"}}
CITING_CHAT: Final = {**WELL, "annotations": [{"type": "url_citation", "url_citation": SOURCE}]}
CITING_ITEM: Final = {
    "role": "assistant",
    "content": [
        {
            "type": "output_text",
            "text": "Well.",
            "annotations": [{"type": "url_citation", **SOURCE}],
        }
    ],
}
CITING: Final = {
    "role": "assistant",
    "content": [
        {
            "type": "text",
            "text": "Well.",
            "citations": [{"type": "char_location", "cited_text": "x"}],
        }
    ],
}
FUNCTION: Final = {"type": "function", "name": "f", "output_schema": SCHEMA}
TOOL: Final = {"name": "f", "input_schema": SCHEMA, "input_examples": [{"x": "y"}]}
BUDGET: Final = {"task_budget": {"type": "tokens", "total": 9}}
SHELL: Final = {
    "type": "shell_call",
    "call_id": "a",
    "action": {"commands": ["ls"]},
    "environment": {"type": "local"},
}
FROM_PAGE_3: Final = {
    "role": "user",
    "parts": [{"text": "Look", "documentMetadata": {"startPage": 3}}],
}
PLACE: Final = {"retrievalConfig": {"languageCode": "en"}}


@every_value
@pytest.mark.parametrize(
    ("path", "body", "model", "note"),
    [
        *((CHAT, chat(NAMED), model, "dropped name from messages") for model in NOT_CHAT),
        *((CHAT, chat(CITING_CHAT, GO_ON), model, CITATIONS) for model in MODELS),
        *((CHAT, chat(SPOKEN, GO_ON), model, "dropped audio from earlier") for model in MODELS),
        *((RESPONSES, responses(CITING_ITEM, GO_ON), model, CITATIONS) for model in OTHERS),
        *((MESSAGES, messages(CITING, GO_ON), model, CITATIONS) for model in NOT_CLAUDE),
        *(
            (RESPONSES, responses(tools=[FUNCTION]), model, "dropped output_schema from tools")
            for model in OTHERS
        ),
        *(
            (MESSAGES, messages(tools=[TOOL]), model, "dropped input_examples from tools")
            for model in MODELS
        ),
        (RESPONSES, responses(reasoning={"mode": "pro"}), "gpt-4o", "dropped reasoning.mode"),
        (MESSAGES, messages(output_config=BUDGET), "gpt-4o", "dropped output_config.task_budget"),
        *(
            (RESPONSES, responses(SHELL, SHELL), model, "dropped environment from shell_call items")
            for model in MODELS
        ),
        *(
            (GEMINI, gemini(FROM_PAGE_3), model, "dropped documentMetadata from some parts")
            for model in MODELS
        ),
        (GEMINI, gemini(toolConfig=PLACE), "gpt-4o", "dropped toolConfig.retrievalConfig"),
    ],
)
def test_losses_are_noted(
    proxy: Proxy, simulator: Simulator, path: str, body: Json, model: str, note: str
) -> None:
    """A note names what the model does not get."""
    answer, notes, _ = post(proxy, simulator, path, model, body)

    assert 200 == answer.status_code, answer.text
    assert 1 == notes.count(note), notes


@every_value
@pytest.mark.parametrize("model", NOT_CHAT)
def test_a_name_of_a_result_is_not_noted(proxy: Proxy, simulator: Simulator, model: str) -> None:
    """Many clients add the tool's name to a result, but the call has it, so nothing is lost."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "Sunny"}
    body = chat({"role": "assistant", "content": None, "tool_calls": [call]}, result)

    answer, notes, _ = post(proxy, simulator, CHAT, model, body)

    assert 200 == answer.status_code, answer.text
    assert "name" not in notes


@every_value
@pytest.mark.parametrize("model", OTHERS)
def test_all_reasoning_is_sent_anyway(proxy: Proxy, simulator: Simulator, model: str) -> None:
    """On other APIs, models always get the reasoning of all turns, so there is no note."""
    body = responses(reasoning={"context": "all_turns"})

    _, notes, _ = post(proxy, simulator, RESPONSES, model, body)

    assert "reasoning.context" not in notes


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("body", "place"),
    [
        (
            gemini({"role": "user", "parts": [{"functionCall": {"name": "f"}}]}),
            "role `user` cannot have the part `functionCall`",
        ),
        (
            gemini({"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}),
            "role `model` cannot have the part `functionResponse`",
        ),
        (
            gemini(systemInstruction={"parts": [{"executableCode": {"code": "x"}}]}),
            "The system instruction must be text.",
        ),
    ],
)
def test_misplaced_parts_are_refused(
    proxy: Proxy, simulator: Simulator, body: Json, place: str, model: str
) -> None:
    """In Gemini's contents, a part that does not belong to its role is refused."""
    answer, _, _ = post(proxy, simulator, GEMINI, model, body)

    assert 400 == answer.status_code
    assert place in answer.json()["error"]["message"]


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", [[], [{"type": "text", "text": "From now on:"}]])
def test_changes_of_tools_are_refused(
    proxy: Proxy, simulator: Simulator, text: list[Json], model: str
) -> None:
    """No model gets a conversation without the tools that a system message adds."""
    change = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}
    body = messages({"role": "system", "content": [*text, change]})

    answer, _, _ = post(proxy, simulator, MESSAGES, model, body)

    assert 400 == answer.status_code
    assert "Input tag" in answer.json()["error"]["message"]


@every_value
@pytest.mark.parametrize("model", ["gpt-4o", "claude-opus-5"])
def test_unknown_parts_of_answers_are_refused(
    proxy: Proxy, simulator: Simulator, model: str
) -> None:
    """A part without text, which other APIs cannot express, is not dropped."""
    content = [{"type": "output_text", "text": "Well."}, {"type": "output_audio", "data": "x"}]
    body = responses({"role": "assistant", "content": content}, GO_ON)

    answer, _, _ = post(proxy, simulator, RESPONSES, model, body)

    assert 400 == answer.status_code
    assert "input[1].content[1]" == answer.json()["error"]["param"]
