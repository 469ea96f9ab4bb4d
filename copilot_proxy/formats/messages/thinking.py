"""Thinking, effort and sampling: makes a request for Claude one that the chosen model takes.

What a model takes is read from the catalogue; where that is silent, from the version in its id.
Source: the Copilot API, and Anthropic's pages on extended and adaptive thinking.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.formats.messages.schema import Json

LEAST_BUDGET: Final = 1024
"""Tokens of thinking; Claude refuses less."""

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1024,
    "low": 4096,
    "medium": 8192,
    "high": 16384,
    "xhigh": 24576,
    "max": 32000,
}
"""Tokens of thinking for an effort, where a model is told a budget; a rough scale of our own."""

_CLAUDE: Final = re.compile(r"^claude-(?P<kind>[a-z]+)-(?P<major>\d+)(?:\.(?P<minor>\d+))?")
_ADAPTIVE_ONLY: Final = (4, 7)
"""From this version on Claude chooses its budget itself and refuses to be given one."""


def version(model: Model | None, kind: str | None = None) -> tuple[int, int]:
    """The version in a Claude's id; (0, 0) for others, or if it is not of that kind."""
    match = _CLAUDE.match(model.id) if model is not None else None
    if match is None or (kind is not None and match["kind"] != kind):
        return (0, 0)
    return (int(match["major"]), int(match["minor"] or 0))


def is_adaptive(model: Model) -> bool:
    """Whether the model can choose by itself how long it thinks."""
    return model.supports.get("adaptive_thinking") is True


def thinks(body: Json) -> bool:
    """Whether the request switches thinking on."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive")


def effort_of(budget: int) -> str:
    """The effort that a budget in tokens comes nearest to."""
    return min(BUDGETS, key=lambda name: abs(BUDGETS[name] - budget))


def settle(body: Json, model: Model | None, notes: list[str]) -> None:
    """Changes `thinking`, `output_config.effort` and the sampling fields of `body` in place.

    Without a `model` (the catalogue could not be read) only what every Claude needs is done.
    """
    if thinks(body):
        _settle_thinking(body, model, notes)
    if isinstance(body.get("output_config"), dict):
        _settle_effort(body, model, notes)
    for drop in DROPS:
        if drop.field in body and drop.applies(model, body):
            del body[drop.field]
            notes.append(f"dropped {drop.field}: {drop.reason}")
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and temperature > 1:
        body["temperature"] = 1
        notes.append(f"changed temperature: {temperature} to 1, the most that Claude takes")


def _settle_thinking(body: Json, model: Model | None, notes: list[str]) -> None:
    if reason := _why_not(body, model):
        del body["thinking"]
        notes.append(f"dropped thinking: {reason}")
        return
    if model is not None:
        _choose_kind(body, model, notes)
    if body["thinking"]["type"] == "enabled":
        _clamp_budget(body, model, notes)


def _why_not(body: Json, model: Model | None) -> str | None:
    """Why this request cannot have thinking; None if it can."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
        return "Claude does not think when tool_choice forces a tool"
    if body["thinking"]["type"] == "enabled" and _began_without(body["messages"]):
        return "the turn under way began without it"
    if model is not None and not is_adaptive(model) and not _takes_budget(model):
        return "the model does not have it"
    most = body.get("max_tokens")
    enabled = body["thinking"]["type"] == "enabled" or (model and not is_adaptive(model))
    if enabled and isinstance(most, int) and most <= LEAST_BUDGET:
        return f"max_tokens of {most} leaves no room for it"
    return None


def _takes_budget(model: Model) -> bool:
    return _limit(model, "max_thinking_budget") is not None


