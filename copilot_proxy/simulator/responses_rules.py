"""Validation of responses requests, with the Copilot API's error messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import catalogue, history_rules, shared_rules
from .refusal import copilot, invalid
from .schema_rules import is_schema

if TYPE_CHECKING:
    from .call import Call
    from .catalogue import Model

Json = dict[str, Any]

KNOWN = {
    "model", "input", "instructions", "stream", "store", "tools", "tool_choice",
    "parallel_tool_calls", "max_output_tokens", "temperature", "top_p", "reasoning", "text",
    "include", "truncation", "prompt_cache_key", "context_management", "metadata", "user",
    "previous_response_id", "service_tier", "background", "safety_identifier",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "input": (str, list),
    "instructions": (str,),
    "stream": (bool,),
    "store": (bool,),
    "tools": (list,),
    "tool_choice": (str, dict),
    "parallel_tool_calls": (bool,),
    "max_output_tokens": (int,),
    "temperature": (int, float),
    "top_p": (int, float),
    "reasoning": (dict,),
    "text": (dict,),
    "include": (list,),
    "truncation": (str,),
    "context_management": (list,),
}
FOREIGN_ID = "input item ID does not belong to this connection"
MAX_ITEM_ID = 64
MIN_OUTPUT_TOKENS = 16


def shape(body: Any) -> Json:
    """Return the body if it has the shape of a request, else raise a 400."""
    if not isinstance(body, dict):
        raise invalid()
    shared_rules.typed(body, TYPES)
    for name in body:
        if name not in KNOWN:
            raise copilot(400, f"Unknown parameter: '{name}'.", "unknown_parameter", param=name)
    if not body.get("input"):
        raise invalid("input is missing")
    for item in items(body):
        if not isinstance(item, dict):
            raise invalid()
    for tool in body.get("tools") or []:
        if not isinstance(tool, dict):
            raise invalid()
    return body


def items(body: Json) -> list[Json]:
    """Return the input as a list of items; it may be a string."""
    given = body["input"]
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return list(given)


def check(body: Json, model: Model, call: Call) -> None:
    """Raise a 400 for anything that the model or the API does not accept."""
    _fields(body)
    _reasoning(body, model)
    for item in items(body):
        _item(item, model, call)
    pictures = [image for item in items(body) for image in images(item)]
    shared_rules.check_images(pictures, model, call)
    _ids(items(body))
    _answered(items(body))
    _tools(body, call)


def _fields(body: Json) -> None:
    for name in ("service_tier", "store", "safety_identifier", "background"):
        if body.get(name):
            raise copilot(400, f"{name} is not supported", "unsupported_value", param=name)
    if body.get("previous_response_id"):
        raise copilot(
            400,
            f"Previous response with id '{body['previous_response_id']}' not found.",
            "previous_response_not_found",
        )
    most = body.get("max_output_tokens")
    if most is not None and most < MIN_OUTPUT_TOKENS:
        raise copilot(
            400,
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {MIN_OUTPUT_TOKENS}, but got {most} instead.",
            "integer_below_min_value",
            param="max_output_tokens",
        )
    kind = (body.get("text") or {}).get("format") or {"type": "text"}
    if not isinstance(kind, dict) or kind.get("type") not in ("text", "json_object", "json_schema"):
        raise invalid("unknown text.format")
    if kind["type"] == "json_schema" and not (
        isinstance(kind.get("schema"), dict) and is_schema(kind["schema"])
    ):
        raise invalid("text.format.schema is missing")


def _reasoning(body: Json, model: Model) -> None:
    offered = catalogue.supports(model, "reasoning_effort")
    effort = (body.get("reasoning") or {}).get("effort")
    if effort is not None and effort not in (offered or []):
        raise copilot(
            400,
            f'reasoning_effort "{effort}" is not supported by model {model["id"]}; '
            f"supported values: [{' '.join(offered or [])}]",
            "invalid_reasoning_effort",
        )
    for name in ("temperature", "top_p"):
        if offered and body.get(name) is not None:
            raise copilot(
                400,
                f"Unsupported parameter: '{name}' is not supported with this model.",
                "unsupported_parameter",
                param=name,
            )


def _item(item: Json, model: Model, call: Call) -> None:
    """Check an input item; ids and encrypted contents of another connection are a 400."""
    opaque_strings = call.state.opaque_strings
    given = item.get("id")
    kind = item.get("type", "message")
    if kind == "item_reference" or opaque_strings.is_valid("item", given):
        raise copilot(400, FOREIGN_ID)
    if isinstance(given, str) and len(given) > MAX_ITEM_ID:
        raise copilot(400, FOREIGN_ID)
    if kind == "message":
        _message(item)
    elif kind in ("reasoning", "compaction"):
        content = item.get("encrypted_content")
        if content is not None and not opaque_strings.is_valid(f"encrypted {model['id']}", content):
            raise copilot(
                400,
                "The encrypted content could not be verified.",
                "invalid_encrypted_content",
            )
    elif kind == "function_call":
        for name in ("call_id", "name", "arguments"):
            if not isinstance(item.get(name), str):
                raise invalid(f"function_call: {name} is missing")
    elif kind == "function_call_output":
        output = item.get("output")
        parts = [output] if isinstance(output, str) else output
        if not isinstance(item.get("call_id"), str) or not isinstance(parts, list):
            raise invalid("function_call_output: call_id or output is missing")
        if not isinstance(output, str) and not all(isinstance(one, dict) for one in parts):
            raise invalid("function_call_output: output has to be text or a list of parts")
    else:
        raise invalid(f"unknown kind of input item: {kind}")


def _message(item: Json) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "developer", "user", "assistant"):
        raise invalid(f"unknown role: {role}")
    if isinstance(content, str):
        return
    allowed = {"output_text", "refusal"} if role == "assistant" else {"input_text", "input_image"}
    if not isinstance(content, list) or not content:
        raise invalid("message content must not be empty")
    for part in content:
        if not isinstance(part, dict) or str(part.get("type")) not in allowed:
            raise invalid(f"content of a message of role {role} has to be one of {sorted(allowed)}")


def images(value: Any) -> Iterator[str]:
    """Yield the URLs of all images of an item, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from images(one)
    elif isinstance(value, dict):
        if value.get("type") == "input_image":
            url = value.get("image_url")
            if not isinstance(url, str):
                raise invalid("input_image: image_url is missing")
            yield url
        else:
            yield from images(value.get("content"))
            yield from images(value.get("output"))


