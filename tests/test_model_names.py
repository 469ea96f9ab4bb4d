"""How model names are resolved, on lists of models from three dates."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Catalogue, parse_models
from copilot_proxy.model_choice import Size
from copilot_proxy.model_ids import parse_name
from copilot_proxy.model_names import (
    DEFAULT_FAMILY,
    FAMILY_NAMES,
    needs_catalogue,
    resolve,
    similar_ids,
    successor,
    suggestion,
)
from tests.catalogues import CATALOGUES, RETIRES, entry

MARCH, NOVEMBER, FUTURE = CATALOGUES.values()
OLD_NAMES = """
gpt-4 gpt-4-turbo gpt-4-0613 gpt-4o gpt-4o-2024-08-06 gpt-4o-mini gpt-3.5-turbo gpt-3.5-turbo-0125
gpt-4.1 gpt-4.1-mini gpt-4.1-nano gpt-5 gpt-5-mini gpt-5-nano gpt-5-codex chatgpt-4o-latest
codex-mini-latest o1 o1-preview o3 o3-mini o4-mini claude-2.1 claude-3-haiku-20240307
claude-3-5-haiku-latest claude-3-5-sonnet-20241022 claude-3.5-sonnet claude-3-7-sonnet-20250219
claude-3-opus-latest gemini-1.5-flash gemini-1.5-pro gemini-2.0-flash gemini-2.5-flash-lite
gemini-2.5-pro gemini-2.5-pro-preview-05-06
"""


def catalogue_of(*entries: Any) -> Catalogue:
    """Return a catalogue of entries; a string means a chat model with that id."""
    return parse_models([{"id": one} if isinstance(one, str) else one for one in entries])


def found(catalogue: Catalogue, name: str, default: str = DEFAULT_FAMILY) -> str | None:
    """Return the id of the model for a name, with a ``*`` if the model was chosen by size."""
    meaning = resolve(catalogue, name, default)
    return None if meaning is None else meaning.model.id + "*" * meaning.is_substitute


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-opus-4.6", "claude-opus-4.6"),
        ("claude-opus-4-6", "claude-opus-4.6"),
        ("claude-opus-4-6-20260205", "claude-opus-4.6"),
        ("claude-opus-4.6-20260205", "claude-opus-4.6"),
        ("claude-opus-4-6-latest", "claude-opus-4.6"),
        ("claude-opus-4-6-1m", "claude-opus-4.6-1m"),
        ("claude-opus-4-6[1m]", "claude-opus-4.6-1m"),
        ("claude-sonnet-4-5[1m]", "claude-sonnet-4.5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-haiku-4-5", "claude-haiku-4.5"),
        ("gpt-4", "gpt-4"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo"),
        ("gpt-4o-latest", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("gpt-5.1-2025-11-13", "gpt-5.1"),
        ("gpt-5.3-codex-2026-02-05", "gpt-5.3-codex"),
        ("gpt-9-2026-02-05", None),
        ("claude-opus-9", None),
        ("gpt-9", None),
        ("gpt-4.11", None),
        ("GPT-4.1", None),
        ("openai/gpt-4.1", None),
        ("o2", None),
        ("", None),
        ("claude-opus-4-6-20260205-x", None),
        ("gpt-4o-mni", None),
        ("x" * 300, None),
    ],
)
def test_ids(name: str, expected: str | None) -> None:
    """Ids and variants of their spelling resolve to the model, and mistyped names do not."""
    assert expected == found(MARCH, name)


@pytest.mark.parametrize(
    ("name", "march", "november", "future"),
    [
        ("default", "claude-sonnet-4.6", "claude-sonnet-5.5", "aurora-1"),
        ("sonnet", "claude-sonnet-4.6", "claude-sonnet-5.5", "claude-haiku-6*"),
        ("claude-sonnet", "claude-sonnet-4.6", "claude-sonnet-5.5", "claude-haiku-6*"),
        ("claude-sonnet-latest", "claude-sonnet-4.6", "claude-sonnet-5.5", "claude-haiku-6*"),
        ("opus", "claude-opus-4.6", "claude-opus-5.5", "claude-opus-6"),
        ("opus[1m]", "claude-opus-4.6-1m", "claude-opus-5.5", "claude-opus-6"),
        ("haiku", "claude-haiku-4.5", "claude-haiku-5.5", "claude-haiku-6"),
        ("claude", "claude-sonnet-4.6", "claude-sonnet-5.5", "claude-haiku-6"),
        ("fable", None, "claude-fable-5.2", None),
        ("gpt", "gpt-5.4", "gpt-6.1-terra", "gpt-7-sol"),
        ("gpt-mini", "gpt-5.4-mini", "gpt-6-luna*", "gpt-7-luna*"),
        ("gpt-codex", "gpt-5.3-codex", "gpt-5.3-codex", "gpt-7-sol*"),
        ("luna", None, "gpt-6-luna", "gpt-7-luna"),
        ("gemini-pro", "gemini-3.1-pro-preview", "gemini-4-hydrogen*", "aurora-1*"),
        ("gemini-flash", "gemini-3-flash-preview", "gemini-3.8-flash", "gpt-7-luna*"),
        ("grok", "claude-haiku-4.5*", "grok-4.7", "aurora-1*"),
        ("kimi", "claude-haiku-4.5*", "kimi-k3", "aurora-1*"),
        ("mai", "claude-haiku-4.5*", "mai-code-2", "aurora-1*"),
        ("text-embedding-3-small", *["text-embedding-3-small"] * 3),
    ],
)
def test_families(name: str, march: str | None, november: str | None, future: str | None) -> None:
    """A family means its newest model; a brand, its newest mid-sized model, not the priciest."""
    assert (march, november, future) == tuple(found(one, name) for one in CATALOGUES.values())


@pytest.mark.parametrize("name", FAMILY_NAMES)
@pytest.mark.parametrize("time", CATALOGUES)
def test_a_documented_family_always_means_a_model(time: str, name: str) -> None:
    """Family names in the documentation work with every account."""
    meaning = resolve(CATALOGUES[time], name, DEFAULT_FAMILY)

    assert meaning is not None
    assert not meaning.model.needs_enabling
    assert meaning.model.retirement is None
    assert needs_catalogue(name)


@pytest.mark.parametrize("name", OLD_NAMES.split())
@pytest.mark.parametrize("time", CATALOGUES)
def test_a_name_that_clients_have_built_in_always_means_a_model(time: str, name: str) -> None:
    """A client written for a 2025 model receives an answer from an affordable model."""
    catalogue = CATALOGUES[time]
    meaning = resolve(catalogue, name, DEFAULT_FAMILY)

    assert meaning is not None
    asked = parse_name(name).version
    assert meaning.is_substitute or asked in ((), meaning.model.parts.version)
    assert not meaning.model.needs_enabling
    assert meaning.model.retirement is None
    assert not needs_catalogue(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-4o-mini", "gpt-6-luna*"),
        ("gpt-3.5-turbo", "gpt-6-luna*"),
        ("gpt-5-nano", "gpt-6-luna*"),
        ("gpt-5-mini-2025-08-07", "gpt-6-luna*"),
        ("o4-mini", "gpt-6-luna*"),
        ("gpt-4", "gpt-6.1-terra*"),
        ("gpt-4o", "gpt-6.1-terra*"),
        ("o1", "gpt-6.2-sol*"),
        ("claude-3-5-haiku-latest", "claude-haiku-5.5*"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-5.5*"),
        ("claude-3-opus-20240229", "claude-opus-5.5*"),
        ("gemini-1.5-flash", "gemini-3.8-flash*"),
        ("gemini-2.5-pro", "gemini-4-hydrogen*"),
        ("claude-sonnet-4.5", None),
        ("claude-sonnet-4-5-20250929", None),
        ("gpt-5.4", None),
        ("gpt-5.4-mini", None),
        ("gemini-3.5-flash", None),
        ("grok-code-fast-1", None),
        ("deepseek-v3", None),
    ],
)
def test_sizes_in_november(name: str, expected: str | None) -> None:
    """An old name gets a model of the same vendor and size; a name removed recently gets none."""
    assert expected == found(NOVEMBER, name)


@pytest.mark.parametrize(
    ("name", "listed", "expected"),
    [
        ("gpt-4", ["gpt-4", "gpt-4.1"], "gpt-4"),
        ("claude-3-5-sonnet", ["claude-3.5-sonnet", "claude-sonnet-4.5"], "claude-3.5-sonnet"),
        ("claude-3-5-sonnet-20241022", ["claude-3-5-sonnet-20241022", "claude-3.5-sonnet"],
         "claude-3-5-sonnet-20241022"),
        ("claude-3-opus", ["claude-opus-5"], "claude-opus-5*"),
        ("gpt-4o", ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "gpt-5"], "gpt-4o-2024-11-20"),
        ("gpt-4o", ["gpt-4o-2024-11-20", "gpt-4o", "gpt-5"], "gpt-4o"),
        ("gpt-4o", ["gpt-4o-mini-2024-07-18", "gpt-4o-2024-11-20-x", "gpt-5"], "gpt-5*"),
        ("gpt-4o", [{"id": "gpt-4o-2024-11-20", "policy": {"state": "disabled"}}, "gpt-5"],
         "gpt-5*"),
        ("gpt-9", ["gpt-9-20270101"], "gpt-9-20270101"),
        ("opus", ["claude-opus-4.5", "claude-opus-4.10", "claude-opus-4.6-1m"], "claude-opus-4.10"),
        ("sonnet", ["claude-sonnet-5", {"id": "claude-sonnet-6", "policy": {"state": "disabled"}}],
         "claude-sonnet-5"),
        ("sonnet", [{"id": "claude-sonnet-6", "policy": {"state": "disabled"}}], "claude-sonnet-6"),
        ("sonnet", ["claude-sonnet-5", {"id": "claude-sonnet-6", "warning_messages": RETIRES}],
         "claude-sonnet-5"),
        ("sonnet", [{"id": "claude-sonnet-6", "warning_messages": RETIRES}], "claude-sonnet-6"),
        ("sonnet", ["claude-sonnet-5", {"id": "claude-sonnet-6", "supported_endpoints": ["/v9"]}],
         "claude-sonnet-5"),
        ("mini", ["gpt-5-mini", "raptor-mini"], None),
        ("sonnet", ["sonnet", "claude-sonnet-5"], "sonnet"),
    ],
)  # fmt: skip
def test_a_name_hides_no_live_model(name: str, listed: list[Any], expected: str | None) -> None:
    """A listed id takes precedence, and a family prefers usable models that are not retiring."""
    assert expected == found(catalogue_of(*listed), name)


def test_an_old_name_costs_no_more_than_necessary() -> None:
    """If the vendor has no small model, another vendor's is preferred to a larger model."""
    dear, cheap = entry("gpt-6-sol versatile medium 200 1000"), "claude-haiku-6 lightweight low 5 9"

    assert "claude-haiku-6*" == found(catalogue_of(dear, entry(cheap)), "gpt-4o-mini")
    assert "gpt-6-sol*" == found(catalogue_of(dear), "gpt-4o-mini")
    unpriced = {"id": "x-1", "model_picker_enabled": True, "model_picker_category": "lightweight"}
    assert "claude-haiku-6*" == found(catalogue_of(unpriced, entry(cheap)), "gpt-4o-mini")