def _choose_kind(body: Json, model: Model, notes: list[str]) -> None:
    """A budget, or the model's own choice, whichever the model takes."""
    thinking = body["thinking"]
    if thinking["type"] == "adaptive" and not is_adaptive(model):
        config = body.get("output_config")
        effort = config.get("effort") if isinstance(config, dict) else None
        budget = BUDGETS.get(effort or "high", BUDGETS["high"])
        if isinstance(body.get("max_tokens"), int):
            # The client did not choose the number, so at least half is left for the answer.
            budget = max(min(budget, body["max_tokens"] // 2), LEAST_BUDGET)
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        notes.append("changed thinking: the model takes a budget, not adaptive")
    elif thinking["type"] == "enabled" and is_adaptive(model) and version(model) >= _ADAPTIVE_ONLY:
        body["thinking"] = {"type": "adaptive"}
        budget = thinking.get("budget_tokens")
        if model.reasoning_efforts and isinstance(budget, int):
            config = body.get("output_config") or {}
            body["output_config"] = {"effort": effort_of(budget), **config}
        notes.append("changed thinking: the model takes adaptive, not a budget")


def _clamp_budget(body: Json, model: Model | None, notes: list[str]) -> None:
    thinking = body["thinking"]
    asked = thinking.get("budget_tokens")
    asked = asked if isinstance(asked, int) else BUDGETS["medium"]
    least = max(LEAST_BUDGET, _limit(model, "min_thinking_budget") or 0)
    most = _limit(model, "max_thinking_budget") or asked
    if isinstance(body.get("max_tokens"), int):
        most = min(most, body["max_tokens"] - 1)
    budget = min(max(asked, least), most)
    if budget != thinking.get("budget_tokens"):
        body["thinking"] = {**thinking, "budget_tokens": budget}
        notes.append(f"changed thinking.budget_tokens: {asked} to {budget}")


def _limit(model: Model | None, name: str) -> int | None:
    value = model.supports.get(name) if model is not None else None
    return value if type(value) is int and value > 0 else None


def _began_without(messages: list[Json]) -> bool:
    """Whether results of tools go back to an answer that has no thinking at its beginning.

    Claude does not let thinking be switched on in the middle of a turn.
    """
    if len(messages) < 2 or not isinstance(messages[-1]["content"], list):
        return False
    if not any(block["type"] == "tool_result" for block in messages[-1]["content"]):
        return False
    before = messages[-2]
    if before["role"] != "assistant" or not isinstance(before["content"], list):
        return False
    first = before["content"][0]["type"] if before["content"] else ""
    return first not in ("thinking", "redacted_thinking")


def _settle_effort(body: Json, model: Model | None, notes: list[str]) -> None:
    config = dict(body["output_config"])
    effort = config.get("effort")
    if model is not None and isinstance(effort, str):
        nearest = nearest_effort(effort, model.reasoning_efforts)
        if nearest is None:
            del config["effort"]
            notes.append("dropped output_config.effort: the model has no levels of it")
        elif nearest != effort:
            config["effort"] = nearest
            notes.append(f"changed output_config.effort: {effort} to {nearest}")
    config = {name: value for name, value in config.items() if value is not None}
    body["output_config"] = config
    if not config:
        del body["output_config"]


def nearest_effort(effort: str, offered: tuple[str, ...]) -> str | None:
    """The offered effort nearest to `effort`; None if there are none, itself if it is unknown."""
    ranks = {name: rank for rank, name in enumerate(EFFORTS)}
    known = [name for name in offered if name in ranks]
    if not offered:
        return None
    if effort in offered or effort not in ranks or not known:
        return effort
    return min(known, key=lambda name: abs(ranks[name] - ranks[effort]))


class Drop(NamedTuple):
    """A sampling field that Claude refuses: when, and why."""

    field: str
    applies: Callable[[Model | None, Json], bool]
    reason: str


def _own_sampling(model: Model | None, body: Json) -> bool:
    return version(model, "opus") >= _ADAPTIVE_ONLY


def _thinking(model: Model | None, body: Json) -> bool:
    return thinks(body)


def _low_top_p(model: Model | None, body: Json) -> bool:
    value: Any = body["top_p"]
    return thinks(body) and isinstance(value, int | float) and value < 0.95


def _beside_temperature(model: Model | None, body: Json) -> bool:
    return "temperature" in body and version(model) >= (4, 5)


DROPS: Final = (
    Drop("temperature", _own_sampling, "the model takes only its default"),
    Drop("top_p", _own_sampling, "the model takes only its default"),
    Drop("top_k", _own_sampling, "the model takes only its default"),
    Drop("temperature", _thinking, "Claude does not take it while it thinks"),
    Drop("top_k", _thinking, "Claude does not take it while it thinks"),
    Drop("top_p", _low_top_p, "Claude does not take less than 0.95 while it thinks"),
    Drop("top_p", _beside_temperature, "the model does not take it beside temperature"),
)
