"""Gives tools whose names Copilot refuses others that it takes, and gives the old ones back.

MCP servers make names such as ``mcp__company_server__…`` that are longer than 64 characters.
"""

import hashlib
import re
from typing import Any, Final

from copilot_proxy.formats.chat_completions.schema import Json

_LONGEST: Final = 64
_TAIL: Final = 8
_ALLOWED: Final = re.compile(rf"^[a-zA-Z0-9_-]{{1,{_LONGEST}}}$")
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")


class ToolNames:
    """The names of one request that were changed."""

    def __init__(self) -> None:
        self._original: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._original)

    def shorten(self, request: Json, notes: list[str]) -> Json:
        """`request` with names that Copilot takes; the request itself is left as it is."""
        tools = request.get("tools")
        if not tools:
            return request
        names = {name for tool in tools if (name := _name(tool))}
        new = {name: _short(name) for name in sorted(names) if not _ALLOWED.match(name)}
        if not new:
            return request
        self._original = {short: name for name, short in new.items()}
        notes += [f"renamed tool {name[:80]}: {short}" for name, short in new.items()]
        changed = {**request, "tools": [_renamed(tool, new) for tool in request["tools"]]}
        if isinstance(request.get("tool_choice"), dict):
            changed["tool_choice"] = _renamed(request["tool_choice"], new)
        changed["messages"] = [_in_message(message, new) for message in request["messages"]]
        return changed

    def restore(self, chunk: Json) -> Json:
        """`chunk`, changed in place to the names that the client knows."""
        if self._original:
            for choice in chunk["choices"]:
                for call in choice["delta"].get("tool_calls", ()):
                    function = call["function"]
                    if function.get("name") in self._original:
                        function["name"] = self._original[function["name"]]
        return chunk


def _name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""


def _short(name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_TAIL]
    return f"{_STRANGE.sub('_', name)[: _LONGEST - _TAIL - 1]}_{digest}"


def _renamed(tool: Json, new: dict[str, str]) -> Json:
    name = _name(tool)
    if name not in new:
        return tool
    return {**tool, "function": {**tool["function"], "name": new[name]}}


def _in_message(message: Json, new: dict[str, str]) -> Json:
    if not message.get("tool_calls"):
        return message
    return {**message, "tool_calls": [_renamed(call, new) for call in message["tool_calls"]]}
