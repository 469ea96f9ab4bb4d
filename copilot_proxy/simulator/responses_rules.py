"""Validation of Responses requests, with the Copilot API's error messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import call_items, catalogue, documents, history_rules, responses_tools, shared_rules
from .refusal import copilot, invalid
from .schema_rules import is_schema
from .types import Item, Model, Part, ResponsesRequest

if TYPE_CHECKING:
    from .call import Call

KNOWN = {
    "model", "input", "instructions", "stream", "store", "tools", "tool_choice",
    "parallel_tool_calls", "max_output_tokens", "temperature", "top_p", "reasoning", "text",
    "include", "truncation", "prompt_cache_key", "context_management", "metadata", "user",
    "previous_response_id", "prompt_cache_options", "service_tier", "background",
    "safety_identifier",
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
    "prompt_cache_options": (dict,),
}
INTERNAL = "internal_chat_message_metadata_passthrough"
"""An item field that Codex sends, but that only OpenAI's own servers accept."""
FOREIGN_ID = "input item ID does not belong to this connection"
MAX_ITEM_ID = 64
MIN_OUTPUT_TOKENS = 16
FIRST_WITH_BREAKPOINTS = 5.6
"""The first GPT version whose cache supports explicit breakpoints."""


def shape(body: Any) -> ResponsesRequest:
    """Return the body if it has the structure of a request. Raises a 400 otherwise."""
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


def items(body: ResponsesRequest) -> list[Item]:
    """Return the input as a list of items, even if it is a string."""
    given = body["input"]
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return list(given)


def check(body: ResponsesRequest, model: Model, call: Call) -> None:
    """Raise a 400 for anything that the model or the API does not accept."""
    _fields(body)
    _caching(body, model)
    _reasoning(body, model)
    for number, item in enumerate(items(body)):
        if INTERNAL in item:
            path = f"input[{number}].{INTERNAL}"
            raise copilot(400, f"Unknown parameter: '{path}'.", "invalid_request_body")
        _item(item, model, call)
    pictures = [image for item in items(body) for image in images(item)]
    shared_rules.check_images(pictures, model, call)
    for part in parts(items(body), "input_file"):
        documents.check_file(part, model)
    _ids(items(body))
    call_items.check_answers(items(body))
    responses_tools.check(body, items(body), model, call)


def _fields(body: ResponsesRequest) -> None:
    for name in ("service_tier", "store", "safety_identifier", "background"):
        if body.get(name):
            raise copilot(400, f"{name} is not supported", "unsupported_value", param=name)
    if body.get("previous_response_id"):
        raise copilot(
            400,
            f"Previous response with id '{body['previous_response_id']}' not found.",
            "previous_response_not_found",
        )
    requested = body.get("max_output_tokens")
    if requested is not None and requested < MIN_OUTPUT_TOKENS:
        raise copilot(
            400,
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {MIN_OUTPUT_TOKENS}, but got {requested} instead.",
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


def _caching(body: ResponsesRequest, model: Model) -> None:
    """Check the explicit prompt cache breakpoints, which only newer models support."""
    options = body.get("prompt_cache_options")
    marked = [part for item in items(body) for part in _marked(item)]
    if catalogue.gpt_version(model) < FIRST_WITH_BREAKPOINTS:
        if options is not None or marked:
            name = "prompt_cache_options" if options is not None else "prompt_cache_breakpoint"
            raise copilot(400, f"Unknown parameter: '{name}'.", "unknown_parameter", param=name)
        return
    if options is not None and options.get("mode", "implicit") not in ("implicit", "explicit"):
        raise invalid("prompt_cache_options.mode: has to be implicit or explicit")


def _marked(item: Item) -> list[Part]:
    lists = [one for one in (item.get("content"), item.get("output")) if isinstance(one, list)]
    found = [part for one in lists for part in one if isinstance(part, dict)]
    return [part for part in found if part.get("prompt_cache_breakpoint")]


def _reasoning(body: ResponsesRequest, model: Model) -> None:
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


def _item(item: Item, model: Model, call: Call) -> None:
    """Check an input item. Ids and encrypted content from another connection raise a 400."""
    opaque_strings = call.state.opaque_strings
    given = item.get("id")
    kind = item.get("type", "message")
    if kind == "item_reference":
        raise copilot(400, FOREIGN_ID)
    # Official clients send reasoning back with its id, but no other ids.
    own = opaque_strings.is_valid("item", given)
    if own and not (kind == "reasoning" and item.get("encrypted_content")):
        raise copilot(400, FOREIGN_ID)
    if not own and isinstance(given, str) and len(given) > MAX_ITEM_ID:
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
    else:
        call_items.check(item, model)


def _message(item: Item) -> None:
    role, content = item.get("role"), item.get("content")
    if role not in ("system", "developer", "user", "assistant"):
        raise invalid(f"unknown role: {role}")
    if isinstance(content, str):
        return
    allowed = {"output_text", "refusal"} if role == "assistant" else {
        "input_text", "input_image", "input_file",
    }  # fmt: skip
    if not isinstance(content, list) or not content:
        raise invalid("message content must not be empty")
    for part in content:
        if not isinstance(part, dict) or str(part.get("type")) not in allowed:
            raise invalid(f"content of a message of role {role} has to be one of {sorted(allowed)}")


def images(value: Any) -> Iterator[str]:
    """Yield the URLs of all images in an item, at any depth."""
    for part in parts(value, "input_image"):
        url = part.get("image_url")
        if not isinstance(url, str):
            raise invalid("input_image: image_url is missing")
        yield url


def parts(value: Any, kind: str) -> Iterator[Part]:
    """Yield all content parts of a type, at any depth."""
    if isinstance(value, list):
        for one in value:
            yield from parts(one, kind)
    elif isinstance(value, dict):
        if value.get("type") == kind:
            yield value
        else:
            yield from parts(value.get("content"), kind)
            yield from parts(value.get("output"), kind)


def _ids(found: list[Item]) -> None:
    """Check that the ids of calls and outputs are not too long."""
    for number, item in enumerate(found):
        given = item.get("call_id")
        if isinstance(given, str) and len(given) > history_rules.MAX_CALL_ID:
            path = f"input[{number}].call_id"
            raise history_rules.too_long(path, given, history_rules.MAX_CALL_ID)


def check_length(model: Model, count: int) -> None:
    """Raise a 400 for a prompt with more tokens than the model accepts."""
    limit = catalogue.limit(model, "max_prompt_tokens")
    if limit is not None and count > limit:
        raise copilot(
            400,
            "Your input exceeds the context window of this model. "
            "Please adjust your input and try again.",
            "context_length_exceeded",
        )
