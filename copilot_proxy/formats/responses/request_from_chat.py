"""Translates a hub request into one for Copilot's Responses API.

For models that answer there alone. What that API does not have is dropped, by the tables at the
top, with a note for each.
"""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.responses import sealed_reasoning
from copilot_proxy.formats.responses.schema import Json

ENCRYPTED: Final = "reasoning.encrypted_content"

_SAME: Final = (
    "stream",
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "prompt_cache_key",
    "user",
)
"""Fields of the same name and meaning in both APIs."""

_TRANSLATED: Final = frozenset(
    {
        *_SAME,
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "reasoning_effort",
        "response_format",
        "verbosity",
        "tools",
        "tool_choice",
        # The Responses API tells its usage always.
        "stream_options",
        # Only 1 gets this far.
        "n",
    }
)

_REASONS: Final[Mapping[str, str]] = {
    "service_tier": "Copilot refuses it",
    "safety_identifier": "Copilot refuses it",
    "store": "Copilot stores nothing",
    "metadata": "it belongs to stored answers, and Copilot stores nothing",
    "thinking_budget": "the model takes reasoning_effort instead",
}
"""Why a field is dropped, where it is not that the Responses API lacks it.

It lacks stop, seed, logprobs, logit_bias, both penalties, prediction, modalities and audio.
"""


def from_chat(chat: Json, profile: ModelProfile, notes: list[str]) -> Json:
    """The upstream request for the hub request `chat`, one that `check_request` let through.

    What the model refuses of it is left to the rule book; `profile` only tells whether the model
    reasons, and so has a summary to ask for.
    """
    given = {name: value for name, value in chat.items() if value is not None}
    for name in given:
        if name not in _TRANSLATED and not (name == "store" and given[name] is False):
            reason = _REASONS.get(name, "the model's API, Responses, does not have it")
            notes.append(f"dropped {name}: {reason}")
    body: Json = {
        "model": profile.id or given["model"],
        "input": _input(given["messages"], notes),
        "store": False,
        "include": [ENCRYPTED],
    }
    body.update({name: given[name] for name in _SAME if name in given})
    body["stream"] = given.get("stream") is True
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        body["max_output_tokens"] = limit
    effort = given.get("reasoning_effort")
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    if profile.efforts or (profile.efforts is None and effort is not None):
        # Without asking, no summary would come.
        body.setdefault("reasoning", {})["summary"] = "auto"
    if text := _text_config(given):
        body["text"] = text
    _tools(given, body, notes)
    return body


def _text_config(given: Json) -> Json:
    config: Json = {}
    form = given.get("response_format") or {}
    if form.get("type") == "json_schema":
        # The Responses API has these side by side, not in a box of their own.
        inner = {name: v for name, v in (form.get("json_schema") or {}).items() if v is not None}
        config["format"] = {"type": "json_schema", **inner}
    elif form and form.get("type") != "text":
        config["format"] = dict(form)
    if "verbosity" in given:
        config["verbosity"] = given["verbosity"]
    return config


def _tools(given: Json, body: Json, notes: list[str]) -> None:
    tools = [_tool(tool["function"]) for tool in given.get("tools", ())]
    choice = given.get("tool_choice")
    if isinstance(choice, dict):
        tools, choice = _choice(choice, tools, notes)
    if not tools:
        body.pop("parallel_tool_calls", None)
        return
    body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice


def _tool(function: Json) -> Json:
    """A function in the flat form; `strict` is said always, as its default is another there."""
    tool = {name: v for name, v in function.items() if v is not None}
    return {"type": "function", **tool, "strict": tool.get("strict", False)}


def _choice(
    choice: Json, tools: list[Json], notes: list[str]
) -> tuple[list[Json], str | Json | None]:
    """The tools and the choice among them; a choice of several becomes fewer tools."""
    match choice.get("type"):
        case "function":
            return tools, {"type": "function", "name": _name(choice)}
        case "allowed_tools":
            allowed = choice.get("allowed_tools") or {}
            names = {_name(tool) for tool in allowed.get("tools", ())}
            return [t for t in tools if t["name"] in names], allowed.get("mode", "auto")
    notes.append(f"dropped tool_choice: Copilot has no tool {choice.get('type')}")
    return tools, None


def _name(tool: Json) -> object:
    function = tool.get("function")
    return function.get("name") if isinstance(function, dict) else None


def _input(messages: list[Json], notes: list[str]) -> list[Json]:
    items: list[Json] = []
    images: list[Json] = []
    for message in messages:
        if message["role"] == "tool":
            items.append(_output(message, images))
            continue
        _show(images, items)
        if message["role"] == "assistant":
            said = _assistant(message)
            if not said:
                notes.append("dropped an assistant message: it is empty")
            items += said
        else:
            items.append(_message(message["role"], _parts(message["content"])))
    _show(images, items)
    return items


def _message(role: str, content: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": content}


def _output(message: Json, images: list[Json]) -> Json:
    """The result of a call as a text; its images are put by, to be shown after the last result."""
    parts = _parts(message["content"])
    shown = [part for part in parts if part["type"] == "input_image"]
    if shown:
        said = f"Shown by the result of {message['tool_call_id']}:"
        images += [{"type": "input_text", "text": said}, *shown]
    return {
        "type": "function_call_output",
        "call_id": message["tool_call_id"],
        "output": "\n".join(part["text"] for part in parts if part["type"] == "input_text"),
    }


def _show(images: list[Json], items: list[Json]) -> None:
    """Shows the images of tools' results as the person's, as Copilot's own client does."""
    if images:
        items.append(_message("user", list(images)))
        images.clear()


def _parts(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    parts = [_part(part) for part in content]
    return parts or [{"type": "input_text", "text": ""}]


def _part(part: Json) -> Json:
    if part["type"] == "image_url":
        image = part["image_url"]
        image = {"url": image} if isinstance(image, str) else image
        detail = image.get("detail") or "auto"
        return {"type": "input_image", "image_url": image["url"], "detail": detail}
    return {"type": "input_text", "text": part.get("text") or part.get("refusal") or ""}


def _assistant(message: Json) -> list[Json]:
    """An earlier answer, with the reasoning that was sealed for this API before it."""
    content = _said(message.get("content"))
    if refusal := message.get("refusal"):
        content.append({"type": "refusal", "refusal": refusal})
    answer = [_message("assistant", content)] if content else []
    answer += [
        {
            "type": "function_call",
            "call_id": call["id"],
            "name": call["function"]["name"],
            "arguments": call["function"].get("arguments") or "{}",
        }
        for call in message.get("tool_calls") or ()
    ]
    if not answer:
        return []
    return [
        *(
            {"type": "reasoning", "summary": [], "encrypted_content": encrypted}
            for encrypted in sealed_reasoning.unseal(message.get("reasoning_opaque"))
        ),
        *answer,
    ]


def _said(content: Any) -> list[Json]:
    if not isinstance(content, list):
        content = [{"type": "text", "text": content or ""}]
    return [
        {"type": "refusal", "refusal": part["refusal"]}
        if part["type"] == "refusal"
        else {"type": "output_text", "text": part["text"]}
        for part in content
        if part.get("text") or part.get("refusal")
    ]
