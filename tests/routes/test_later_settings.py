"""Settings that change during a conversation take effect with every model."""

import json

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.routes.parts import (
    GO_ON,
    MESSAGES,
    MODELS,
    RESPONSES,
    SCHEMA,
    messages,
    post,
    responses,
    turns,
)
from tests.selection import every_value

FORMAT = {"type": "json_schema", "name": "n", "schema": SCHEMA}


def effort_in(sent: str) -> object:
    """Return the effort in a body for any of Copilot's APIs."""
    body = json.loads(sent)
    places = (body.get("reasoning"), body.get("output_config"), {"effort": body.get("effort")})
    found = [one["effort"] for one in places if one and one.get("effort")]
    return found[0] if found else body.get("reasoning_effort")


@every_value
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-opus-5", "gpt-5-mini"])
def test_an_updated_effort(proxy: Proxy, simulator: Simulator, model: str) -> None:
    """The last update in a Responses conversation wins, without a note."""
    updates = [
        {"type": "configuration_update", "reasoning": {"effort": effort}}
        for effort in ("high", "low")
    ]
    body = responses(*updates, GO_ON, reasoning={"effort": "medium"})

    answer, notes, sent = post(proxy, simulator, RESPONSES, model, body)

    assert 200 == answer.status_code, answer.text
    assert "low" == effort_in(sent)
    assert "configuration_update" not in notes


@every_value
@pytest.mark.parametrize("model", MODELS)
def test_an_updated_format(proxy: Proxy, simulator: Simulator, model: str) -> None:
    """The answer follows the schema that an update asks for."""
    body = responses({"type": "configuration_update", "text": {"format": FORMAT}}, GO_ON)

    answer, notes, sent = post(proxy, simulator, RESPONSES, model, body)

    assert 200 == answer.status_code, answer.text
    assert json.dumps(SCHEMA["properties"]) in sent
    assert "configuration_update" not in notes


@every_value
@pytest.mark.parametrize("content", [None, [], "Think less."])
def test_an_effort_in_a_system_message(proxy: Proxy, simulator: Simulator, content: object) -> None:
    """The effort in an Anthropic system message also takes effect with other models."""
    system: Json = {"role": "system", "output_config": {"effort": "low"}}
    system |= {} if content is None else {"content": content}
    body = messages(system, GO_ON, output_config={"effort": "high"})

    answer, notes, sent = post(proxy, simulator, MESSAGES, "gpt-5.4", body)

    assert 200 == answer.status_code, answer.text
    assert "low" == effort_in(sent)
    assert "empty" not in notes
    assert ("Think less." in sent) == (content == "Think less.")


def test_an_effort_without_content_reaches_claude(proxy: Proxy, simulator: Simulator) -> None:
    """Anthropic's API requires no content, so the message is not refused."""
    system = {"role": "system", "output_config": {"effort": "low"}}

    answer, _, sent = post(proxy, simulator, MESSAGES, "claude-opus-5", messages(system))

    assert 200 == answer.status_code, answer.text
    assert {"effort": "low"} == turns(sent)[-1]["output_config"]


@pytest.mark.parametrize(("later", "is_sent"), [([], True), ([GO_ON], False)])
def test_an_instruction_for_one_turn(
    proxy: Proxy, simulator: Simulator, later: list[Json], is_sent: bool
) -> None:
    """After the user's next message, the instruction is not sent to models other than Claude."""
    system = {"role": "system", "content": "Be brief.", "clear_at": "next_user_message"}

    _, _, sent = post(proxy, simulator, MESSAGES, "gpt-4o", messages(system, *later))

    assert is_sent == ("Be brief." in sent)


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        pytest.param(
            RESPONSES,
            responses({"type": "configuration_update", "text": {"format": "json"}}, GO_ON),
            "input[1].text.format",
            id="a format",
        ),
        pytest.param(
            RESPONSES,
            responses({"type": "configuration_update", "reasoning": {"effort": 5}}, GO_ON),
            "input[1].reasoning.effort",
            id="an effort",
        ),
        pytest.param(
            MESSAGES,
            messages({"role": "system", "content": "Think.", "output_config": "high"}),
            "messages[1].output_config",
            id="an output config",
        ),
    ],
)
def test_settings_of_the_wrong_type_are_refused(
    proxy: Proxy, simulator: Simulator, path: str, body: Json, param: str, model: str
) -> None:
    """The error names the setting."""
    answer, _, _ = post(proxy, simulator, path, model, body)

    assert 400 == answer.status_code, answer.text
    assert param in answer.json()["error"]["message"]
