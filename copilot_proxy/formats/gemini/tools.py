"""Translates function declarations and function calling configs, and refuses Google's own tools."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.gemini.json_schemas import to_json_schema, with_lower_types
from copilot_proxy.formats.types import ChatRequest, ClientRequest, Json

_FUNCTIONS: Final = "functionDeclarations"
_REFUSED: Final[Mapping[str, str]] = {
    "googleSearch": "Copilot's models do not search the web.",
    "googleSearchRetrieval": "Copilot's models do not search the web.",
    "enterpriseWebSearch": "Copilot's models do not search the web.",
    "googleMaps": "Copilot's models do not use Google Maps.",
    "codeExecution": "Copilot does not run code.",
    "urlContext": "Copilot does not fetch web pages.",
    "fileSearch": "Copilot has no file search stores.",
    "retrieval": "Copilot has no file search stores.",
    "computerUse": "Copilot has no computer-use tool.",
    "mcpServers": "Copilot does not connect to MCP servers.",
}
"""Google's own tools, and why they are refused."""
_MODES: Final[Mapping[str, str]] = {
    "AUTO": "auto",
    "ANY": "required",
    "NONE": "none",
    "VALIDATED": "validated",
}
_UNSET: Final = "MODE_UNSPECIFIED"
_PARAMETERS: Final = ("parameters", "parametersJsonSchema")
_CALLING: Final = ("mode", "allowedFunctionNames")
_KNOWN: Final = ("name", "description", *_PARAMETERS)


def functions(request: ClientRequest) -> list[Json]:
    """Return the function declarations of a request whose structure has been validated."""
    return [one for tool in request.get("tools") or () for one in tool.get(_FUNCTIONS) or ()]


def check_tools(request: ClientRequest) -> None:
    """Raise `RequestError` for Google's own tools and for invalid configurations."""
    for i, tool in enumerate(request.get("tools") or ()):
        for name, value in tool.items():
            if name != _FUNCTIONS and value is not None:
                raise RequestError(
                    _REFUSED.get(name, f"Copilot does not have the tool `{name[:50]}`."),
                    param=f"tools[{i}].{name[:50]}",
                    code="unsupported_value",
                    hint="Omit the tool, or replace it with a function that the client runs.",
                )
        for j, function in enumerate(tool.get(_FUNCTIONS) or ()):
            path = f"tools[{i}].{_FUNCTIONS}[{j}]"
            if not function["name"]:
                raise RequestError("The name of a function is empty.", param=f"{path}.name")
            if all(function.get(name) is not None for name in _PARAMETERS):
                raise RequestError(
                    "`parameters` and `parametersJsonSchema` cannot both be set.", param=path
                )
    _check_config(request)


def _check_config(request: ClientRequest) -> None:
    path = "toolConfig.functionCallingConfig"
    config = _calling_config(request)
    mode = _mode(config)
    if mode not in (*_MODES, _UNSET):
        raise RequestError(
            f"The mode {mode[:50]!r} is not one of {', '.join(_MODES)}.",
            param=f"{path}.mode",
            code="invalid_value",
        )
    offered = {one["name"] for one in functions(request)}
    for name in config.get("allowedFunctionNames") or ():
        if name not in offered:
            raise RequestError(
                f"The function {name[:80]!r} is allowed, but not declared.",
                param=f"{path}.allowedFunctionNames",
                code="invalid_value",
            )
    if mode == "ANY" and not offered:
        raise RequestError(
            "A function call is required, but no function is declared.", param=f"{path}.mode"
        )


def set_tools(request: ClientRequest, chat: ChatRequest, notes: list[str]) -> None:
    """Set the tools and the tool choice of a chat request."""
    given = request.get("toolConfig") or {}
    unknown = [name for name in given if name != "functionCallingConfig" and given[name]]
    calling = _calling_config(request)
    unknown += [f"functionCallingConfig.{n}" for n in calling if n not in _CALLING and calling[n]]
    notes += [f"dropped toolConfig.{name[:80]}: Copilot has no equivalent" for name in unknown]
    declared = functions(request)
    if not declared:
        return
    chat["tools"] = [_tool(function) for function in declared]
    others = {name for one in declared for name in one if name not in _KNOWN and one[name]}
    notes += [
        f"dropped {name[:50]} from functions: Copilot has no equivalent" for name in sorted(others)
    ]
    config = _calling_config(request)
    mode, allowed = _mode(config), config.get("allowedFunctionNames") or []
    chosen = [{"type": "function", "function": {"name": name}} for name in allowed]
    if len(chosen) == 1 and mode == "ANY":
        chat["tool_choice"] = chosen[0]
    elif chosen and mode != "NONE":
        kind = "required" if mode == "ANY" else "auto"
        chat["tool_choice"] = {
            "type": "allowed_tools",
            "allowed_tools": {"mode": kind, "tools": chosen},
        }
    elif mode in _MODES:
        chat["tool_choice"] = _MODES[mode]


def _tool(declared: Json) -> Json:
    function: Json = {"name": declared["name"]}
    if declared.get("description"):
        function["description"] = declared["description"]
    if declared.get("parameters") is not None:
        function["parameters"] = to_json_schema(declared["parameters"])
    elif declared.get("parametersJsonSchema") is not None:
        function["parameters"] = with_lower_types(declared["parametersJsonSchema"])
    return {"type": "function", "function": function}


def _calling_config(request: ClientRequest) -> dict[str, Any]:
    return (request.get("toolConfig") or {}).get("functionCallingConfig") or {}


def _mode(config: dict[str, Any]) -> str:
    return str(config.get("mode") or _UNSET).upper()
