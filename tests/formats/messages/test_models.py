"""Anthropic's list of models."""

import anthropic

from copilot_proxy.formats.messages.models import model_info, model_list
from tests.formats.messages.samples import simulated
from tests.formats.requests import a_model


def test_a_model_has_anthropics_format() -> None:
    """A model is listed with its limits, and the SDK can read the entry."""
    info = model_info(simulated("claude-opus-4.7"))

    assert {
        "type": "model",
        "id": "claude-opus-4.7",
        "display_name": "Claude Opus 4.7",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200000,
        "max_tokens": 64000,
    } == info
    assert "claude-opus-4.7" == anthropic.types.ModelInfo.model_validate(info).id


def test_an_alias_is_the_id() -> None:
    """A model requested by an alias has the alias as its id; unknown limits are left out."""
    assert {
        "type": "model",
        "id": "default",
        "display_name": "m",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    } == model_info(a_model("m"), name="default")


def test_the_list_is_one_page() -> None:
    """All models are on one page, which contains the ids of the first and last model."""
    page = model_list([a_model("a"), a_model("b")])

    assert (["a", "b"], False, "a", "b") == (
        [model["id"] for model in page["data"]],
        page["has_more"],
        page["first_id"],
        page["last_id"],
    )
    assert {"data": [], "has_more": False, "first_id": None, "last_id": None} == model_list([])
