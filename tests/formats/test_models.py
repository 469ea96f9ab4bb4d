"""OpenAI's model objects for Copilot's models."""

from typing import Any

import msgspec
import pytest

from copilot_proxy.catalogue import ENABLE_URL, parse_models
from copilot_proxy.formats.messages.models import model_info
from copilot_proxy.formats.messages.schema import ModelInfo
from copilot_proxy.formats.models import ModelList, ModelObject, model_list, model_object
from tests.formats.requests import RECORDED, a_model, recorded
from tests.selection import every_value


def test_every_recorded_model_has_the_shape() -> None:
    """A recorded account's model list matches OpenAI's schema and the documented extensions."""
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
    """Fields that Copilot does not send are left out, or get a default for the model type."""
    body = model_object(a_model("m", type=type))

    msgspec.convert(body, ModelObject)
    assert [endpoints] == body["supported_endpoints"]
    assert ["text"] == body["input_modalities"]
    assert [output] == body["output_modalities"]
    assert not {"context_length", "capabilities", "billing", "enable_url"} & set(body)


@every_value
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It will be retired on 2026-12-14. Use another.", "2026-12-14"),
        ("This model is being deprecated on November 16, 2026.", "2026-11-16"),
        ("Retires 3 Sept 2026 in all editors.", "2026-09-03"),
        ("It is deprecated and will be removed soon.", None),
        ("It retires on 2026-13-45.", None),
    ],
)
@pytest.mark.parametrize("field", ["warning_messages", "info_messages"])
@pytest.mark.parametrize("code", ["model_pending_deprecation", ""])
def test_a_model_that_retires_says_when(
    field: str, code: str, text: str, expected: str | None
) -> None:
    """The list has GitHub's retirement notice, with the date if the text names one."""
    (model,) = parse_models([{"id": "m", field: [{"code": code, "message": text}]}])
    body = model_object(model)

    msgspec.convert(body, ModelObject)
    assert (True, expected, text) == (
        body["deprecated"],
        body.get("retires_on"),
        body["deprecation_message"],
    )
    info = model_info(model)
    msgspec.convert(info, ModelInfo)
    assert "deprecated" == info["lifecycle"]
    assert (expected and f"{expected}T00:00:00Z") == info.get("retires_at")


@pytest.mark.parametrize(
    "message",
    [
        {"code": "pricing", "message": "Prices may change."},
        {"code": "preview", "message": "This replaces the deprecated m-1."},
        {"code": 5, "message": None},
        "Good news.",
        7,
    ],
)
def test_other_messages_announce_nothing(message: Any) -> None:
    """A message on another subject does not mark a model as retiring."""
    (model,) = parse_models([{"id": "m", "info_messages": [message]}])

    assert not {"deprecated", "retires_on"} & set(model_object(model))
    assert "active" == model_info(model)["lifecycle"]


def test_the_default_is_marked() -> None:
    """The model that `default` resolves to is marked in the list, and under its alias."""
    catalogue = parse_models([{"id": "a"}, {"id": "b"}])
    default = catalogue.get("b")

    assert [None, True] == [
        m.get("default") for m in model_list(catalogue, default=default)["data"]
    ]
    assert default is not None
    assert model_object(default, name="mine", default=default)["default"] is True


def test_an_alias_is_answered_by_its_own_name() -> None:
    """A model requested by an alias has the alias as its id, and names the actual model."""
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
    """A model whose terms have not been accepted has the URL of the page to accept them."""
    (model,) = parse_models([{"id": "m", "policy": policy}])
    body = model_object(model)

    assert (state, url) == (body["state"], body.get("enable_url"))
