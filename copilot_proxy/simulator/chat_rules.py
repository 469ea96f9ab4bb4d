"""What the Copilot API refuses on chat completions, with the words in which it does so."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import catalogue
from .refusal import copilot, invalid

if TYPE_CHECKING:
    from .call import Call
    from .catalogue import Model

Json = dict[str, Any]

MOST_TOOLS = 128
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.S)
ROLES = {"system", "user", "assistant", "tool"}
NO_VISION_HEADER = "missing required Copilot-Vision-Request header for vision requests"

KNOWN = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens",
    "temperature", "top_p", "n", "stop", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "reasoning_effort", "thinking_budget", "logprobs", "top_logprobs",
    "logit_bias", "seed", "user", "presence_penalty", "frequency_penalty", "metadata",
    "prediction", "intent", "intent_threshold", "state", "snippy", "copilot_thread_id",
    "copilot_skills",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "stream": (bool,),
    "stream_options": (dict,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "n": (int,),
    "stop": (str, list),
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "response_format": (dict,),
    "reasoning_effort": (str,),
    "thinking_budget": (int,),
    "seed": (int,),
    "user": (str,),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
}


def typed(body: Json, types: dict[str, tuple[type, ...]]) -> None:
    """Refuse known fields whose values are of another type; null counts as absent."""
    for name, allowed in types.items():
        value = body.get(name)
        if value is None:
            continue
        # To Python a boolean is a number; to JSON it is not.
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise invalid()


def shape(body: Any) -> Json:
    """The body, if it is a request at all."""
    if not isinstance(body, dict):
        raise invalid()
    typed(body, TYPES)
    messages = body.get("messages")
    if not messages or not all(isinstance(one, dict) for one in messages):
        raise invalid()
    if not all(isinstance(one, dict) for one in body.get("tools") or []):
        raise invalid()
    for message in messages:
        _message_shape(message)
    return body


def _message_shape(message: Json) -> None:
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not isinstance(content, str | list | None):
        raise invalid()
    if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
        raise invalid()
    for call in message.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            raise invalid()
        if not isinstance(function.get("name"), str) or not isinstance(
            function.get("arguments", ""), str
        ):
            raise invalid()


def check(body: Json, model: Model, call: Call) -> None:
    """Refuse what this model or this API does not take."""
    kind = catalogue.vendor(model)
    for message in body["messages"]:
        _message(message, kind)
    check_images([image for message in body["messages"] for image in images(message)], model, call)
    _answered(body["messages"])
    _parameters(body, model)
    _effort(body, model)
    if kind == "claude":
        _claude(body, model)
    elif kind == "gemini":
        _gemini(body, model)
    elif catalogue.is_gpt5(model):
        _gpt5(body)
    _tools(body, model)


def _message(message: Json, kind: str) -> None:
    """Roles and content parts."""
    role, content = message["role"], message.get("content")
    if role not in ROLES and not (role == "developer" and kind == "azure"):
        raise invalid(f"unknown role: {role}")
    empty = content is None or content == []
    if empty and not (role == "assistant" and message.get("tool_calls")):
        raise invalid("message content must not be empty")
    for part in content if isinstance(content, list) else []:
        if part.get("type") not in ("text", "image_url"):
            raise invalid("type has to be either 'image_url' or 'text'")
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            raise invalid()
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise invalid()


def images(message: Json) -> Iterator[str]:
    """The addresses of a message's images."""
    content = message.get("content")
    for part in content if isinstance(content, list) else []:
        if part.get("type") == "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, dict) else image
            if not isinstance(url, str):
                raise invalid()
            yield url


