"""Validates the input items of a client's Responses request, and the parts of their content."""

from collections.abc import Mapping
from typing import Any, Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.base64_data import is_data_url
from copilot_proxy.formats.documents import check_file
from copilot_proxy.formats.images import checked_url
from copilot_proxy.formats.responses import schema
from copilot_proxy.formats.responses.configuration_updates import UPDATE
from copilot_proxy.formats.schema_check import check_shape
from copilot_proxy.formats.types import Json
from copilot_proxy.formats.wrong_api import check_part

_ROLES: Final = ("user", "assistant", "system", "developer")
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "custom_tool_call": ("call_id", "name", "input"),
    "custom_tool_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}
"""The required fields of an item, by item type."""


def check_items(items: list[Json]) -> None:
    """Raise `RequestError` for an invalid item, and convert image URLs to their standard form."""
    for i, item in enumerate(items):
        if not _is_plainly_valid(item):
            _check_item(item, f"input[{i}]")


def _is_plainly_valid(item: Json) -> bool:
    """Return whether an item is a call or result that needs no further check."""
    if item.get("call_id") is None:
        return False
    kind = item.get("type")
    if kind == "function_call":
        return item.get("name") is not None and isinstance(item.get("arguments"), str)
    return kind == "function_call_output" and isinstance(item.get("output"), str)


def _check_item(item: Json, path: str) -> None:
    kind = item.get("type") or "message"
    if kind == "message":
        role = item.get("role")
        if role is None:
            raise missing(f"{path}.role" if "type" in item else f"{path}.type")
        if role not in _ROLES:
            raise RequestError(
                f"Invalid '{path}.role': expected one of {', '.join(_ROLES)}.",
                param=f"{path}.role",
                code="invalid_value",
            )
        if item.get("content") is None:
            raise missing(f"{path}.content")
    if kind == UPDATE:
        check_shape(item, schema.ConfigurationUpdate, path)
    for name in _REQUIRED.get(kind, ()):
        if item.get(name) is None:
            raise missing(f"{path}.{name}")
    if kind == "function_call" and not isinstance(item["arguments"], str):
        # The arguments of other types of calls may be objects.
        raise RequestError(
            f"Invalid type for '{path}.arguments': expected a string.",
            param=f"{path}.arguments",
            code="invalid_type",
        )
    for name in ("content", "output"):
        value: Any = item.get(name)
        match value:
            case list():
                _check_parts(value, f"{path}.{name}")
            case {"type": "computer_screenshot", "image_url": str(url)} if is_data_url(url):
                value["image_url"] = checked_url(url, f"{path}.{name}.image_url")


def _check_parts(parts: list[Any], path: str) -> None:
    for i, part in enumerate(parts):
        check_part("responses", part, f"{path}[{i}]")
        match part.get("type"):
            case "input_text" | "output_text" | "text" if not isinstance(part.get("text"), str):
                raise missing(f"{path}[{i}].text")
            case "refusal" if not isinstance(part.get("refusal"), str):
                raise missing(f"{path}[{i}].refusal")
            case "input_image":
                part["image_url"] = _checked_image(part.get("image_url"), f"{path}[{i}].image_url")
            case "input_file":
                check_file(part, f"{path}[{i}]")


def _checked_image(url: object, path: str) -> str:
    if not isinstance(url, str):
        raise RequestError(
            "Copilot accepts images only as data: URLs, not as file ids.",
            param=path,
            code="missing_required_parameter",
            hint="Send the image itself, as a base64 data: URL.",
        )
    return checked_url(url, path)


def missing(param: str) -> RequestError:
    """Return the error for a field that is missing from the request."""
    return RequestError(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )
