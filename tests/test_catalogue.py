"""The model list, and its lenient parsing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_proxy import model_names
from copilot_proxy.catalogue import Catalogue, parse_models
from tests.conftest import recorded_json
from tests.selection import examples

RECORDED = parse_models(recorded_json("models.json"))


def catalogue_of(*entries: Any) -> Catalogue:
    """Return a catalogue of entries; a string means a chat model with that id."""
    return parse_models([{"id": entry} if isinstance(entry, str) else entry for entry in entries])


def test_the_recorded_list() -> None:
    """Every id in a recorded list appears once, in GitHub's order."""
    ids = [entry["id"] for entry in recorded_json("models.json")["data"]]

    assert len(ids) == 2 + len(set(ids))
    assert list(dict.fromkeys(ids)) == [model.id for model in RECORDED]
    assert len(set(ids)) == len(RECORDED)


def test_the_first_entry_of_a_repeated_id_is_used() -> None:
    """Among entries with the same id, the first one is used."""
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
    """A model needs to be enabled unless its policy says that it already is."""
    (model,) = catalogue_of({"id": "a", **entry})

    assert expected is model.needs_enabling


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([True, False], ["a"]), ([False, False], ["a", "b"]), ([None, True], ["b"])],
)
def test_models_in_the_picker(flags: list[bool | None], expected: list[str]) -> None:
    """Entries say which models are in Copilot's picker; if no model is, the flag is ignored."""
    catalogue = catalogue_of(
        *(
            {"id": name, "model_picker_enabled": flag}
            for name, flag in zip("ab", flags, strict=True)
        )
    )

    assert expected == [model.id for model in catalogue if catalogue.is_picked(model)]
    assert expected == [model.id for model in catalogue.picker_models]


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        (["/v9/live"], []),
        (["ws:/responses"], ["a"]),
        (["ws:/v9/live"], []),
        (["/v9/live", "/responses"], ["a"]),
        ([], ["a"]),
        ("odd", ["a"]),
    ],
)
def test_a_model_that_cannot_be_called(endpoints: Any, expected: list[str]) -> None:
    """A model that Copilot serves only on unknown APIs is not offered."""
    catalogue = catalogue_of({"id": "a", "supported_endpoints": endpoints})

    assert expected == [model.id for model in catalogue.usable]
    assert expected == [model.id for model in catalogue.picker_models]


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
    """A limit that is not a positive integer counts as unknown."""
    (model,) = catalogue_of({"id": "a", "capabilities": {"limits": {"x": value}}})

    assert model.limit("x") is None


@pytest.mark.parametrize(
    "payload", [None, "x", 5, {}, {"data": None}, {"data": {}}, [], {"data": []}, [{"name": "a"}]]
)
def test_invalid_lists(payload: object) -> None:
    """Anything other than a list of models is an error, not an empty list."""
    with pytest.raises(ValueError, match=r"not a list of models|contains no models"):
        parse_models(payload)


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
        "model_picker_category": JSON,
        "model_picker_price_category": JSON | st.just("low"),
        "billing": JSON
        | st.fixed_dictionaries(
            {"multiplier": JSON, "token_prices": JSON | st.fixed_dictionaries({"default": JSON})}
        ),
        "warning_messages": JSON | st.lists(st.fixed_dictionaries({"code": JSON, "message": JSON})),
        "info_messages": JSON,
        "capabilities": JSON
        | st.fixed_dictionaries({"type": JSON, "family": JSON, "limits": JSON, "supports": JSON}),
    },
)


@examples(100)
@given(st.lists(ENTRY | JSON, max_size=4))
def test_a_malformed_entry_does_not_hide_others(entries: list[Any]) -> None:
    """A malformed entry does not hide valid entries."""
    catalogue = parse_models({"data": [*entries, {"id": "sound"}]})

    assert catalogue.get("sound") is not None
    assert len({model.id for model in catalogue}) == len(catalogue)
    default = model_names.default(catalogue, "sonnet")
    assert default is None or default in list(catalogue)
    for name in ("opus", "gpt-4o-mini", "claude-sonnet-4.5"):
        model_names.resolve(catalogue, name, "sonnet")
        assert type(model_names.suggestion(catalogue, name)) is str
    for model in catalogue:
        assert model.id
        assert all(type(x) is str for x in (model.name, model.vendor, model.type, model.family))
        assert all(type(x) is str for x in (*model.endpoints, *model.reasoning_efforts))
        assert model.needs_enabling in (True, False)


@pytest.mark.parametrize(
    ("state", "expected"), [("enabled", "claude-opus-9-1m"), ("disabled", "claude-opus-9")]
)
def test_long_context_variants(state: str, expected: str) -> None:
    """A long-context variant exists only if it can be used."""
    catalogue = parse_models(
        [{"id": "claude-opus-9"}, {"id": "claude-opus-9-1m", "policy": {"state": state}}]
    )
    model = catalogue.get("claude-opus-9")

    assert model is not None
    assert expected == catalogue.long_context_variant(model).id
    assert expected == catalogue.long_context_variant(catalogue.long_context_variant(model)).id