def check_images(urls: list[str], model: Model, call: Call) -> None:
    """Refuse images without the header, from elsewhere, of strange types, too many or too large."""
    if not urls:
        return
    if not call.record.vision:
        raise copilot(400, NO_VISION_HEADER)
    limits = model.get("capabilities", {}).get("limits", {}).get("vision")
    if not catalogue.supports(model, "vision") or not limits:
        raise invalid(f"model {model['id']} does not support image input")
    for url in urls:
        if not url.startswith("data:"):
            raise invalid("external image URLs are not supported; send a base64 data URL")
        found = DATA_URL.fullmatch(url)
        if found is None:
            raise invalid("invalid image data")
        # A document may be named among the media types, but not where an image is expected.
        if found[1] not in limits["supported_media_types"] or not found[1].startswith("image/"):
            raise copilot(400, "image media type not supported")
        try:
            size = len(base64.b64decode(found[2], validate=True))
        except binascii.Error:
            raise invalid("invalid image data") from None
        if size > limits["max_prompt_image_size"]:
            most = limits["max_prompt_image_size"]
            raise invalid(f"image size of {size} bytes exceeds the limit of {most}")
    if len(urls) > limits["max_prompt_images"]:
        most = limits["max_prompt_images"]
        raise invalid(f"image count of {len(urls)} exceeds the limit of {most}")


def _answered(messages: list[Json]) -> None:
    """Every tool call has its result right after it, and every result its call."""
    open_calls: list[str] = []
    place = 0
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise _unmatched(number, [message["tool_call_id"]])
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise _unmatched(place, open_calls)
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
        place = number
    if open_calls:
        raise _unmatched(place, open_calls)


def _unmatched(number: int, ids: list[str]) -> Exception:
    return invalid(
        f"messages.{number}: tool_use ids were found without tool_result blocks immediately "
        f"after: {', '.join(ids)}. Each tool_use block must have a corresponding tool_result "
        "block in the next message."
    )


def _parameters(body: Json, model: Model) -> None:
    """Fields that no model takes, or only those that say so."""
    for name in ("service_tier", "store"):
        if body.get(name) is not None:
            raise copilot(400, f"{name} is not supported", "unsupported_value", param=name)
    for name in ("max_tokens", "max_completion_tokens", "n"):
        if body.get(name) is not None and body[name] < 1:
            raise invalid(f"{name} must be at least 1")
    if not all(isinstance(one, str) for one in body.get("stop") or []):
        raise invalid()
    prediction = body.get("prediction")
    if prediction is not None and not (isinstance(prediction, dict) and prediction.get("content")):
        raise invalid("prediction content must not be empty")
    if body.get("parallel_tool_calls") and not catalogue.supports(model, "parallel_tool_calls"):
        raise invalid(f"parallel_tool_calls is not supported by model {model['id']}")
    if body.get("stream") and not catalogue.supports(model, "streaming"):
        raise invalid(f"streaming is not supported by model {model['id']}")
    format_ = body.get("response_format") or {"type": "text"}
    if format_.get("type") not in ("text", "json_object", "json_schema"):
        raise invalid("unknown response_format")
    if format_["type"] == "json_schema" and not isinstance(format_.get("json_schema"), dict):
        raise invalid("response_format.json_schema is missing")


def _effort(body: Json, model: Model) -> None:
    effort = body.get("reasoning_effort")
    offered = catalogue.supports(model, "reasoning_effort") or []
    if effort is not None and effort not in offered:
        raise copilot(
            400,
            f'reasoning_effort "{effort}" is not supported by model {model["id"]}; '
            f"supported values: [{' '.join(offered)}]",
            "invalid_reasoning_effort",
        )
    budget = body.get("thinking_budget")
    if budget is not None:
        least = catalogue.supports(model, "min_thinking_budget")
        most = catalogue.supports(model, "max_thinking_budget")
        if least is None or most is None or not least <= budget <= most:
            raise invalid(f"thinking_budget {budget} is out of range")


def _gpt5(body: Json) -> None:
    """OpenAI's rules for reasoning models."""
    if body.get("max_tokens") is not None:
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead."
        )
    for name in ("temperature", "top_p"):
        if body.get(name) not in (None, 1):
            raise invalid(
                f"Unsupported value: '{name}' does not support {body[name]} with this model. "
                "Only the default (1) value is supported."
            )