CHAT_DEFAULT = {"id": "d", "is_chat_default": True}
FALLBACK = {"id": "f", "is_chat_fallback": True}
PICKED = {"id": "p", "model_picker_enabled": True}
DISABLED = {"id": "off", "is_chat_default": True, "policy": {"state": "disabled"}}
EMBEDDINGS = {"id": "e", "is_chat_default": True, "capabilities": {"type": "embeddings"}}
RESPONSES = {"id": "r", "is_chat_default": True, "supported_endpoints": ["/responses"]}
MOST_EXPENSIVE = {"model_picker_price_category": "very_high"}
ASTRA = {"id": "gpt-7-astra", **MOST_EXPENSIVE}
RETIRING = {"info_messages": RETIRES}


@pytest.mark.parametrize(
    ("entries", "wanted", "expected"),
    [
        (["a", CHAT_DEFAULT], "a", "a"),
        (["a", CHAT_DEFAULT], "missing", "d"),
        (["a", CHAT_DEFAULT], "default", "d"),
        (["a", CHAT_DEFAULT], "sonnet", "d"),
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
        (["claude-sonnet-5", "claude-sonnet-6"], "sonnet", "claude-sonnet-6"),
        (["claude-sonnet-6", CHAT_DEFAULT], "claude-sonnet-5", "claude-sonnet-6"),
        ([{**CHAT_DEFAULT, **MOST_EXPENSIVE}, "a"], "", "a"),
        ([{"id": "claude-sonnet-9", **MOST_EXPENSIVE}, "a"], "sonnet", "a"),
        ([{"id": "claude-fable-9", **MOST_EXPENSIVE}, "a"], "claude-fable-9", "claude-fable-9"),
        ([{"id": "dear", **MOST_EXPENSIVE}, PICKED], "", "p"),
        ([{"id": "dear", **MOST_EXPENSIVE}], "", "dear"),
        ([{**CHAT_DEFAULT, **RETIRING}, "a"], "", "a"),
        ([{**CHAT_DEFAULT, **RETIRING}], "", "d"),
        ([{"id": "live", "supported_endpoints": ["/v9/live"]}, "a"], "", "a"),
    ],
)
def test_default_and_auto(entries: list[Any], wanted: str, expected: str | None) -> None:
    """The default is the configured model or its successor, then Copilot's choice, then any model.

    The default is never the most expensive chat model or a retiring one, unless there is no other.
    """
    catalogue = catalogue_of(*entries)
    assert expected == found(catalogue, "default", wanted)
    # A note says which model answers for ``auto``.
    assert (expected and f"{expected}*") == found(catalogue, "auto", wanted)
    assert expected in (None, found(catalogue, "default", "auto" if wanted == "" else wanted))


