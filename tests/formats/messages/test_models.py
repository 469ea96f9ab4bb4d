"""Anthropic's list of models."""

import anthropic

from copilot_proxy.formats.messages.models import model_info, model_list
from tests.formats.messages.samples import simulated
from tests.formats.requests import a_model


def test_a_model_has_anthropics_shape() -> None:
    """A model is told with its limits, and the SDK reads it."""
    made = model_info(simulated("claude-opus-4.7"))

    assert {
        "type": "model",
        "id": "claude-opus-4.7",
        "display_name": "Claude Opus 4.7",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
    } == made
    assert "claude-opus-4.7" == anthropic.types.ModelInfo.model_validate(made).id


def test_an_alias_keeps_its_name() -> None:
    """A model that was asked for by an alias answers to it, and what is unknown is left out."""
    assert {
        "type": "model",
        "id": "default",
        "display_name": "m",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    } == model_info(a_model("m"), name="default")


def test_the_list_is_one_page() -> None:
    """All models come at once, with the ids that Anthropic's pages name."""
    made = model_list([a_model("a"), a_model("b")])

    assert (["a", "b"], False, "a", "b") == (
        [model["id"] for model in made["data"]],
        made["has_more"],
        made["first_id"],
        made["last_id"],
    )
    assert {"data": [], "has_more": False, "first_id": None, "last_id": None} == model_list([])