def _ids(found: list[Json]) -> None:
    """Check the length of the ids of calls and outputs."""
    for number, item in enumerate(found):
        given = item.get("call_id")
        if isinstance(given, str) and len(given) > history_rules.MAX_CALL_ID:
            path = f"input[{number}].call_id"
            raise history_rules.too_long(path, given, history_rules.MAX_CALL_ID)


def _answered(found: list[Json]) -> None:
    """Check that every call has an output, and every output a call."""
    calls = {one["call_id"] for one in found if one.get("type") == "function_call"}
    outputs = [one["call_id"] for one in found if one.get("type") == "function_call_output"]
    for call_id in outputs:
        if call_id not in calls:
            raise invalid(f"No tool call found for function call output with call_id {call_id}.")
    for call_id in calls:
        if call_id not in outputs:
            raise invalid(f"No tool output found for function call {call_id}.")


def _tools(body: Json, call: Call) -> None:
    tools = body.get("tools") or []
    if len(tools) > shared_rules.MAX_TOOLS:
        raise invalid("Invalid 'tools': array too long.")
    for number, tool in enumerate(tools):
        kind = tool.get("type")
        if kind == "function":
            shared_rules.check_tool(number, tool.get("name"), tool.get("parameters"))
        elif str(kind) not in call.state.hosted_tools:
            raise invalid(f"The requested tool {kind} is not supported.")
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        names = [tool.get("name") for tool in tools]
        if choice.get("type") != "function" or choice.get("name") not in names:
            raise invalid("tool_choice names a tool that is not offered")


def check_length(model: Model, count: int) -> None:
    """Raise a 400 for a prompt of more tokens than the model accepts."""
    most = catalogue.limit(model, "max_prompt_tokens")
    if most is not None and count > most:
        raise copilot(
            400,
            "Your input exceeds the context window of this model. "
            "Please adjust your input and try again.",
            "context_length_exceeded",
        )