def _claude(body: Json, model: Model) -> None:
    """Claude's rules for parameters and for the end of the conversation."""
    for name in body:
        if name not in KNOWN:
            raise invalid(f"{name}: Extra inputs are not permitted")
    if (body.get("n") or 1) > 1:
        raise invalid("n > 1 is not supported with this model")
    family, version = catalogue.claude_version(model)
    temperature, top_p = body.get("temperature"), body.get("top_p")
    if temperature is not None and family == "opus" and version >= 4.7:
        raise invalid("`temperature` is deprecated for this model.")
    if temperature is not None and temperature > 1:
        raise invalid("temperature: range: 0..1")
    if version >= 4.5 and temperature is not None and top_p is not None:
        raise invalid(
            "`temperature` and `top_p` cannot both be specified for this model. "
            "Please use only one."
        )
    messages = body["messages"]
    for message in messages:
        if message["role"] == "assistant" and _has_empty_text(message):
            raise invalid("messages: text content blocks must be non-empty")
    if version >= 4.6 and messages[-1]["role"] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    _claude_limits(body, model)


def _claude_limits(body: Json, model: Model) -> None:
    asked = body.get("max_completion_tokens") or body.get("max_tokens") or 0
    most = catalogue.limit(model, "max_non_streaming_output_tokens")
    if not body.get("stream") and most is not None and asked > most:
        raise invalid(
            f"max_tokens: {asked} > {most}, which is the maximum allowed number of output "
            f"tokens for {model['id']} without streaming"
        )
    thinks = body.get("thinking_budget") or body.get("reasoning_effort") not in (None, "none")
    choice = body.get("tool_choice")
    if thinks and (choice == "required" or isinstance(choice, dict)):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _has_empty_text(message: Json) -> bool:
    content = message.get("content")
    if isinstance(content, str):
        return not content.strip()
    return any(not part.get("text", "x").strip() for part in content or [])


def _gemini(body: Json, model: Model) -> None:
    """Gemini's rules, the newest models' signatures among them."""
    if (body.get("n") or 1) > 1:
        raise invalid("n > 1 is not supported with this model")
    if not catalogue.is_gemini3(model):
        return
    messages = body["messages"]
    for before, message in zip(messages, messages[1:], strict=False):
        if before["role"] == message["role"] == "assistant":
            raise invalid("consecutive assistant messages are not allowed")
    turn = max((n for n, one in enumerate(messages) if one["role"] == "user"), default=0)
    for message in messages[turn:]:
        if message.get("tool_calls") and not message.get("reasoning_opaque"):
            raise invalid(
                "Function call is missing a thought_signature: "
                f"{message['tool_calls'][0]['function']['name']}"
            )


def _tools(body: Json, model: Model) -> None:
    tools = body.get("tools") or []
    if tools and not catalogue.supports(model, "tool_calls"):
        raise invalid(f"tools are not supported by model {model['id']}")
    if len(tools) > MOST_TOOLS:
        raise invalid(f"Invalid 'tools': array too long. Expected at most {MOST_TOOLS} items.")
    names = []
    for number, tool in enumerate(tools):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise invalid(f"tools.{number}: unknown kind of tool")
        check_tool(number, function.get("name"), function.get("parameters"))
        names.append(function["name"])
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise invalid(f"unknown tool_choice: {choice}")
    if isinstance(choice, dict):
        chosen = choice.get("function", {})
        if not isinstance(chosen, dict) or chosen.get("name") not in names:
            raise invalid("tool_choice names a tool that is not offered")
    elif choice == "required" and not tools:
        raise invalid("tool_choice is set but no tools are offered")


def check_tool(number: int, name: Any, schema: Any) -> None:
    """Refuse a tool's name or schema that breaks the rules which all APIs share."""
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise invalid(f"tools.{number}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise invalid(f"tools.{number}: the parameters of {name} must be an object schema")


def check_length(model: Model, count: int) -> None:
    """Refuse a prompt of more tokens than the model reads."""
    most = catalogue.limit(model, "max_prompt_tokens")
    if most is not None and count > most:
        raise copilot(
            400,
            f"prompt token count of {count} exceeds the limit of {most}",
            "model_max_prompt_tokens_exceeded",
        )
