"""Images in tool results, in the formats that tools and clients use."""

from typing import Final

import pytest

from copilot_proxy.formats.types import Json
from copilot_proxy.simulator import Simulator
from tests.conftest import Proxy
from tests.routes.parts import CHAT, GEMINI, MODELS, chat, gemini, post, turns
from tests.selection import every_value

IMAGE: Final = "iVBORw0KGgo="


@every_value
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "image",
    [
        {"type": "image", "mimeType": "image/png", "data": IMAGE},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": IMAGE},
        },
        {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}"},
        {"type": "resource", "resource": {"mimeType": "image/png", "blob": IMAGE}},
    ],
)
def test_images_of_other_apis_in_results(
    proxy: Proxy, simulator: Simulator, image: Json, model: str
) -> None:
    """Chat clients may pass on the parts of an MCP result; the model sees the image."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    body = chat(
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "A"}, image]},
    )

    answer, _, sent = post(proxy, simulator, CHAT, model, body)

    assert 200 == answer.status_code, answer.text
    assert 1 == sent.count(IMAGE)
    assert f'"data:image/png;base64,{IMAGE}"' in sent or f'"data": "{IMAGE}"' in sent
    assert "true" == simulator.state.requests[-1].headers["copilot-vision-request"]


def test_images_in_results_keep_their_names(proxy: Proxy, simulator: Simulator) -> None:
    """A Gemini result can refer to its images by name."""
    image = {"mimeType": "image/png", "data": IMAGE, "displayName": "chart.png"}
    result = {
        "name": "draw",
        "response": {"image": {"$ref": "chart.png"}},
        "parts": [{"inlineData": image}],
    }
    call = {"role": "model", "parts": [{"functionCall": {"name": "draw", "args": {}}}]}
    body = gemini(call, {"role": "user", "parts": [{"functionResponse": result}]})

    _, _, sent = post(proxy, simulator, GEMINI, "gpt-4o", body)

    *_, shown = turns(sent)
    label, name, picture = shown["content"]
    assert ("From the result of draw:", "chart.png:") == (label["text"], name["text"])
    assert "image_url" == picture["type"]
