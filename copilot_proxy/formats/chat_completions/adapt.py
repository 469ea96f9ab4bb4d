"""Makes a client's request one that the chosen model takes, and says what was changed.

What is renamed, dropped or clamped stands in the tables at the top; nothing else is touched.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from copilot_proxy.catalogue import Model
from copilot_proxy.errors import RequestError
from copilot_proxy.formats.chat_completions.cache_marks import mark_stable
from copilot_proxy.formats.chat_completions.content_parts import show_images, without_blanks
from copilot_proxy.formats.chat_completions.schema import Json

_OPENAI: Final = ("OpenAI", "Azure OpenAI")
_STRICT: Final = ("Anthropic", "Google")
_CLASSIC_GPT: Final = re.compile(r"^gpt-(3\.5|4)(?:$|[^\d])")
_CLAUDE: Final = re.compile(r"^claude-(?P<kind>[a-z]+)-(?P<major>\d+)(?:\.(?P<minor>\d+))?")
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_SEALED_ELSEWHERE: Final = ("responses:", "messages:")
_UNDERSTOOD_BY_STRICT: Final = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking_budget",
    }
)
"""The fields that Claude and Gemini take; a request with any other may be refused."""


class Drop(NamedTuple):
    """A field that Copilot refuses: for which models, and why."""

    field: str
    applies: Callable[[Model | None, Json], bool]
    reason: str


def _always(model: Model | None, request: Json) -> bool:
    return True


def _fixed_sampling(model: Model | None, request: Json) -> bool:
    return is_reasoning_gpt(model)


def _without_temperature(model: Model | None, request: Json) -> bool:
    return is_reasoning_gpt(model) or _claude_version(model, "opus") >= (4, 7)


def _top_p_beside_temperature(model: Model | None, request: Json) -> bool:
    return "temperature" in request and _claude_version(model) >= (4, 5)


def _without_parallel_calls(model: Model | None, request: Json) -> bool:
    return model is not None and model.supports.get("parallel_tool_calls") is not True


def _without_efforts(model: Model | None, request: Json) -> bool:
    return model is not None and not model.reasoning_efforts


def _empty_prediction(model: Model | None, request: Json) -> bool:
    prediction = request.get("prediction")
    return not (isinstance(prediction, dict) and prediction.get("content"))


DROPS: Final = (
    Drop("service_tier", _always, "Copilot refuses it"),
    Drop("store", _always, "Copilot stores nothing"),
    Drop("metadata", _always, "it belongs to stored answers, and Copilot stores nothing"),
    Drop("safety_identifier", _always, "Copilot refuses it"),
    Drop("prediction", _empty_prediction, "it is empty"),
    Drop("temperature", _without_temperature, "the model takes only its default"),
    Drop("top_p", _fixed_sampling, "the model takes only its default"),
    Drop("top_p", _top_p_beside_temperature, "the model does not take it beside temperature"),
    Drop("parallel_tool_calls", _without_parallel_calls, "the model does not have it"),
    Drop("reasoning_effort", _without_efforts, "the model has no levels of it"),
)


def is_reasoning_gpt(model: Model | None) -> bool:
    """Whether it is of GPT-5's or the o-series' kind, which fixes sampling and renames the limit.

    Told from the older families by name, since the catalogue has no word for it; a family yet
    unknown counts as new.
    """
    return (
        model is not None and model.vendor in _OPENAI and not _CLASSIC_GPT.match(model.family + " ")
    )


def _claude_version(model: Model | None, kind: str | None = None) -> tuple[int, int]:
    match = _CLAUDE.match(model.id) if model is not None else None
    if match is None or (kind is not None and match["kind"] != kind):
        return (0, 0)
    return (int(match["major"]), int(match["minor"] or 0))


def adapt_request(request: Mapping[str, Any], model: Model | None) -> tuple[Json, list[str]]:
    """The body for Copilot's chat API, and a note for each change that a client may care about.

    `model` is None when the catalogue could not be read: then only what every model needs is done.
    """
    notes: list[str] = []
    body = {name: value for name, value in request.items() if value is not None}
    body.pop("n", None)
    if model is not None:
        body["model"] = model.id
    for drop in DROPS:
        if drop.field in body and drop.applies(model, body):
            _drop(body, drop.field, drop.reason, notes)
    if model is not None and model.vendor in _STRICT:
        for name in [name for name in body if name not in _UNDERSTOOD_BY_STRICT]:
            _drop(body, name, "the model does not take it", notes)
    _name_limit(body, model, notes)
    _clamp_effort(body, model, notes)
    body["stream"] = _streams(body, model)
    if body["stream"]:
        # Asked for always: without it some models never say what an answer cost.
        body["stream_options"] = {"include_usage": True}
    else:
        body.pop("stream_options", None)
    if tools := body.get("tools"):
        body["tools"] = [_tool(tool) for tool in tools]
    elif "tools" in body:
        body.pop("tools")
        body.pop("tool_choice", None)
        body.pop("parallel_tool_calls", None)
    body["messages"] = _messages(body["messages"], notes)
    if model is not None and model.vendor == "Anthropic":
        body["messages"] = without_blanks(body["messages"], notes)
    if not body["messages"]:
        raise RequestError("The messages hold nothing to answer.", param="messages")
    if model is not None and model.vendor == "Anthropic":
        body["messages"] = mark_stable(body["messages"])
    return body, notes


def _drop(body: Json, name: str, reason: str, notes: list[str]) -> None:
    del body[name]
    notes.append(f"dropped {name}: {reason}")


def _name_limit(body: Json, model: Model | None, notes: list[str]) -> None:
    """One limit under the name that the model takes; Claude always gets one.

    Copilot's own client always sends a limit; without it Claude's answers may end early.
    """
    if model is None:
        return
    if is_reasoning_gpt(model):
        if "max_tokens" in body:
            limit = body.pop("max_tokens")
            body.setdefault("max_completion_tokens", limit)
            notes.append("renamed max_tokens: max_completion_tokens")
        return
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
        notes.append("renamed max_completion_tokens: max_tokens")
    most = model.limit("max_output_tokens")
    if "max_tokens" not in body and model.vendor == "Anthropic" and most is not None:
        body["max_tokens"] = most


def _streams(body: Json, model: Model | None) -> bool:
    """Whether Copilot is asked for events, whatever the client wants: some models cannot stream,
    and Claude answers beyond a limit only in a stream. The answer is put into the client's form."""
    wanted = body.get("stream") is True
    if model is None:
        return wanted
    if wanted:
        return model.supports.get("streaming") is True
    most = model.limit("max_non_streaming_output_tokens")
    asked = body.get("max_tokens")
    return most is not None and isinstance(asked, int) and asked > most


