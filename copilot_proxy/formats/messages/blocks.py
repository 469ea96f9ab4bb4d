"""The messages of a request in the form that Copilot's Messages API has: blocks that it knows."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.images import image_hint
from copilot_proxy.formats.messages.schema import Json
from copilot_proxy.formats.messages.sealed_reasoning import signature

_SERVER_BLOCKS: Final = (
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
)
"""What tools that Anthropic runs leave in a conversation; Copilot runs none and refuses them."""

_NO_THOUGHT: Final = ("", "Thinking...")
"""What clients show where there was no thinking to show."""


def clean_messages(body: Json, notes: list[str]) -> int:
    """Takes from `messages` of `body` what no model of Copilot's knows, on copies of messages and
    blocks; gives how many that led the conversation are in the system prompt now.

    Raises `RequestError` for images and documents that Copilot would have to fetch.
    """
    told: set[str] = set()
    messages = [
        {**message, "content": _content(message["content"], f"messages[{i}].content", told)}
        for i, message in enumerate(body["messages"])
    ]
    body["messages"] = messages
    notes += sorted(told)
    return _lead_with_system(body, messages)


def _lead_with_system(body: Json, messages: list[Json]) -> int:
    """Moves system messages that lead the conversation to the system prompt: they mean the same.

    Later ones stay where they are, which takes a beta (`betas`): moved to the front they would
    lose their place, and with each new one nothing of the prompt could be read from the cache.
    """
    moved = 0
    while messages and messages[0]["role"] == "system":
        content = messages.pop(0)["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        system = body.get("system") or []
        system = [{"type": "text", "text": system}] if isinstance(system, str) else system
        body["system"] = [*system, *blocks]
        moved += 1
    return moved


def _content(content: str | list[Json], path: str, told: set[str]) -> str | list[Json]:
    if isinstance(content, str):
        return content
    blocks = [_block(block, f"{path}[{i}]", told) for i, block in enumerate(content)]
    return [block for block in blocks if block is not None]


def _block(block: Json, path: str, told: set[str]) -> Json | None:
    """The block as Copilot takes it; None if it takes none of it."""
    # Clients send an answer's blocks back with every field that their SDK has, many of them null.
    block = {name: value for name, value in block.items() if value is not None}
    match block["type"]:
        case "thinking":
            return _thinking(block, told)
        case "redacted_thinking":
            seal = signature(block.get("data"))
            return {**block, "data": seal} if seal else None
        case "image" | "document":
            _check_source(block, path)
        case "tool_result" if "content" in block:
            block["content"] = _content(block["content"], f"{path}.content", told)
        case kind if kind in _SERVER_BLOCKS:
            told.add(f"dropped {kind} blocks: Copilot does not take them")
            return None
    return block


def _thinking(block: Json, told: set[str]) -> Json | None:
    seal = signature(block.get("signature"))
    if seal is None:
        told.add("dropped thinking blocks: they are not signed by Claude")
        return None
    return None if block.get("thinking") in (None, *_NO_THOUGHT) else {**block, "signature": seal}


def _check_source(block: Json, path: str) -> None:
    source = block["source"]
    kind = source.get("type") if isinstance(source, dict) else None
    if kind in ("url", "file"):
        raise RequestError(
            f"Copilot does not fetch any {block['type']} from elsewhere.",
            param=f"{path}.source",
            code="unsupported_value",
            hint=image_hint(
                "Send its data itself, in a source of type base64",
                source.get("url") if block["type"] == "image" else None,
            ),
        )
