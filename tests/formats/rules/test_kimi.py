"""Kimi receives only its default sampling, and tool call ids in the format that it expects."""

import pytest

from tests.formats.routes import EFFORTS, claude, every_client, model_on, sent
from tests.formats.rules.asking import called, ids, result, user
from tests.selection import every_value

K3 = "kimi-k3"


@every_client
@pytest.mark.parametrize("route", ["chat_completions", "responses"])
def test_sampling_is_the_default(client: str, route: str) -> None:
    """Temperature 1 and top_p 0.95 are accepted; anything else is dropped, with a note."""
    model = model_on(route, K3, "Moonshot AI")

    default = sent(client, model, temperature=1, top_p=0.95)
    other = sent(client, model, temperature=0, top_p=1)

    assert (1, 0.95) == (default.body["temperature"], default.body["top_p"])
    assert {"temperature", "top_p"}.isdisjoint(other.body)
    assert 2 == len([note for note in other.notes if "only its default" in note])


@every_value
@every_client
@pytest.mark.parametrize("route", ["chat_completions", "responses"])
@pytest.mark.parametrize(
    ("id", "expected"), [("kimi-k3", "f:"), ("kimi-k2.5", "functions.f:"), ("kimi-k4", "f:")]
)
def test_ids_of_other_models_are_numbered(client: str, route: str, id: str, expected: str) -> None:
    """A call by another model is given an id in Kimi's format, as is its result."""
    steps = [user(), called("toolu_1"), result("toolu_1"), called("f:0"), result("f:0"), user()]

    request = sent(client, model_on(route, id, "Moonshot AI"), *steps)

    numbered = [(kind, f"{expected}{n}") for n in (0, 1) for kind in ("call", "result")]
    assert numbered == ids(request.body)
    assert any("numbered" in note for note in request.notes)


@every_client
def test_its_own_ids_are_left_alone(client: str) -> None:
    """A conversation with only Kimi's own ids is unchanged, whatever number the ids start at."""
    steps = [user(), called("f:3"), result("f:3"), called("f:7"), result("f:7"), user()]

    request = sent(client, model_on("chat_completions", K3, "Moonshot AI"), *steps)

    assert ["f:3", "f:3", "f:7", "f:7"] == [id for _, id in ids(request.body)]
    assert [] == request.notes


@every_client
def test_an_id_that_is_used_twice(client: str) -> None:
    """Calls with the same id get different numbers, and their results follow in order."""
    steps = [user(), called("a"), result("a"), user(), called("a"), result("a"), user()]

    request = sent(client, model_on("chat_completions", K3, "Moonshot AI"), *steps)

    assert ["f:0", "f:0", "f:1", "f:1"] == [id for _, id in ids(request.body)]


@every_client
@pytest.mark.parametrize("id", ["functions.f:0", "f:0"])
def test_kimis_ids_are_changed_for_claude(client: str, id: str) -> None:
    """For Claude, an id has only accepted characters, and the call and result share it."""
    request = sent(client, claude("claude-opus-5"), user(), called(id), result(id))

    (call, output) = [id for _, id in ids(request.body)]
    assert call == output
    assert call.replace("_", "").isalnum()


@every_client
def test_efforts_are_the_models(client: str) -> None:
    """An effort that Kimi does not list becomes the nearest listed effort."""
    offered = ["low", "high", "max"]
    model = model_on("chat_completions", K3, "Moonshot AI", reasoning_effort=offered)

    for effort in EFFORTS:
        assert sent(client, model, effort=effort).body["reasoning_effort"] in offered