def test_a_model_that_is_called_auto() -> None:
    """A live model that is called ``auto`` is not hidden."""
    assert "auto" == found(catalogue_of("auto", "a"), "auto", "a")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-sonnet-4.5", "claude-sonnet-5.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-5.5"),
        ("anthropic/claude-opus-4.7", "claude-opus-5.5"),
        ("gpt-5.4", "gpt-6.1-terra"),
        ("gpt-5.4-mini", "gpt-6-luna"),
        ("gpt-5.5-luna", "gpt-6-luna"),
        ("gemini-3.5-flash", "gemini-3.8-flash"),
        ("gemini-3.1-pro-preview", "gemini-4-hydrogen"),
        ("grok-code-fast-1", "grok-4.7"),
        ("kimi-k2.7-code", "kimi-k3"),
        ("deepseek-v3", None),
        ("goldeneye", None),
    ],
)
def test_successors(name: str, expected: str | None) -> None:
    """The successor is the newest model of the family.

    If the family has no model, it is the newest model of the same brand and size.
    """
    model = successor(NOVEMBER, name)

    assert expected == (model.id if model else None)
    if expected is not None:
        assert f"Use its successor {expected}." == suggestion(NOVEMBER, name)


OPUSES: list[Any] = ["claude-opus-5", "claude-opus-6-1m", "claude-sonnet-7"]
LUNA = {"id": "gpt-7-luna", "model_picker_category": "lightweight"}
SOL = {"id": "gpt-7-sol", "model_picker_category": "powerful"}


