"""Profiles use the traits in the catalogue, and fall back to the traits of the model's family."""

from typing import Any

import pytest

from copilot_proxy.formats.model_families import FAMILIES
from copilot_proxy.formats.model_family import claude_version
from copilot_proxy.formats.model_profiles import ModelProfile, ThinkingClass, profile_of
from tests.formats.requests import a_model


def claude(id: str, **supports: Any) -> ModelProfile:
    return profile_of(a_model(id, "Anthropic", supports=supports), "messages")


def test_an_unknown_model_has_no_restrictions() -> None:
    """Without a catalogue, the profile has only the restrictions of the API."""
    profile = profile_of(None, "chat_completions")

    assert (
        ModelProfile(
            max_stops=4,
            custom_tools=False,
            max_tool_id_length=40,
            max_calls=128,
            cache_breakpoints=False,
        )
        == profile
    )


def test_an_unknown_vendor_is_treated_leniently() -> None:
    """A model of an unknown vendor has only the restrictions that the catalogue lists."""
    profile = profile_of(a_model("new-1", "Somebody"), "chat_completions")

    assert (True, True, None, (), None) == (
        profile.accepts_blank_texts,
        profile.forced_tools,
        profile.tool_id,
        profile.fixed_sampling,
        profile.fields,
    )


@pytest.mark.parametrize(
    ("id", "thinking"),
    [
        ("claude-haiku-4.5", "none"),
        ("claude-sonnet-4.6", "none"),
        ("claude-opus-4.7", "required_form"),
        ("claude-opus-4.8", "required_form"),
        ("claude-opus-5", "required_form"),
        ("claude-sonnet-5", "required_form"),
        ("claude-opus-5.5", "adaptive_only"),
        ("claude-fable-5", "adaptive_only"),
        ("claude-fable-5.1", "adaptive_only"),
        ("claude-mythos-1", "adaptive_only"),
    ],
)
def test_thinking_classes_that_the_catalogue_omits(id: str, thinking: ThinkingClass) -> None:
    """Claude's thinking class follows Anthropic's documentation."""
    assert thinking == claude(id).thinking


@pytest.mark.parametrize(
    ("id", "supports", "thinking", "adaptive"),
    [
        ("claude-sonnet-4.6", {"adaptive_thinking": True}, "optional", True),
        ("claude-haiku-4.5", {"max_thinking_budget": 32000}, "optional", False),
        ("claude-opus-5", {"adaptive_thinking": False}, "none", False),
        (
            "claude-opus-5",
            {"adaptive_thinking": False, "max_thinking_budget": 9},
            "optional",
            False,
        ),
    ],
)
def test_the_catalogue_takes_precedence(
    id: str, supports: Any, thinking: str, adaptive: bool
) -> None:
    """The catalogue takes precedence over the family."""
    profile = claude(id, **supports)

    assert (thinking, adaptive) == (profile.thinking, profile.adaptive)


@pytest.mark.parametrize(
    ("id", "fixed"),
    [
        ("claude-opus-4.6", False),
        ("claude-opus-41", False),
        ("claude-sonnet-4-20250514", False),
        ("claude-opus-4.7", True),
        ("claude-opus-4.10", True),
        ("claude-sonnet-5", True),
        ("claude-haiku-5.5", True),
        ("claude-fable-5", True),
        ("claude-mythos-1", True),
        ("claude-next", False),
    ],
)
def test_sampling_of_claude(id: str, fixed: bool) -> None:
    """Claude 4.7 and later accept only default sampling, whatever their tier."""
    assert fixed is ("temperature" in claude(id).fixed_sampling)


@pytest.mark.parametrize(
    ("id", "forced"),
    [
        ("claude-opus-5", True),
        ("claude-fable-5", False),
        ("claude-opus-5.5", False),
        ("claude-fable-5.2", False),
    ],
)
def test_which_models_can_be_forced_to_call_a_tool(id: str, forced: bool) -> None:
    """Models that always think cannot be forced to call a tool."""
    assert forced is claude(id).forced_tools


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("claude-opus-4.6-1m", ("opus", (4, 6))),
        ("claude-opus-41", ("opus", (4, 1))),
        ("claude-sonnet-4", ("sonnet", (4, 0))),
        ("claude-sonnet-10", ("sonnet", (10, 0))),
        ("gpt-5", ("", (0, 0))),
    ],
)
def test_versions_of_claude(id: str, expected: Any) -> None:
    """The tier and version come from the id, even if the version is written without a dot."""
    assert expected == claude_version(a_model(id, "Anthropic"))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_row_has_its_source(family: Any) -> None:
    """Every row has a source and traits, and all traits are fields of a profile."""
    assert family.source
    assert family.traits
    ModelProfile(**family.traits)


def test_limits_of_claude() -> None:
    """Claude's limits come from the catalogue; on Messages there is a default."""
    limits = {"max_output_tokens": 64000, "max_non_streaming_output_tokens": 16000}
    model = a_model("claude-x", "Anthropic", limits=limits)

    native = profile_of(model, "messages")
    chat = profile_of(model, "chat_completions")
    silent = profile_of(a_model("claude-x", "Anthropic"), "messages")

    assert (64000, 16000, 64000, 16000) == (
        native.max_output,
        native.max_unstreamed_output,
        native.default_output,
        native.default_unstreamed_output,
    )
    assert (64000, 64000) == (chat.default_output, chat.default_unstreamed_output)
    assert (None, 8192) == (silent.max_output, silent.default_output)


def test_fields_are_listed_for_each_api() -> None:
    """Each API has different fields, so no list of fields applies to all of them."""
    assert [] == [one.name for one in FAMILIES if "fields" in one.traits and not one.apis]
