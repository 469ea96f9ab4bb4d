"""OpenAI's model objects for Copilot's models."""

from typing import Any

import msgspec
import pytest

from copilot_proxy.catalogue import ENABLE_URL, parse_models
from copilot_proxy.formats.models import ModelList, ModelObject, model_list, model_object
from tests.formats.requests import RECORDED, a_model, recorded


def test_every_recorded_model_has_the_shape() -> None:
    """The list of a recorded account matches OpenAI's schema and the documented one."""
    body = model_list(RECORDED)

    msgspec.convert(body, ModelList)
    assert "list" == body["object"]
    assert [model.id for model in RECORDED] == [entry["id"] for entry in body["data"]]
    for entry in body["data"]:
        assert ("model", int, str) == (
            entry["object"],
            type(entry["created"]),
            type(entry["owned_by"]),
        )


def test_the_properties_of_a_model() -> None:
    """Limits, capabilities, prices and vendor are in the fields that clients read."""
    model = recorded("claude-opus-4.6")
    body = model_object(model)

    assert {
        "id": "claude-opus-4.6",
        "owned_by": "Anthropic",
        "name": "Claude Opus 4.6",
        "type": "chat",
        "state": "enabled",
        "supported_endpoints": ["/v1/messages", "/chat/completions"],
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "context_length": model.limit("max_context_window_tokens"),
        "max_prompt_tokens": model.limit("max_prompt_tokens"),
        "max_output_tokens": model.limit("max_output_tokens"),
        "capabilities": dict(model.supports),
        "billing": model.raw["billing"],
    } == {key: value for key, value in body.items() if key not in ("object", "created")}


@pytest.mark.parametrize(
    ("type", "endpoints", "output"),
    [("chat", "/chat/completions", "text"), ("embeddings", "/embeddings", "embeddings")],
)
def test_a_model_with_few_properties(type: str, endpoints: str, output: str) -> None:
    """Fields that Copilot does not send are left out, or have a default for the model type."""
    body = model_object(a_model("m", type=type))

    msgspec.convert(body, ModelObject)
    assert [endpoints] == body["supported_endpoints"]
    assert ["text"] == body["input_modalities"]
    assert [output] == body["output_modalities"]
    assert not {"context_length", "capabilities", "billing", "enable_url"} & set(body)


def test_a_model_requested_by_an_alias() -> None:
    """A model requested by an alias has the alias as id, and names the actual model."""
    body = model_object(recorded("gpt-4o"), name="default")

    assert ("default", "gpt-4o") == (body["id"], body["resolved_id"])
    assert "resolved_id" not in model_object(recorded("gpt-4o"), name="gpt-4o")


@pytest.mark.parametrize(
    ("policy", "state", "url"),
    [
        ({"state": "disabled"}, "needs_enabling", ENABLE_URL),
        ({"state": "unconfigured"}, "needs_enabling", ENABLE_URL),
        ({"state": "enabled"}, "enabled", None),
    ],
)
def test_a_model_that_needs_enabling(policy: Any, state: str, url: str | None) -> None:
    """A model whose terms are not accepted has the URL of the page to accept them."""
    (model,) = parse_models([{"id": "m", "policy": policy}])
    body = model_object(model)

    assert (state, url) == (body["state"], body.get("enable_url"))
