"""Translates a chat request into one for Copilot's Responses API.

Used for models that Copilot serves only on that API. Fields that the API does not support are
dropped with a note, as listed in the tables at the top.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from copilot_proxy.formats.chat_completions.earlier_answers import (
    UNUSABLE_REASONING,
    has_reasoning,
    note_unknown,
)
from copilot_proxy.formats.chat_completions.request import output_limit
from copilot_proxy.formats.chat_completions.tool_choice import tool_name, unknown_choice
from copilot_proxy.formats.client_fields import CHAT_FIELDS, ClientFields
from copilot_proxy.formats.custom_tools import flat_format
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.reasoning_summary import REASONING_SUMMARY
from copilot_proxy.formats.responses import encrypted_reasoning
from copilot_proxy.formats.rules.cache_control import BREAKPOINT
from copilot_proxy.formats.types import ChatRequest, Json, ResponsesRequest

ENCRYPTED: Final = "reasoning.encrypted_content"

SAME_FIELDS: Final = (
    "stream",
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_options",
    "user",
)
"""Fields with the same name and meaning in both APIs."""

_TRANSLATED: Final = frozenset(
    {
        *SAME_FIELDS,
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "reasoning_effort",
        "response_format",
        "verbosity",
        "tools",
        "tool_choice",
        # The Responses API always returns usage.
        "stream_options",
        # By now, this can only be 1.
        "n",
        REASONING_SUMMARY,
    }
)

_REASONS: Final[Mapping[str, str]] = {
    "thinking_budget": "the model uses reasoning_effort instead",
}
"""Field -> why it is dropped. Fields without a reason are dropped because the API does not support
them.

Examples are seed, logprobs, logit_bias, penalties, and prediction.
"""


def from_chat(
    chat: ChatRequest,
    profile: ModelProfile,
    notes: list[str],
    names: ClientFields = CHAT_FIELDS,
) -> ResponsesRequest:
    """Return the Responses request for `chat`, a chat request validated by `check_request`.

    The model's own rules are applied later. A reasoning summary is requested if `profile` says that
    the model reasons or, if that is unknown, if the client sets an effort. `names` are the client's
    names for the fields.
    """
    fields = {name: value for name, value in chat.items() if value is not None}
    for name in fields:
        if name not in _TRANSLATED:
            reason = _REASONS.get(name, "the Responses API does not support it")
            notes.append(f"dropped {names.shown(name)}: {reason}")
    body: ResponsesRequest = {
        "model": profile.id or fields["model"],
        "input": _input(fields["messages"], profile, notes),
        "store": False,
        "include": [ENCRYPTED],
    }
    body.update({name: fields[name] for name in SAME_FIELDS if name in fields})
    body["stream"] = fields.get("stream") is True
    limit = output_limit(fields, notes)
    if limit is not None:
        body["max_output_tokens"] = limit
    effort = fields.get("reasoning_effort")
    if effort is not None:
        body["reasoning"] = {"effort": effort}
    if profile.efforts or (profile.efforts is None and effort is not None):
        # Otherwise, the model sends no summary.
        body.setdefault("reasoning", {})["summary"] = "auto"
    if text := _text_config(fields):
        body["text"] = text
    _tools(fields, body)
    return body


def _text_config(fields: ChatRequest) -> Json:
    config: Json = {}
    form = fields.get("response_format") or {}
    if form.get("type") == "json_schema":
        # The Responses API has these fields next to the type, rather than in an object of their
        # own.
        inner = {name: v for name, v in (form.get("json_schema") or {}).items() if v is not None}
        config["format"] = {"type": "json_schema", **inner}
    elif form and form.get("type") != "text":
        config["format"] = dict(form)
    if "verbosity" in fields:
        config["verbosity"] = fields["verbosity"]
    return config


def _tools(fields: ChatRequest, body: ResponsesRequest) -> None:
    tools = [_tool(tool) for tool in fields.get("tools", ())]
    choice = fields.get("tool_choice")
    if not tools:
        body.pop("parallel_tool_calls", None)
        return
    body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = _choice(choice) if isinstance(choice, dict) else choice


def _tool(tool: Json) -> Json:
    """Return a tool in the flat form. A function always has `strict`, whose default differs in this
    API."""
    kind = "custom" if tool.get("type") == "custom" else "function"
    flat = {name: v for name, v in tool[kind].items() if v is not None}
    if kind == "function":
        return {"type": kind, **flat, "strict": flat.get("strict", False)}
    if "format" in flat:
        flat["format"] = flat_format(flat["format"])
    return {"type": kind, **flat}


def _choice(choice: Json) -> Json:
    kind = choice.get("type")
    if kind in ("function", "custom"):
        return {"type": kind, "name": tool_name(choice)}
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        tools = [_choice(tool) for tool in allowed.get("tools") or () if tool_name(tool)]
        return {"type": kind, "mode": allowed.get("mode", "auto"), "tools": tools}
    raise unknown_choice(choice)


def _input(messages: list[Json], profile: ModelProfile, notes: list[str]) -> list[Json]:
    items: list[Json] = []
    media: list[Json] = []
    custom: set[str] = set()
    """The ids of calls to custom tools."""
    for message in messages:
        if message["role"] == "tool":
            items.append(_output(message, media, custom))
            continue
        _add_media(media, items)
        if message["role"] == "assistant":
            calls = message.get("tool_calls") or ()
            custom.update([call["id"] for call in calls if call.get("type") == "custom"])
            assistant_items = _assistant(message, profile, notes)
            if not assistant_items:
                notes.append("dropped an empty assistant message")
            items += assistant_items
        else:
            items.append(_message(message["role"], _parts(message["content"])))
    _add_media(media, items)
    note_unknown(messages, "the Responses API", notes)
    return items


def _message(role: str, content: list[Json]) -> Json:
    return {"type": "message", "role": role, "content": content}


def _output(message: Json, media: list[Json], custom: Collection[str]) -> Json:
    """Return the text result of a call, adding its images and PDFs to `media`."""
    is_custom = message["tool_call_id"] in custom
    output = message["content"]
    if not isinstance(output, str):
        parts = _parts(output)
        output = "\n".join(part["text"] for part in parts if part["type"] == "input_text")
        result_media = [part for part in parts if part["type"] != "input_text"]
        if result_media:
            only_images = all(part["type"] == "input_image" for part in result_media)
            kind = "Images" if only_images else "Files"
            label = f"{kind} in the result of {message['tool_call_id']}:"
            media += [{"type": "input_text", "text": label}, *result_media]
    return {
        "type": "custom_tool_call_output" if is_custom else "function_call_output",
        "call_id": message["tool_call_id"],
        "output": output,
    }


def _add_media(media: list[Json], items: list[Json]) -> None:
    """Add images and PDFs as a user message, as Copilot's own client does for tool results."""
    if media:
        items.append(_message("user", list(media)))
        media.clear()