def _clamp_effort(body: Json, model: Model | None, notes: list[str]) -> None:
    offered = model.reasoning_efforts if model is not None else ()
    effort = body.get("reasoning_effort")
    if not offered or effort is None or effort in offered:
        return
    ranks = {name: rank for rank, name in enumerate(_EFFORTS)}
    if effort not in ranks:
        return  # upstream names the values that it takes
    known = [name for name in offered if name in ranks]
    if known:
        body["reasoning_effort"] = min(known, key=lambda name: abs(ranks[name] - ranks[effort]))
        notes.append(f"changed reasoning_effort: {effort} to {body['reasoning_effort']}")


def _tool(tool: Json) -> Json:
    """A tool whose parameters are a schema of an object, which Copilot insists on."""
    function = {name: v for name, v in tool["function"].items() if v is not None}
    given = function.get("parameters") or {}
    kind = given.get("type") or "object"
    function["parameters"] = {"properties": {}, **given, "type": kind}
    return {**tool, "type": "function", "function": function}


def _messages(messages: list[Json], notes: list[str]) -> list[Json]:
    adapted = []
    for message in messages:
        # Clients send an answer's message back with every field, most of them null.
        clean = {name: v for name, v in message.items() if v is not None or name == "content"}
        if clean["role"] == "developer":
            clean["role"] = "system"
        elif clean["role"] == "assistant":
            clean = _assistant(clean)
            if not clean.get("content") and not clean.get("tool_calls"):
                notes.append("dropped an assistant message: it is empty")
                continue
        if isinstance(clean.get("content"), list):
            clean["content"] = [_part(part) for part in clean["content"]]
        adapted.append(clean)
    return show_images(adapted, notes)


def _assistant(message: Json) -> Json:
    """An earlier answer as Copilot's models take it back."""
    refusal = message.pop("refusal", None)
    message.pop("annotations", None)
    message.pop("audio", None)
    reasoning = message.pop("reasoning_content", None)
    if str(message.get("reasoning_opaque", "")).startswith(_SEALED_ELSEWHERE):
        # Sealed by another API, and so by another vendor: neither the seal nor its text is for
        # this model.
        del message["reasoning_opaque"]
        message.pop("reasoning_text", None)
        reasoning = None
    if reasoning:
        message.setdefault("reasoning_text", reasoning)
    content = message.get("content")
    if isinstance(content, list):
        content = [p for p in content if p.get("type") != "text" or p.get("text")]
    message["content"] = content or refusal or None
    if calls := message.get("tool_calls"):
        message["tool_calls"] = [_call(call) for call in calls]
    else:
        message.pop("tool_calls", None)
    return message


def _part(part: Json) -> Json:
    if part["type"] == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if part["type"] == "image_url" and isinstance(part["image_url"], str):
        return {**part, "image_url": {"url": part["image_url"]}}
    return part


def _call(call: Json) -> Json:
    function = call["function"]
    return {
        "type": "function",
        **call,
        "function": {**function, "arguments": function.get("arguments") or "{}"},
    }
