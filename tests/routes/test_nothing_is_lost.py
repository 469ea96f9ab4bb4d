"""What a client sends reaches the model, in a readable form.

Each case is a part of a request that was once dropped silently, or sent as JSON or base64.
"""

import base64
import json
from typing import Final

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
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
    turns,
)
from tests.selection import every_value

READERS: Final = MODELS[1:]
"""Models that accept PDFs."""
IMAGE: Final = "iVBORw0KGgo="
PDF: Final = base64.b64encode(b"%PDF-1.4 of a cat").decode()


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("path", "body", "role", "words"),
    [
        pytest.param(
            CHAT,
            chat({"role": "assistant", "content": "Well.", "refusal": "I cannot."}, GO_ON),
            "assistant",
            ["Well.", "I cannot."],
            id="a refusal after text",
        ),
        pytest.param(
            RESPONSES,
            responses({"type": "program_output", "call_id": "a", "result": "forty-two"}),
            "assistant",
            ["forty-two"],
            id="the output of a program",
        ),
        pytest.param(
            RESPONSES,
            responses(
                {
                    "type": "computer_call",
                    "call_id": "a",
                    "actions": [{"type": "type", "text": "hello"}, {"type": "wait"}],
                },
                {"type": "computer_call_output", "call_id": "a", "output": "typed"},
            ),
            None,
            ["hello", "wait", "typed"],
            id="several actions",
        ),
        pytest.param(
            RESPONSES,
            responses(
                {
                    "type": "mcp_approval_response",
                    "approval_request_id": "a",
                    "approve": False,
                    "reason": "Too slow",
                }
            ),
            "user",
            ["Too slow"],
            id="the user's decision about a call",
        ),
        pytest.param(
            RESPONSES,
            responses(
                {
                    "type": "mcp_list_tools",
                    "server_label": "zoo",
                    "tools": [{"name": "feed", "input_schema": SCHEMA}],
                },
                GO_ON,
            ),
            "assistant",
            ["zoo", "feed"],
            id="the tools of an MCP server",
        ),
        pytest.param(
            GEMINI,
            gemini(
                {
                    "role": "model",
                    "parts": [
                        {"executableCode": {"language": "PYTHON", "code": "print(6 * 7)"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4711\n"}},
                    ],
                },
                CONTINUE,
            ),
            "assistant",
            ["```python\\nprint(6 * 7)\\n```", "OUTCOME_OK", "4711"],
            id="code that Google ran",
        ),
        pytest.param(
            GEMINI,
            gemini(
                {"role": "model", "parts": [{"audioTranscription": {"text": "Meow."}}]}, CONTINUE
            ),
            "assistant",
            ["Meow."],
            id="a transcript",
        ),
    ],
)
def test_words_reach_the_model(
    proxy: Proxy,
    simulator: Simulator,
    path: str,
    body: Json,
    role: str | None,
    words: list[str],
    model: str,
) -> None:
    """The words arrive once, in order, in a message with the right role."""
    answer, _, sent = post(proxy, simulator, path, model, body)

    assert 200 == answer.status_code, answer.text
    places = [sent.find(word) for word in words]
    assert sorted(places) == places, sent
    assert -1 not in places, sent
    assert [1] * len(words) == [sent.count(word) for word in words]
    if role is not None:
        found = [json.dumps(turn) for turn in turns(sent) if turn.get("role") == role]
        assert any(words[-1] in turn for turn in found), sent


@every_value
@pytest.mark.parametrize("model", MODELS)
def test_a_generated_image_reaches_the_model(
    proxy: Proxy, simulator: Simulator, model: str
) -> None:
    """A generated image is sent as an image, after its description."""
    call = {"type": "image_generation_call", "id": "ig_1", "result": IMAGE, "status": "completed"}
    body = responses({**call, "revised_prompt": "A cat"}, GO_ON)

    answer, _, sent = post(proxy, simulator, RESPONSES, model, body)

    assert 200 == answer.status_code, answer.text
    _, described, shown, _ = map(json.dumps, turns(sent))
    assert "A cat" in described
    assert IMAGE not in described
    assert f"data:image/png;base64,{IMAGE}" in shown or f'"data": "{IMAGE}"' in shown
    assert '"role": "user"' in shown
    assert "true" == simulator.state.requests[-1].headers["copilot-vision-request"]


FETCHED: Final = {
    "type": "web_fetch_tool_result",
    "tool_use_id": "srv_1",
    "content": {
        "type": "web_fetch_result",
        "url": "https://cats.example",
        "content": {
            "type": "document",
            "title": "Cats",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
        },
    },
}


@every_value
@pytest.mark.parametrize("model", READERS)
def test_a_fetched_pdf_reaches_the_model(proxy: Proxy, simulator: Simulator, model: str) -> None:
    """A fetched PDF is sent as a PDF instead of as base64 in the text."""
    body = messages({"role": "assistant", "content": [FETCHED]}, GO_ON)

    answer, _, sent = post(proxy, simulator, MESSAGES, model, body)

    assert 200 == answer.status_code, answer.text
    _, described, *shown = map(json.dumps, turns(sent))
    assert "https://cats.example" in described
    assert PDF not in described
    assert 1 == sent.count(PDF)
    assert '"document"' in shown[0] or '"input_file"' in shown[0]


def test_a_fetched_pdf_needs_a_model_for_pdfs(proxy: Proxy, simulator: Simulator) -> None:
    """Other models refuse a fetched PDF, like any other PDF."""
    body = messages({"role": "assistant", "content": [FETCHED]}, GO_ON)

    answer, _, _ = post(proxy, simulator, MESSAGES, "gpt-4o", body)

    assert 400 == answer.status_code
    assert "does not accept PDFs" in answer.text


@every_value
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            CHAT,
            chat(
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "n", "description": "About cats", "schema": SCHEMA},
                }
            ),
        ),
        (
            RESPONSES,
            responses(
                text={
                    "format": {
                        "type": "json_schema",
                        "name": "n",
                        "description": "About cats",
                        "schema": SCHEMA,
                    }
                }
            ),
        ),
    ],
)
def test_descriptions_of_output_formats_reach_claude(
    proxy: Proxy, simulator: Simulator, path: str, body: Json
) -> None:
    """The description becomes part of the schema."""
    _, _, sent = post(proxy, simulator, path, "claude-opus-5", body)

    schema = json.loads(sent)["output_config"]["format"]["schema"]
    assert "About cats" == schema["description"]
    assert "x" in schema["properties"]


def test_strict_tools_stay_strict(proxy: Proxy, simulator: Simulator) -> None:
    """If OpenAI can enforce the schema of an Anthropic tool, it does."""
    loose = {"type": "object", "properties": {"x": {"type": "string"}}}
    tools = [
        {"name": name, "input_schema": schema, "strict": True}
        for name, schema in (("a", SCHEMA), ("b", loose))
    ]

    _, _, sent = post(proxy, simulator, MESSAGES, "gpt-4o", messages(tools=tools))

    functions = [tool["function"] for tool in json.loads(sent)["tools"]]
    assert [True, None] == [function.get("strict") for function in functions]
