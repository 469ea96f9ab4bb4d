"""Validation of images, tools and field types that all three model APIs share."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import catalogue
from .refusal import copilot, invalid
from .schema_rules import is_schema
from .types import ChatMessage, Json, Model

if TYPE_CHECKING:
    from .call import Call

MAX_TOOLS = 128
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.S)
MAX_IMAGES = {"claude": 20, "gemini": 10}
"""Vendor -> the maximum number of images in a request. Claude's limit applies to the Messages API
only. VS Code respects these limits. It sends any number of images to other models, whatever their
`max_prompt_images` says."""
NO_VISION_HEADER = "missing required Copilot-Vision-Request header for vision requests"


def typed(body: Json, types: dict[str, tuple[type, ...]]) -> None:
    """Raise a 400 for known fields whose values have the wrong type; null counts as absent."""
    for name, allowed in types.items():
        value = body.get(name)
        if value is None:
            continue
        # In Python, but not in JSON, a boolean is a number.
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise invalid()


def images(message: ChatMessage) -> Iterator[str]:
    """Yield the URLs of a message's images."""
    content = message.get("content")
    for part in content if isinstance(content, list) else []:
        if part.get("type") == "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, dict) else image
            if not isinstance(url, str):
                raise invalid()
            yield url


def check_images(urls: list[str], model: Model, call: Call) -> None:
    """Raise a 400 if the vision header is missing, or if the model does not accept the images."""
    if not urls:
        return
    # The language server sends the header with chat completions requests only.
    if call.path == catalogue.CHAT and not call.record.vision:
        raise copilot(400, NO_VISION_HEADER)
    limits = model.get("capabilities", {}).get("limits", {}).get("vision")
    if not catalogue.supports(model, "vision") or not limits:
        raise invalid(f"model {model['id']} does not support image input")
    for url in urls:
        if not url.startswith("data:"):
            raise invalid("external image URLs are not supported; send a base64 data URL")
        found = DATA_URL.fullmatch(url)
        if found is None:
            raise invalid("invalid image data")
        # The types may include PDFs. Claude accepts them only as documents; Gemini accepts them as
        # images.
        is_accepted = found[1].startswith("image/") or catalogue.vendor(model) == "gemini"
        if found[1] not in limits["supported_media_types"] or not is_accepted:
            raise copilot(400, "image media type not supported")
        try:
            size = len(base64.b64decode(found[2], validate=True))
        except ValueError:
            raise invalid("invalid image data") from None
        if size > limits["max_prompt_image_size"]:
            limit = limits["max_prompt_image_size"]
            raise invalid(f"image size of {size} bytes exceeds the limit of {limit}")
    vendor = catalogue.vendor(model)
    limit = MAX_IMAGES.get(vendor, 0)
    if len(urls) > limit > 0 and (vendor != "claude" or call.path == catalogue.MESSAGES):
        raise invalid(f"image count of {len(urls)} exceeds the limit of {limit}")


def check_tool(number: int, name: Any, schema: Any) -> None:
    """Raise a 400 for a tool's name or schema that violates the rules that all APIs share."""
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        raise invalid(f"tools.{number}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
    if not is_schema(schema) or not isinstance(schema, dict) or schema.get("type") != "object":
        raise invalid(f"tools.{number}: the parameters of {name} must be an object schema")