def _parts(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    parts = [_part(part) for part in content]
    return parts or [{"type": "input_text", "text": ""}]


def _part(part: Json) -> Json:
    mark = part.get(BREAKPOINT)
    return {**_unmarked(part), BREAKPOINT: mark} if mark else _unmarked(part)


def _unmarked(part: Json) -> Json:
    if part["type"] == "image_url":
        image = part["image_url"]
        image = {"url": image} if isinstance(image, str) else image
        detail = image.get("detail") or "auto"
        return {"type": "input_image", "image_url": image["url"], "detail": detail}
    if part["type"] == "file":
        return {"type": "input_file", **part["file"]}
    return {"type": "input_text", "text": part.get("text") or part.get("refusal") or ""}


def _assistant(message: Json, profile: ModelProfile, notes: list[str]) -> list[Json]:
    """Return the items of an assistant message, preceded by its reasoning if that is from this
    API.

    Other APIs have no phases, so the phase is the one that the model itself would have stated:
    text next to tool calls is a commentary.
    """
    content = _content(message.get("content"))
    if refusal := message.get("refusal"):
        content.append({"type": "refusal", "refusal": refusal})
    calls = message.get("tool_calls") or ()
    items = [_message("assistant", content)] if content else []
    if content and profile.phases:
        items[0]["phase"] = "commentary" if calls else "final_answer"
    items += [_call(call) for call in calls]
    opaque = message.get("reasoning_opaque")
    encrypted = encrypted_reasoning.encrypted_contents(opaque) if opaque else []
    if not encrypted and has_reasoning(message) and UNUSABLE_REASONING not in notes:
        notes.append(UNUSABLE_REASONING)
    if not items:
        return []
    return [
        *({"type": "reasoning", "summary": [], "encrypted_content": one} for one in encrypted),
        *items,
    ]


def _call(call: Json) -> Json:
    if call.get("type") == "custom":
        return {"type": "custom_tool_call", "call_id": call["id"], **call["custom"]}
    function = call["function"]
    return {
        "type": "function_call",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": function.get("arguments") or "{}",
    }


def _content(content: Any) -> list[Json]:
    if not isinstance(content, list):
        return [{"type": "output_text", "text": content}] if content else []
    said = [part for part in content if part.get("text") or part.get("refusal") or _is_media(part)]
    return [_part(part) if _is_media(part) else _said(part) for part in said]


def _is_media(part: Json) -> bool:
    """Return whether a part is an image or document. In an assistant message, the API does not
    accept those; a rule moves them to a user message."""
    return part["type"] in ("image_url", "file")


def _said(part: Json) -> Json:
    if part["type"] == "refusal":
        return {"type": "refusal", "refusal": part["refusal"]}
    return {"type": "output_text", "text": part["text"]}
