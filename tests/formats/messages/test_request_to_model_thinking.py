"""Thinking, effort and sampling are adapted to what the model supports."""

from typing import Any

import pytest

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.efforts import nearest_effort
from copilot_proxy.formats.messages.request_to_model import messages_for_model
from copilot_proxy.formats.types import Json
from tests.formats.messages.samples import (
    THOUGHT,
    TOOL,
    assistant,
    check_with_simulator,
    request,
    result,
    simulated,
    use,
    user,
)
from tests.formats.requests import a_model

BUDGETED = simulated("claude-sonnet-4.5")
BOTH = simulated("claude-sonnet-4.6")
ADAPTIVE = simulated("claude-opus-4.7")
NONE = a_model("claude-sonnet-4.5", "Anthropic")
SHOWN = {"type": "adaptive", "display": "summarized"}
TO_BUDGET = (
    "changed thinking to a budget of {} tokens: the model does not support adaptive thinking"
)
TO_ADAPTIVE = "changed thinking to adaptive thinking{}: the model does not accept a budget"


def enabled(budget: int | None) -> Json:
    return {"type": "enabled", "budget_tokens": budget}


def adapted(model: Model, fields: Json) -> tuple[Json, list[str]]:
    """Return the fields of the body that these tests check, and the notes."""
    notes: list[str] = []
    messages = fields.pop("messages", [user("Hi")])
    body = messages_for_model(request(*messages, **fields), model, notes).body
    check_with_simulator(body)
    names = ("thinking", "output_config", "temperature", "top_p", "top_k")
    return {name: body[name] for name in names if name in body}, notes


@pytest.mark.parametrize(
    ("model", "fields", "expected", "notes"),
    [
        pytest.param(
            BUDGETED,
            {"thinking": enabled(2000)},
            {"thinking": enabled(2000)},
            [],
            id="a budget in range",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": enabled(100)},
            {"thinking": enabled(1024)},
            ["changed thinking.budget_tokens from 100 to 1024: the minimum"],
            id="less than Claude's minimum",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": enabled(9000)},
            {"thinking": enabled(4095)},
            ["changed thinking.budget_tokens from 9000 to 4095: it must be less than max_tokens"],
            id="more than max_tokens",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": enabled(50000), "max_tokens": 32000, "stream": True},
            {"thinking": enabled(31999)},
            ["changed thinking.budget_tokens from 50000 to 31999: it must be less than max_tokens"],
            id="more than the model's limit",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": {"type": "enabled"}},
            {"thinking": enabled(4095)},
            ["added thinking.budget_tokens of 4095: the model requires a budget"],
            id="no budget",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": enabled(1024), "max_tokens": 1024},
            {},
            ["dropped thinking: max_tokens of 1024 leaves no room for thinking"],
            id="no room",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": {"type": "adaptive"}, "max_tokens": 1000},
            {},
            ["dropped thinking: max_tokens of 1000 leaves no room for thinking"],
            id="no room for a budget instead of adaptive",
        ),
        pytest.param(
            ADAPTIVE,
            {"thinking": {"type": "adaptive"}, "max_tokens": 1000},
            {"thinking": {"type": "adaptive"}},
            [],
            id="adaptive needs no room",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": {"type": "adaptive"}, "max_tokens": 16000},
            {"thinking": enabled(8000)},
            [TO_BUDGET.format(8000)],
            id="adaptive for a model with budgets",
        ),
        pytest.param(
            BUDGETED,
            {
                "thinking": {"type": "adaptive"},
                "output_config": {"effort": "low"},
                "max_tokens": 16000,
            },
            {"thinking": enabled(4096)},
            [TO_BUDGET.format(4096), "dropped output_config.effort: the model does not support it"],
            id="adaptive with an effort for a model with budgets",
        ),
        pytest.param(
            BOTH,
            {"thinking": enabled(2000)},
            {"thinking": enabled(2000)},
            [],
            id="a model with both forms",
        ),
        pytest.param(
            ADAPTIVE,
            {"thinking": enabled(16000)},
            {"thinking": SHOWN, "output_config": {"effort": "high"}},
            [TO_ADAPTIVE.format(" with effort high")],
            id="a budget for an adaptive model",
        ),
        pytest.param(
            ADAPTIVE,
            {"thinking": enabled(16000), "output_config": {"effort": "low"}},
            {"thinking": SHOWN, "output_config": {"effort": "low"}},
            [TO_ADAPTIVE.format("")],
            id="the client's effort wins",
        ),
        pytest.param(
            ADAPTIVE,
            {"thinking": {"type": "enabled"}},
            {"thinking": SHOWN},
            [TO_ADAPTIVE.format("")],
            id="no budget for an adaptive model",
        ),
        pytest.param(
            NONE,
            {"thinking": enabled(2000)},
            {},
            ["dropped thinking: the model does not support it"],
            id="a model without thinking",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": {"type": "disabled"}, "temperature": 0.1},
            {"thinking": {"type": "disabled"}, "temperature": 0.1},
            [],
            id="turned off",
        ),
        pytest.param(
            BUDGETED,
            {
                "thinking": enabled(2000),
                "tools": [TOOL],
                "tool_choice": {"type": "tool", "name": "f"},
            },
            {},
            ["dropped thinking: Claude does not think when tool_choice forces a tool"],
            id="a forced tool",
        ),
        pytest.param(
            BOTH,
            {
                "thinking": {"type": "adaptive"},
                "tools": [TOOL],
                "tool_choice": {"type": "auto"},
                "output_config": {"effort": "max"},
            },
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            [
                "changed output_config.effort from max to high: the nearest value that the model "
                "supports"
            ],
            id="an effort above the model's",
        ),
        pytest.param(
            BUDGETED,
            {"thinking": enabled(2000), "temperature": 0.5, "top_k": 4, "top_p": 0.5},
            {"thinking": enabled(2000)},
            [
                "dropped temperature: Claude does not accept it with thinking",
                "dropped top_k: Claude does not accept it with thinking",
                "dropped top_p: Claude does not accept less than 0.95 with thinking",
            ],
            id="sampling while it thinks",
        ),
        pytest.param(
            ADAPTIVE,
            {"temperature": 0.5, "top_k": 4, "top_p": 0.99},
            {},
            [
                "dropped temperature: the model accepts only its default",
                "dropped top_p: the model accepts only its default",
                "dropped top_k: the model accepts only its default",
            ],
            id="a model with fixed sampling",
        ),
    ],
)
def test_thinking_fits_the_model(
    model: Model, fields: Json, expected: Json, notes: list[str]
) -> None:
    """A setting that the model rejects is changed to the nearest supported one, with a note."""
    assert (expected, notes) == adapted(model, dict(fields))


