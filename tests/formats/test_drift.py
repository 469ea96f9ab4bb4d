"""Unknown data from Copilot is detected by name, without its content."""

from typing import Any

import pytest

from copilot_proxy.catalogue import parse_models
from copilot_proxy.formats.drift import Unknown, unknown_codes, unknown_in_event, unknown_in_models
from copilot_proxy.simulator.catalogue import load
from tests.conftest import recorded_events, recorded_json

SECRET = "what the user said, in full: " + "x" * 60


def test_recordings_have_nothing_unknown() -> None:
    """Recorded model lists and streams contain no unknown data."""
    assert [] == unknown_in_models(parse_models(recorded_json("models.json")))
    assert [] == unknown_in_models(parse_models(load("2026-11")))
    for name in ("plain-text.sse", "tool-call.sse", "gemini-reasoning-tool-call.sse"):
        for event in recorded_events(name):
            assert [] == unknown_in_event("chat_completions", event)


def test_offers_and_optional_features_are_known() -> None:
    """A promotion with a banner, a discount for the Auto model, and context editing are known."""
    promo = {"id": "launch", "discount_percent": 50, "message": SECRET, "show_banner": True}
    entry = {
        "id": "a-1",
        "vendor": "OpenAI",
        "billing": {"auto_discount": 0.1, "promo": promo},
        "capabilities": {"supports": {"context_editing": True}},
    }

    assert [] == unknown_in_models(parse_models([entry]))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"surcharge": 1}, ("model field", "surcharge")),
        ({"billing": {"surcharge": {"x": 1}}}, ("model field", "billing.surcharge")),
        (
            {"capabilities": {"limits": {"vision": {"max_video": 1}}}},
            ("model field", "capabilities.limits.vision.max_video"),
        ),
        ({"supported_endpoints": ["/responses", "/v9"]}, ("model supported_endpoints", "/v9")),
        ({"policy": {"state": "pending"}}, ("model state", "pending")),
        ({"model_picker_price_category": "gold"}, ("model model_picker_price_category", "gold")),
        (
            {"capabilities": {"supports": {"reasoning_effort": ["low", "ultra"]}}},
            ("model reasoning_effort", "ultra"),
        ),
        ({"info_messages": [{"code": "model_moved", "message": SECRET}]},
         ("model message", "model_moved")),
        ({"info_messages": [{"code": SECRET}]}, ("model message", "(not a name)")),
        ({SECRET: 1}, ("model field", "(not a name)")),
        ({"vendor": None}, ("model", "a-1")),
    ],
)  # fmt: skip
def test_unknown_in_models(entry: dict[str, Any], expected: tuple[str, str]) -> None:
    """Unknown fields, values, codes and models are found; text other than names is not logged."""
    catalogue = parse_models([{"id": "a-1", "vendor": "OpenAI", **entry}])

    assert [Unknown(*expected)] == unknown_in_models(catalogue)


def test_a_list_that_is_all_unknown() -> None:
    """The number of reported items is limited."""
    assert 100 == len(unknown_in_models(parse_models([{"id": f"a-{n}"} for n in range(300)])))


@pytest.mark.parametrize(
    ("api", "event", "expected"),
    [
        ("messages", {"type": "ping"}, None),
        ("messages", {"type": "message_paused"}, ("messages event", "message_paused")),
        ("messages", {"type": "content_block_start", "content_block": {"type": "text"}}, None),
        ("messages", {"type": "content_block_start", "content_block": {"type": "video"}},
         ("messages block", "video")),
        ("responses", {"type": "response.created"}, None),
        ("responses", {"type": "response.paused"}, ("responses event", "response.paused")),
        ("responses", {"type": SECRET}, ("responses event", "(not a name)")),
        ("responses", {"type": "response.output_item.added", "item": {"type": "video"}},
         ("responses item", "video")),
        ("responses", {"id": "a whole response", "output": []}, None),
        ("chat_completions", {"choices": [], "mood": SECRET}, ("chat_completions field", "mood")),
        ("chat_completions", {"choices": None, "copilot_references": []}, None),
        ("chat_completions", {"choices": None, "copilot_confirmation": {"title": SECRET}}, None),
        ("chat_completions", {"choices": None, "copilot_errors": [{"type": "agent"}]}, None),
        ("pi_ai", {"type": "anything"}, None),
    ],
)  # fmt: skip
def test_unknown_in_events(
    api: str, event: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    """Unknown types of events, blocks and items are found, as are unknown fields of chunks."""
    assert ([Unknown(*expected)] if expected else []) == unknown_in_event(api, event)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, []),
        ("", []),
        ("rate_limited", []),
        ("user_model_rate_limited:gpt-9", []),
        ("invalid_request_body", []),
        ("off_topic", []),
        ("429", []),
        ("moon_phase", [("error code", "moon_phase")]),
        (SECRET, [("error code", "(not a name)")]),
    ],
)
def test_unknown_codes(code: str | None, expected: list[tuple[str, str]]) -> None:
    """An error code is reported unless it is known."""
    assert expected == unknown_codes(code)
