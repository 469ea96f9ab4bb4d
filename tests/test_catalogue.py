"""The list of models: lenient parsing, names, aliases and the default."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy.catalogue import Catalogue, parse_models
from tests.conftest import examples, recorded_json

RECORDED = parse_models(recorded_json("models.json"))


def catalogue_of(*entries: Any) -> Catalogue:
    """Return a catalogue of entries; a string means a chat model with that id."""
    return parse_models([{"id": entry} if isinstance(entry, str) else entry for entry in entries])


def found(catalogue: Catalogue, name: str, default: str = "default") -> str | None:
    """Return the id of the model with this name or alias."""
    model = catalogue.resolve(name, default)
    return model.id if model else None


def test_the_recorded_list() -> None:
    """Every id of a recorded list is there once, in GitHub's order."""
    ids = [entry["id"] for entry in recorded_json("models.json")["data"]]

    assert len(ids) == 2 + len(set(ids))
    assert list(dict.fromkeys(ids)) == [model.id for model in RECORDED]
    assert len(set(ids)) == len(RECORDED)


def test_of_a_repeated_id_the_first_counts() -> None:
    """Of entries with the same id, the first one is used."""
    catalogue = catalogue_of({"id": "a", "name": "one"}, {"id": "a", "name": "two"})

    assert ["one"] == [model.name for model in catalogue]


def test_kinds_of_recorded_models() -> None:
    """Chat, embedding and completion models are distinguished, and completion models are hidden."""
    kinds = {model.id: model.type for model in RECORDED}

    assert ("chat", "embeddings", "completion") == (
        kinds["gpt-4o"],
        kinds["text-embedding-3-small"],
        kinds["gpt-41-copilot"],
    )
    shown = [model.id for model in RECORDED.usable]
    assert "gpt-41-copilot" not in shown
    assert {"gpt-4o", "text-embedding-3-small"} <= set(shown)
    assert len(RECORDED) - 1 == len(shown)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, False),
        ({"policy": None}, False),
        ({"policy": {}}, False),
        ({"policy": {"state": None}}, False),
        ({"policy": {"state": "enabled"}}, False),
        ({"policy": {"state": "disabled"}}, True),
        ({"policy": {"state": "unconfigured"}}, True),
        ({"policy": "disabled"}, False),
    ],
)
def test_models_that_need_enabling(entry: Any, expected: bool) -> None:
    """A model needs to be enabled unless its policy says that it is."""
    (model,) = catalogue_of({"id": "a", **entry})

    assert expected is model.needs_enabling


@pytest.mark.parametrize(
    ("says", "expected"), [({}, False), ({"model_picker_enabled": True}, True)]
)
def test_models_in_the_picker(says: Any, expected: bool) -> None:
    """A model is in Copilot's picker only if its entry says so."""
    (model,) = catalogue_of({"id": "a", **says})

    assert expected is model.in_picker


def test_a_model_with_only_an_id() -> None:
    """An entry with only an id is a chat model without known properties."""
    (model,) = catalogue_of("a")

    assert ("a", "a", "unknown", "chat", "a") == (
        model.id,
        model.name,
        model.vendor,
        model.type,
        model.family,
    )
    assert ((), (), None) == (
        model.endpoints,
        model.reasoning_efforts,
        model.limit("max_prompt_tokens"),
    )


@pytest.mark.parametrize("value", ["9", 0, -1, 1.5, True, None, [9]])
def test_invalid_limits(value: object) -> None:
    """Only a positive integer is a limit."""
    (model,) = catalogue_of({"id": "a", "capabilities": {"limits": {"x": value}}})

    assert model.limit("x") is None


