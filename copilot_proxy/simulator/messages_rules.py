"""What the Copilot API refuses on messages, in Claude's own envelope or in GitHub's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import catalogue, history_rules, messages_thinking, shared_rules
from .messages_thinking import refused
from .refusal import Refusal

if TYPE_CHECKING:
    from .call import Call
    from .catalogue import Model

Json = dict[str, Any]

CONTEXT_BETA = "context-management-2025-06-27"
TOOL_BETA = "advanced-tool-use-2025-11-20"
SYSTEM_BETA = "mid-conversation-system-2026-04-07"
BETAS = {"interleaved-thinking-2025-05-14", CONTEXT_BETA, TOOL_BETA, SYSTEM_BETA}
"""The only beta names that are let through."""

KNOWN = {
    "model", "messages", "max_tokens", "system", "stream", "stop_sequences", "temperature",
    "top_p", "top_k", "tools", "tool_choice", "thinking", "output_config", "metadata",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "max_tokens": (int,),
    "system": (str, list),
    "stream": (bool,),
    "stop_sequences": (list,),
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "tools": (list,),
    "tool_choice": (dict,),
    "thinking": (dict,),
    "output_config": (dict,),
    "metadata": (dict,),
}
TOOL_KEYS = {"name", "description", "input_schema", "cache_control", "type", "strict"}
BLOCKS = {
    "text", "image", "document", "tool_use", "tool_result", "thinking", "redacted_thinking",
    "search_result", "tool_reference",
}  # fmt: skip
MOST_MARKS = 4


def shape(body: Any, call: Call, *, counting: bool = False) -> Json:
    """The body, if it is a request at all."""
    if not isinstance(body, dict):
        raise refused("The request body is not valid JSON.")
    betas = _betas(call)
    for name in body:
        if name not in KNOWN and not (name == "context_management" and CONTEXT_BETA in betas):
            raise refused(f"{name}: Extra inputs are not permitted")
    shared_rules.typed(body, TYPES)
    if not counting and body.get("max_tokens") is None:
        raise refused("max_tokens: Field required")
    if not counting and body["max_tokens"] < 1:
        raise refused("max_tokens: Input should be greater than or equal to 1")
    if not body.get("messages"):
        raise refused("messages: at least one message is required")
    if not all(isinstance(one, str) for one in body.get("stop_sequences") or []):
        raise refused("stop_sequences: Input should be a valid string")
    for number, message in enumerate(body["messages"]):
        _message(number, message, betas)
    return body


def _betas(call: Call) -> set[str]:
    given = call.headers.get("anthropic-beta", "")
    betas = {one.strip() for one in given.split(",") if one.strip()}
    if strange := sorted(betas - BETAS):
        raise refused(
            f"Unexpected value(s) {', '.join(f'`{one}`' for one in strange)} for the "
            "`anthropic-beta` header. Please consult our documentation or try again without it."
        )
    return betas


def _message(number: int, message: Any, betas: set[str]) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("content"), str | list):
        raise refused(f"messages.{number}.content: Field required")
    roles = {"user", "assistant"} | ({"system"} if SYSTEM_BETA in betas else set())
    if str(message.get("role")) not in roles:
        raise refused(f"messages.{number}.role: Input should be 'user' or 'assistant'")
    if message["content"] in ("", []):
        raise refused("messages: text content blocks must be non-empty")
    for place, block in enumerate(blocks(message)):
        _block(f"messages.{number}.content.{place}", block)


def _block(path: str, block: Any) -> None:
    if not isinstance(block, dict) or str(block.get("type")) not in BLOCKS:
        raise refused(f"{path}: Input tag does not match any of the expected tags")
    kind = block["type"]
    if kind == "text":
        if not isinstance(block.get("text"), str):
            raise refused(f"{path}.text: Field required")
        if not block["text"].strip():
            raise refused("messages: text content blocks must be non-empty")
    if kind == "image" and not isinstance(block.get("source"), dict):
        raise refused(f"{path}.image.source: Field required")
    if kind == "tool_use" and not (
        isinstance(block.get("id"), str) and isinstance(block.get("input"), dict)
    ):
        raise refused(f"{path}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_use" and not history_rules.CLAUDES_ID.fullmatch(block["id"]):
        raise refused(history_rules.strange_id(f"{path}.tool_use.id"))
    if kind == "tool_result":
        if not isinstance(block.get("tool_use_id"), str):
            raise refused(f"{path}.tool_result.tool_use_id: Field required")
        if not history_rules.CLAUDES_ID.fullmatch(block["tool_use_id"]):
            raise refused(history_rules.strange_id(f"{path}.tool_result.tool_use_id"))
        for place, inner in enumerate(blocks(block)):
            _block(f"{path}.tool_result.content.{place}", inner)


def blocks(message: Json) -> list[Any]:
    """The blocks of a message or of a tool's result, whatever its form."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def check(body: Json, model: Model, call: Call) -> None:
    """Refuse what this model or this API does not take."""
    _images(body, model, call)
    _marks(body)
    _thinking_blocks(body, call)
    _answered(body["messages"])
    if body["messages"][-1]["role"] == "assistant":
        raise refused(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    messages_thinking.check(body, model)
    _tools(body, call)
    most = catalogue.limit(model, "max_non_streaming_output_tokens")
    asked = body.get("max_tokens") or 0
    if not body.get("stream") and most is not None and asked > most:
        raise refused(
            f"max_tokens: {asked} > {most}, which is the maximum allowed number of output "
            f"tokens for {model['id']} without streaming"
        )


def images(message: Json) -> Iterator[Json]:
    """The images of a message, also those inside the results of tools."""
    for block in blocks(message):
        if block["type"] == "image":
            yield block["source"]
        elif block["type"] == "tool_result":
            yield from images(block)


def _images(body: Json, model: Model, call: Call) -> None:
    found = [source for message in body["messages"] for source in images(message)]
    urls = []
    for source in found:
        if source.get("type") == "url":
            urls.append(str(source.get("url")))
        else:
            urls.append(f"data:{source.get('media_type')};base64,{source.get('data', '')}")
    shared_rules.check_images(urls, model, call)


def _marks(body: Json) -> None:
    """Marks for the cache: of one kind only, without more keys, four at most."""
    count = 0
    for path, mark in _marked(body, ""):
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral":
            raise refused(f"{path}.cache_control: Input should be 'ephemeral'")
        for key in mark:
            if key != "type":
                raise refused(
                    f"{path}.cache_control.ephemeral.{key}: Extra inputs are not permitted"
                )
        count += 1
    if count > MOST_MARKS:
        raise refused(
            f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {count}."
        )


def _marked(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _marked(one, f"{path}.{number}")
    elif isinstance(value, dict):
        if value.get("cache_control") is not None:
            yield path.lstrip("."), value["cache_control"]
        for key in ("system", "messages", "tools", "content"):
            yield from _marked(value.get(key), f"{path}.{key}")


def _thinking_blocks(body: Json, call: Call) -> None:
    """Thinking that is sent back has to carry the signature it came with."""
    for message in body["messages"]:
        for block in blocks(message):
            if block["type"] == "thinking":
                signed = call.state.seals.made("signature", block.get("signature"))
                if not signed or not block.get("thinking"):
                    raise refused("Invalid signature in thinking block")


def _answered(messages: list[Json]) -> None:
    """Every tool_use has its result in the next message, and every result its tool_use."""
    calls: list[str] = []
    for number, message in enumerate(messages):
        results = [one["tool_use_id"] for one in blocks(message) if one["type"] == "tool_result"]
        missing = [one for one in calls if one not in results]
        if missing:
            raise refused(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(missing)}. Each `tool_use` block must have a "
                "corresponding `tool_result` block in the next message."
            )
        if strange := [one for one in results if one not in calls]:
            raise refused(
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
                f"{strange[0]}. Each `tool_result` block must have a corresponding `tool_use` "
                "block in the previous message."
            )
        if text := history_rules.complaint(number, blocks(message), calls):
            raise refused(text)
        calls = [one["id"] for one in blocks(message) if one["type"] == "tool_use"]
    if calls and messages[-1]["role"] == "assistant":
        raise refused(
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` "
            f"blocks immediately after: {', '.join(calls)}."
        )


def _tools(body: Json, call: Call) -> None:
    tools = body.get("tools") or []
    allowed = TOOL_KEYS | ({"defer_loading"} if TOOL_BETA in _betas(call) else set())
    if len(tools) > shared_rules.MOST_TOOLS:
        raise refused("tools: too many tools")
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type", "custom") != "custom":
            raise refused(f"tools.{number}: server tools are not supported")
        for key in tool:
            if key not in allowed:
                raise refused(f"tools.{number}.custom.{key}: Extra inputs are not permitted")
        try:
            shared_rules.check_tool(number, tool.get("name"), tool.get("input_schema"))
        except Refusal:
            raise refused(f"tools.{number}.custom: name or input_schema is not valid") from None
    choice = body.get("tool_choice") or {"type": "auto"}
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        raise refused("tool_choice: Input tag does not match any of the expected tags")
    if choice["type"] == "tool" and choice.get("name") not in [one["name"] for one in tools]:
        raise refused(f"Tool '{choice.get('name')}' not found in provided tools")


def check_length(model: Model, count: int) -> None:
    """Refuse a prompt of more tokens than the model reads."""
    most = catalogue.limit(model, "max_prompt_tokens")
    if most is not None and count > most:
        raise refused(f"prompt is too long: {count} tokens > {most} maximum")
