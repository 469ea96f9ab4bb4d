"""Ids that are too long or used twice, and messages with too many tool calls."""

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.rules.tool_results import NO_RESULT
from tests.formats.routes import claude, every_client, model_on, sent
from tests.formats.rules.asking import called, ids, result, turns, user
from tests.selection import every_value

MODELS = (
    model_on("chat_completions", "gpt-4o"),
    model_on("chat_completions", "claude-haiku-4.5", "Anthropic"),
    model_on("chat_completions", "gemini-2.5-pro", "Google"),
    model_on("responses", "gpt-6-sol"),
    claude("claude-opus-5"),
)
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)


def pairs(*expected: str) -> list[tuple[str, str]]:
    """Return the calls and results of turns.

    ``"a b"`` means two calls in one message, followed by their results.
    """
    return [(kind, id) for group in expected for kind in ("call", "result") for id in group.split()]


@every_value
@every_client
@every_model
def test_an_id_that_is_used_twice_gets_another(client: str, model: Model) -> None:
    """Later calls get new ids; results keep their order, and stay with their calls."""
    steps = [user(), called("a", "a"), result("a"), result("a"), user()]
    more = [called("b"), result("b"), user(), called("a"), result("a"), user()]

    first, second = (sent(client, model, *one) for one in (steps, [*steps, *more]))

    assert pairs("a a_2") == ids(first.body)
    assert pairs("a a_2", "b", "a_3") == ids(second.body), "earlier ids stay as they were"
    assert ["changed ids that several tool calls share"] == [
        note for note in second.notes if "ids" in note
    ]


@every_value
@every_client
@every_model
def test_an_interrupted_call_does_not_get_a_later_result(client: str, model: Model) -> None:
    """If more calls than results share an id, the last calls get the results."""
    request = sent(client, model, user(), called("a"), user(), called("a"), result("a"), user())

    assert pairs("a", "a_2") == ids(request.body)
    text = str(request.body)
    assert text.index(NO_RESULT) < text.index("a_2") < text.index("'done'")


@every_value
@every_client
@every_model
def test_empty_ids(client: str, model: Model) -> None:
    """Calls and results without an id get one, in order, since OpenAI's models refuse empty ids."""
    request = sent(client, model, user(), called("", ""), result(""), result(""), user())

    used = ids(request.body)
    calls, results = ([id for one, id in used if one == kind] for kind in ("call", "result"))
    assert all(calls)
    assert 2 == len(set(calls))
    assert calls == results


@every_client
def test_a_new_id_is_not_one_that_is_used(client: str) -> None:
    """An id that the client has used is never given to another call."""
    steps = [called("a", "a_2", "a"), result("a"), result("a_2"), result("a")]

    calls = [id for kind, id in ids(sent(client, MODELS[0], user(), *steps).body) if kind == "call"]

    assert ["a", "a_2", "a_2_"] == calls


@every_client
def test_results_beyond_the_calls_stay_visible(client: str) -> None:
    """A second result of the same call becomes a user message."""
    steps = [called("a", "a"), result("a"), result("a"), result("a")]

    request = sent(client, MODELS[1], user(), *steps)

    assert pairs("a a_2") == ids(request.body)
    assert "(Result of an earlier tool call)" in str(request.body)


@every_client
@pytest.mark.parametrize("model", MODELS[:3], ids=lambda model: model.id)
def test_many_calls_are_split(client: str, model: Model) -> None:
    """No message has more than 128 calls, and each is followed by the results of its calls."""
    many = [f"call_{number}" for number in range(300)]
    steps = [user(), called(*many), *(result(id) for id in many), user("Go on.")]

    request = sent(client, model, *steps)

    groups = [" ".join(many[start : start + 128]) for start in (0, 128, 256)]
    assert pairs(*groups) == ids(request.body)
    assert [128, 128, 44] == [
        len(turn["tool_calls"]) for turn in turns(request.body) if turn.get("tool_calls")
    ]
    assert any(
        "with 300 tool calls, since Copilot accepts at most 128 in" in n for n in request.notes
    )


@every_value
@every_client
@pytest.mark.parametrize(
    ("id", "vendor", "length"),
    [
        ("gpt-4o", "OpenAI", 40),
        ("mai-code-2-flash", "Microsoft", 40),
        ("grok-4.7", "xAI", 40),
        ("aurora-1", "Somebody", 40),
        ("claude-haiku-4.5", "Anthropic", 60),
        ("gemini-4-neon", "Google", 60),
    ],
)
def test_long_ids_are_shortened_on_chat(client: str, id: str, vendor: str, length: int) -> None:
    """An id has at most 40 characters, unless the model's vendor is known to accept more."""
    model = model_on("chat_completions", id, vendor)
    long = "x" * 60

    request = sent(client, model, user(), called(long), result(long), user())

    ((_, call), (_, answer)) = ids(request.body)
    assert (length, call) == (len(call), answer)
