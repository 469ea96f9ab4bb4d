"""Validation of chat completion requests, with the Copilot API's error messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import catalogue, history_rules, messages_tools
from .chat_vendor_rules import claude, gemini, gpt5, kimi
from .refusal import copilot, invalid
from .schema_rules import is_schema
from .shared_rules import MAX_TOOLS, check_images, check_tool, images, typed
from .types import ChatMessage, ChatRequest, Model

if TYPE_CHECKING:
    from .call import Call

MAX_CHOICES = 128

ROLES = {"system", "user", "assistant", "tool"}

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


def shape(body: Any) -> ChatRequest:
    """Return the body if it has the structure of a request. Raises a 400 otherwise."""
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


def _message_shape(message: ChatMessage) -> None:
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not isinstance(content, str | list | None):
        raise invalid()
    if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
        raise invalid()
    calls = message.get("tool_calls")
    if not isinstance(calls, list | None):
        raise invalid()
    for call in calls or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            raise invalid()
        if not isinstance(function.get("name"), str) or not isinstance(
            function.get("arguments", ""), str
        ):
            raise invalid()


def check(body: ChatRequest, model: Model, call: Call) -> None:
    """Raise a 400 for anything that the model or the API does not accept."""
    kind = catalogue.vendor(model)
    for message in body["messages"]:
        _message(message, kind)
    check_images([image for message in body["messages"] for image in images(message)], model, call)
    _answered(body["messages"])
    history_rules.check_chat(body["messages"], kind)
    _parameters(body, model)
    _effort(body, model)
    if kind == "claude":
        claude(body, model)
    elif kind == "gemini":
        gemini(body, model)
    elif kind == "kimi":
        kimi(body)
    elif catalogue.is_gpt5(model):
        gpt5(body)
    _tools(body, model, kind)


def _message(message: ChatMessage, kind: str) -> None:
    """Check the role and the content parts of a message."""
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


def _answered(messages: list[ChatMessage]) -> None:
    """Check that every tool call is followed by its result, and that every result has a call."""
    open_calls: list[str] = []
    last_number = 0
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise _unmatched(number, [message["tool_call_id"]])
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            raise _unmatched(last_number, open_calls)
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
        last_number = number
    if open_calls:
        raise _unmatched(last_number, open_calls)


def _unmatched(number: int, ids: list[str]) -> Exception:
    return invalid(
        f"messages.{number}: tool_use ids were found without tool_result blocks immediately "
        f"after: {', '.join(ids)}. Each tool_use block must have a corresponding tool_result "
        "block in the next message."
    )


def _parameters(body: ChatRequest, model: Model) -> None:
    """Check the general parameters: their values, and whether the model's entry allows them."""
    for name in ("service_tier", "store"):
        if body.get(name) is not None:
            raise copilot(400, f"{name} is not supported", "unsupported_value", param=name)
    for name in ("max_tokens", "max_completion_tokens", "n"):
        if body.get(name) is not None and body[name] < 1:
            raise invalid(f"{name} must be at least 1")
    if (body.get("n") or 1) > MAX_CHOICES:
        raise invalid(f"n must be at most {MAX_CHOICES}")
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
    if format_["type"] == "json_schema":
        schema = format_.get("json_schema")
        if not isinstance(schema, dict) or not is_schema(schema.get("schema") or {}):
            raise invalid("response_format.json_schema is missing or not a schema")


def _effort(body: ChatRequest, model: Model) -> None:
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
        minimum = catalogue.supports(model, "min_thinking_budget")
        maximum = catalogue.supports(model, "max_thinking_budget")
        if minimum is None or maximum is None or not minimum <= budget <= maximum:
            raise invalid(f"thinking_budget {budget} is out of range")


def _tools(body: ChatRequest, model: Model, kind: str) -> None:
    tools = body.get("tools") or []
    if tools and not catalogue.supports(model, "tool_calls"):
        raise invalid(f"tools are not supported by model {model['id']}")
    if len(tools) > MAX_TOOLS:
        raise invalid(f"Invalid 'tools': array too long. Expected at most {MAX_TOOLS} items.")
    names = []
    for number, tool in enumerate(tools):
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, dict):
            raise invalid(f"tools.{number}: unknown kind of tool")
        check_tool(number, function.get("name"), function.get("parameters"))
        if kind == "claude":
            _properties(number, function.get("parameters"))
        names.append(function["name"])
    choice = body.get("tool_choice")
    choices = {"none", "auto", "required"} | ({"validated"} if kind == "gemini" else set())
    if isinstance(choice, str) and choice not in choices:
        raise invalid(f"unknown tool_choice: {choice}")
    if isinstance(choice, dict):
        chosen = choice.get("function", {})
        if not isinstance(chosen, dict) or chosen.get("name") not in names:
            raise invalid("tool_choice names a tool that is not offered")
    elif choice in ("required", "validated") and not tools:
        raise invalid("tool_choice is set but no tools are offered")


def _properties(number: int, schema: Any) -> None:
    if problem := messages_tools.property_error(number, schema):
        raise invalid(problem)


def check_length(model: Model, count: int) -> None:
    """Raise a 400 for a prompt with more tokens than the model accepts."""
    limit = catalogue.limit(model, "max_prompt_tokens")
    if limit is not None and count > limit:
        raise copilot(
            400,
            f"prompt token count of {count} exceeds the limit of {limit}",
            "model_max_prompt_tokens_exceeded",
        )