DROPPED = ["dropped thinking: the current turn began without it"]


@pytest.mark.parametrize(
    ("messages", "notes"),
    [
        ([user("Hi"), assistant(use()), user(result())], DROPPED),
        ([user("Hi"), assistant(THOUGHT, use()), user(result())], []),
        ([user("Hi"), assistant("Hello"), user("And?")], []),
        ([user("Hi"), assistant("Hello"), user({"type": "text", "text": "And?"})], []),
    ],
)
def test_thinking_does_not_start_with_tool_results(messages: list[Json], notes: list[str]) -> None:
    """Results of calls made without thinking are sent with thinking off, as Claude requires."""
    expected: Any = {} if notes else {"thinking": enabled(2000)}

    assert (expected, notes) == adapted(BUDGETED, {"thinking": enabled(2000), "messages": messages})


def test_adaptive_thinking_does_not_start_with_tool_results_either() -> None:
    """Adaptive thinking that would become a budget is also dropped after calls without thinking."""
    messages = [user("Hi"), assistant(use()), user(result())]

    kept, notes = adapted(BUDGETED, {"thinking": {"type": "adaptive"}, "messages": messages})

    assert ({}, DROPPED) == (kept, notes[-1:])


@pytest.mark.parametrize(
    "messages",
    [[user(result())], [user("Hi"), user(result())], [assistant("Hi"), user(result())]],
)
def test_orphaned_results_do_not_stop_thinking(messages: list[Json]) -> None:
    """A tool result without a call is treated as a user message, after which thinking can start."""
    notes: list[str] = []

    sent = request(*messages, thinking=enabled(2000))

    assert "thinking" in messages_for_model(sent, BUDGETED, notes).body


@pytest.mark.parametrize(
    ("effort", "supported", "expected"),
    [
        ("high", (), None),
        ("high", ("low", "high"), "high"),
        ("max", ("low", "high"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("minimal", ("none", "low"), "low"),
        ("minimal", ("none",), "none"),
        ("none", ("low", "high"), "low"),
        ("odd", ("low",), "odd"),
        ("high", ("odd",), None),
    ],
)
def test_the_nearest_effort(effort: str, supported: tuple[str, ...], expected: str | None) -> None:
    """An unsupported effort becomes the nearest supported one; unknown efforts are passed on."""
    assert expected == nearest_effort(effort, supported)
