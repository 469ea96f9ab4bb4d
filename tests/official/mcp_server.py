"""An MCP server with so many tools that the CLI defers them until it searches for them."""

import json
import sys
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
TOOLS = [
    {"name": f"get_part_{number}", "description": "A part of a city. " * 20, "inputSchema": SCHEMA}
    for number in range(60)
]


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a request."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "parts", "version": "1"},
        }
    return {"tools": TOOLS} if method == "tools/list" else {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        result = answer(request["method"], request.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
