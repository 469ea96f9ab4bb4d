"""Endpoints that official agents call but can do without: memory and an MCP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .refusal import copilot

if TYPE_CHECKING:
    from .call import Call

MCP_VERSION = "2025-06-18"
UNKNOWN_METHOD = -32601
"""JSON-RPC's error code for an unknown method."""


async def memory(call: Call, headers: dict[str, str]) -> None:
    """``GET /agents/swe/internal/memory/v0/enabled``: answer that memory is off."""
    await call.json({"enabled": False}, headers)


async def mcp(call: Call, headers: dict[str, str]) -> None:
    """``POST /mcp/readonly``: an MCP server without tools; the body is a JSON-RPC message."""
    body = call.record.body
    if not isinstance(body, dict) or not isinstance(body.get("method"), str):
        raise copilot(400, "the body must be a JSON-RPC message", "bad_request")
    if "id" not in body:
        await call.answer(202, b"", "application/json", headers)
        return
    results = {
        "initialize": {
            "protocolVersion": MCP_VERSION,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "github-mcp-server", "version": "simulated"},
        },
        "tools/list": {"tools": []},
        "ping": {},
    }
    answer = {"jsonrpc": "2.0", "id": body["id"]}
    if body["method"] in results:
        answer["result"] = results[body["method"]]
    else:
        answer["error"] = {"code": UNKNOWN_METHOD, "message": "Method not found"}
    await call.json(answer, headers)