@pytest.mark.parametrize(
    "payload", [None, "x", 5, {}, {"data": None}, {"data": {}}, [], {"data": []}, [{"name": "a"}]]
)
def test_invalid_lists(payload: object) -> None:
    """Anything but a list of models is an error, not an empty list."""
    with pytest.raises(ValueError, match=r"not a list of models|contains no model"):
        parse_models(payload)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-opus-4.6", "claude-opus-4.6"),
        ("claude-opus-4-6", "claude-opus-4.6"),
        ("claude-opus-4-6-20260205", "claude-opus-4.6"),
        ("claude-opus-4.6-20260205", "claude-opus-4.6"),
        ("claude-opus-4-6-latest", "claude-opus-4.6"),
        ("claude-opus-4-6-1m", "claude-opus-4.6-1m"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-haiku-4-5", "claude-haiku-4.5"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
        ("claude-3-5-sonnet-latest", "claude-sonnet-4.5"),
        ("claude-3-haiku-20240307", "claude-haiku-4.5"),
        ("claude-3-opus-latest", "claude-opus-4.5"),
        ("gpt-4", "gpt-4"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("gpt-4-turbo", "gpt-4.1"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo"),
        ("gpt-4o-latest", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("claude-opus-9", None),
        ("gpt-9", None),
        ("", None),
        ("claude-opus-4-6-20260205-x", None),
    ],
)
def test_names_on_the_recorded_list(name: str, expected: str | None) -> None:
    """Ids, other spellings of Claude models and old names mean the right model."""
    assert expected == found(RECORDED, name)


@pytest.mark.parametrize(
    ("name", "listed", "expected"),
    [
        ("gpt-4", ["gpt-4", "gpt-4.1"], "gpt-4"),
        ("gpt-4", ["gpt-4o", "gpt-5-mini"], "gpt-4o"),
        ("gpt-4", ["gpt-5-mini"], "gpt-5-mini"),
        ("gpt-4", ["gpt-5"], None),
        ("gpt-3.5-turbo", ["gpt-4.1", "gpt-4o-mini"], "gpt-4o-mini"),
        ("claude-3-sonnet", ["claude-sonnet-4.6"], "claude-sonnet-4.6"),
        ("claude-3-5-sonnet", ["claude-3.5-sonnet", "claude-sonnet-4.5"], "claude-3.5-sonnet"),
        ("claude-3-5-sonnet-20241022", ["claude-3-5-sonnet-20241022", "claude-3.5-sonnet"],
         "claude-3-5-sonnet-20241022"),
        ("claude-3-opus", ["claude-opus-5"], "claude-opus-5"),
        ("claude-3-opus", ["claude-sonnet-5"], None),
        ("opus", ["claude-opus-4.5", "claude-opus-4.10", "claude-opus-4.6-1m"], "claude-opus-4.10"),
        ("claude-sonnet-latest", ["claude-sonnet-4", "claude-sonnet-4.5"], "claude-sonnet-4.5"),
        ("claude-3-7-sonnet-20250219", ["claude-sonnet-4.5"], "claude-sonnet-4.5"),
        ("claude-opus-4-6[1m]", ["claude-opus-4.6", "claude-opus-4.6-1m"], "claude-opus-4.6-1m"),
        ("claude-sonnet-4-5[1m]", ["claude-sonnet-4.5"], "claude-sonnet-4.5"),
    ],
)  # fmt: skip
def test_aliases_and_listed_models(name: str, listed: list[str], expected: str | None) -> None:
    """A listed model takes precedence over an alias, and an alias means only listed models."""
    assert expected == found(catalogue_of(*listed), name)


CHAT_DEFAULT = {"id": "d", "is_chat_default": True}
FALLBACK = {"id": "f", "is_chat_fallback": True}
PICKED = {"id": "p", "model_picker_enabled": True}
DISABLED = {"id": "off", "is_chat_default": True, "policy": {"state": "disabled"}}
EMBEDDINGS = {"id": "e", "is_chat_default": True, "capabilities": {"type": "embeddings"}}
RESPONSES = {"id": "r", "is_chat_default": True, "supported_endpoints": ["/responses"]}


@pytest.mark.parametrize(
    ("entries", "wanted", "expected"),
    [
        (["a", CHAT_DEFAULT], "a", "a"),
        (["a", CHAT_DEFAULT], "missing", "d"),
        (["a", CHAT_DEFAULT], "default", "d"),
        (["claude-opus-4.5", "a"], "claude-opus-4-5", "claude-opus-4.5"),
        (["gpt-4o", "a"], "gpt-4", "gpt-4o"),
        (["a", EMBEDDINGS], "e", "a"),
        ([PICKED, FALLBACK, CHAT_DEFAULT], "", "d"),
        ([PICKED, FALLBACK], "", "f"),
        (["a", PICKED], "", "p"),
        (["a", "b"], "", "a"),
        ([DISABLED, "a"], "", "a"),
        ([DISABLED], "", "off"),
        ([RESPONSES, EMBEDDINGS, "a"], "", "r"),
        ([EMBEDDINGS], "", None),
        ([DISABLED, "a"], "off", "a"),
    ],
)
def test_what_default_means(entries: list[Any], wanted: str, expected: str | None) -> None:
    """The default is the configured model, else Copilot's choice, else any chat model."""
    assert expected == found(catalogue_of(*entries), "default", wanted)


def test_suggestions_for_mistyped_names() -> None:
    """A mistyped name gets up to three suggestions, chat models only."""
    assert "gpt-4o-mini" == RECORDED.similar_ids("gpt-4o-mni")[0]
    assert 3 == len(RECORDED.similar_ids("gpt-44"))
    assert [] == RECORDED.similar_ids("zzzzzz")
    assert ["gpt-4.1"] == RECORDED.similar_ids("GPT-4.1") == RECORDED.similar_ids("openai/gpt-4.1")
    assert "text-embedding-3-small" not in RECORDED.similar_ids("text-embedding-3-smal")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
ENTRY = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "gpt-4o", ""]) | JSON},
    optional={
        "name": JSON,
        "vendor": JSON,
        "policy": JSON | st.fixed_dictionaries({"state": JSON}),
        "supported_endpoints": JSON,
        "model_picker_enabled": JSON,
        "is_chat_default": JSON,
        "capabilities": JSON
        | st.fixed_dictionaries({"type": JSON, "family": JSON, "limits": JSON, "supports": JSON}),
    },
)


@examples(100)
@given(st.lists(ENTRY | JSON, max_size=4))
def test_a_malformed_entry_does_not_hide_others(entries: list[Any]) -> None:
    """A malformed entry does not hide valid ones."""
    catalogue = parse_models({"data": [*entries, {"id": "sound"}]})

    assert "sound" == found(catalogue, "sound")
    assert len({model.id for model in catalogue}) == len(catalogue)
    assert found(catalogue, "default") is None or catalogue.get(str(found(catalogue, "default")))
    for model in catalogue:
        assert model.id
        assert all(type(x) is str for x in (model.name, model.vendor, model.type, model.family))
        assert all(type(x) is str for x in (*model.endpoints, *model.reasoning_efforts))
        assert model.needs_enabling in (True, False)


@pytest.mark.parametrize(
    ("state", "expected"), [("enabled", "claude-opus-9-1m"), ("disabled", "claude-opus-9")]
)
def test_long_context_editions(state: str, expected: str) -> None:
    """A long-context edition exists only where it may be used."""
    catalogue = parse_models(
        [{"id": "claude-opus-9"}, {"id": "claude-opus-9-1m", "policy": {"state": state}}]
    )
    model = catalogue.get("claude-opus-9")

    assert model is not None
    assert expected == catalogue.long_context_variant(model).id
    assert expected == catalogue.long_context_variant(catalogue.long_context_variant(model)).id
