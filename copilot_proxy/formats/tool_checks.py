"""Checks how many tools a request offers, and that a forced call has tools to choose from."""

from typing import Final

from copilot_proxy.errors import RequestError

MAX_TOOLS: Final = 128
"""The maximum number of tools that Copilot accepts."""
FORCED: Final = ("required", "function", "custom", "allowed_tools")
"""The tool choices, or their types, that make no sense without tools."""


def no_tools(path: str) -> RequestError:
    """Return the error for a forced call, at `path`, in a request that offers no tools."""
    return RequestError(
        f"`{path}` forces the model to call a tool, but the request has no tools.",
        param=path,
        code="invalid_value",
        hint=f"Offer the tools in `tools`, or omit `{path}`.",
    )


def check_tool_count(count: int) -> None:
    """Raise a `RequestError` if there are more tools than Copilot accepts."""
    if count > MAX_TOOLS:
        raise RequestError(
            f"Copilot accepts at most {MAX_TOOLS} tools, but the request has {count}.",
            param="tools",
            code="array_above_max_length",
            hint="Turn off some of the client's tools or MCP servers.",
        )
