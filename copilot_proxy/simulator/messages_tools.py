"""Validation of the tools and cache breakpoints in Messages requests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from . import catalogue, messages_betas, shared_rules
from .messages_thinking import invalid_request
from .refusal import Refusal
from .types import MessagesRequest, Model

TOOL_KEYS = {
    "name", "description", "input_schema", "cache_control", "type", "strict",
    "eager_input_streaming",
}  # fmt: skip
NO_EAGER_STREAMING = ("haiku", 4.5)
"""The only Claude model that refuses ``eager_input_streaming``."""
MAX_CACHE_BREAKPOINTS = 4
TTLS = ("5m", "1h")
PROPERTY_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""Property names that Claude accepts at the top level of a schema. Source: public reports of the
error."""


def check(body: MessagesRequest, model: Model, betas: set[str]) -> None:
    """Raise a 400 for tools, or a tool choice, that Copilot does not accept."""
    tools = body.get("tools") or []
    allowed = TOOL_KEYS | ({"defer_loading"} if messages_betas.TOOLS in betas else set())
    if catalogue.claude_version(model) == NO_EAGER_STREAMING:
        allowed = allowed - {"eager_input_streaming"}
    if len(tools) > shared_rules.MAX_TOOLS:
        raise invalid_request("tools: too many tools")
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type", "custom") != "custom":
            raise invalid_request(f"tools.{number}: server tools are not supported")
        for key in tool:
            if key not in allowed:
                raise invalid_request(
                    f"tools.{number}.custom.{key}: Extra inputs are not permitted"
                )
        try:
            shared_rules.check_tool(number, tool.get("name"), tool.get("input_schema"))
        except Refusal:
            raise invalid_request(
                f"tools.{number}.custom: name or input_schema is not valid"
            ) from None
        if problem := property_error(number, tool["input_schema"]):
            raise invalid_request(problem)
    choice = body.get("tool_choice") or {"type": "auto"}
    if choice.get("type") not in ("auto", "any", "tool", "none"):
        raise invalid_request("tool_choice: Input tag does not match any of the expected tags")
    if choice["type"] == "tool" and choice.get("name") not in [one["name"] for one in tools]:
        raise invalid_request(f"Tool '{choice.get('name')}' not found in provided tools")


def property_error(number: int, schema: Any) -> str | None:
    """Return Claude's error if a parameter name is invalid, otherwise None."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    names = properties if isinstance(properties, dict) else ()
    if all(map(PROPERTY_NAME.fullmatch, names)):
        return None
    return (
        f"tools.{number}.custom.input_schema.properties: Property keys should match pattern "
        f"'^{PROPERTY_NAME.pattern}$'"
    )


def check_cache_control(body: MessagesRequest, betas: set[str]) -> None:
    """Check the breakpoints: at most four, all of type ephemeral; a ttl requires its beta."""
    count = 0
    for path, value in _find(body, ""):
        if not isinstance(value, dict) or value.get("type") != "ephemeral":
            raise invalid_request(f"{path}.cache_control: Input should be 'ephemeral'")
        allowed = {"type", "ttl"} if messages_betas.CACHE in betas else {"type"}
        for key in value:
            if key not in allowed:
                raise invalid_request(
                    f"{path}.cache_control.ephemeral.{key}: Extra inputs are not permitted"
                )
        if value.get("ttl", "5m") not in TTLS:
            raise invalid_request(
                f"{path}.cache_control.ephemeral.ttl: Input should be '5m' or '1h'"
            )
        count += 1
    if count > MAX_CACHE_BREAKPOINTS:
        raise invalid_request(
            f"A maximum of {MAX_CACHE_BREAKPOINTS} blocks with cache_control may be provided. "
            f"Found {count}."
        )


def _find(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _find(one, f"{path}.{number}")
    elif isinstance(value, dict):
        if value.get("cache_control") is not None:
            yield path.lstrip("."), value["cache_control"]
        for key in ("system", "messages", "tools", "content"):
            yield from _find(value.get(key), f"{path}.{key}")