@pytest.mark.parametrize(
    ("entries", "name", "size", "expected"),
    [
        # A long-context variant is followed by another, or by the model itself.
        (OPUSES, "claude-opus-5-1m", None, "claude-opus-6-1m"),
        (["claude-opus-5", "claude-sonnet-7"], "claude-opus-5-1m", None, "claude-opus-5"),
        (["claude-opus-6", "claude-sonnet-7"], "claude-opus-5-1m", None, "claude-opus-6"),
        (OPUSES, "claude-opus-5-fast", None, "claude-sonnet-7"),
        # Never an older or unusable model.
        (["gpt-5", SOL], "gpt-6", None, "gpt-7-sol"),
        (["gpt-5"], "gpt-6", None, None),
        ([{**DISABLED, "id": "gpt-7"}, "gpt-6.5-sol"], "gpt-6", None, "gpt-6.5-sol"),
        # A model of the same size; if there is none, a larger one before a smaller one.
        ([LUNA, SOL], "gpt-6", None, "gpt-7-sol"),
        ([{**SOL, "id": "gpt-7-luna"}, "gpt-7-sol"], "gpt-6", Size.LARGE, "gpt-7-luna"),
        ([LUNA, "gpt-7-sol"], "gpt-6-mini", Size.LARGE, "gpt-7-luna"),
        ([ASTRA, "gpt-7-sol"], "gpt-6", Size.LARGE, "gpt-7-sol"),
        ([ASTRA, "gpt-7-sol"], "gpt-6-x", Size.MOST_EXPENSIVE, "gpt-7-astra"),
    ],
)  # fmt: skip
def test_requirements_for_successors(
    entries: list[Any], name: str, size: Size | None, expected: str | None
) -> None:
    """A successor is newer and usable, of the same family, or of the same brand and size."""
    model = successor(catalogue_of(*entries), name, size)

    assert expected == (model.id if model else None)


def test_a_model_that_the_account_does_not_have_yet() -> None:
    """If a model is newer than any in the account, the hint names the newest available model."""
    expected = "The newest model of its family is claude-opus-5.5."

    assert expected == suggestion(NOVEMBER, "claude-opus-9")


def test_similar_names() -> None:
    """A mistyped name gets up to three suggestions, all of which are chat models."""
    assert "gpt-4o-mini" == similar_ids(MARCH, "gpt-4o-mni")[0]
    assert suggestion(MARCH, "gpt-4o-mni").startswith("Did you mean gpt-4o-mini")
    assert 3 == len(similar_ids(MARCH, "gpt-44"))
    assert ["Did you mean sonnet?", "Did you mean haiku?"] == [
        suggestion(NOVEMBER, name) for name in ("sonet", "hiaku")
    ]
    assert [] == similar_ids(MARCH, "zzzzzz")
    assert "" == suggestion(MARCH, "zzzzzz")
    for name in ("GPT-4.1", "openai/gpt-4.1"):
        assert ["gpt-4.1"] == similar_ids(MARCH, name)
        assert "Did you mean gpt-4.1?" == suggestion(MARCH, name)
    assert "text-embedding-3-small" not in similar_ids(MARCH, "text-embedding-3-smal")
