"""Images: data URLs, media types, and the hint for images that are referred to by a URL."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from copilot_proxy.errors import RequestError

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_OTHER_TYPES: Final = (
    "image/svg+xml",
    "image/bmp",
    "image/x-ms-bmp",
    "image/tiff",
    "image/x-icon",
    "image/vnd.microsoft.icon",
)
"""Types of images that no model of Copilot's accepts."""
_PDF: Final = "application/pdf"
"""Gemini accepts PDFs as images."""
_HEAD: Final = 1024
"""How many characters of base64 are decoded to recognise an image; a multiple of 4."""
_DATA_URL: Final = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[^,;]*)*;base64,(?P<data>.*)", re.S
)


def parse_data_url(url: str, recipient: str, param: str) -> tuple[str, str]:
    """Return the media type and the base64 data of an image in a ``data:`` URL (RFC 2397).

    Raises `RequestError`, which names `recipient` ("Claude") and `param`, for any other URL.
    """
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise RequestError(
            f"{recipient} only accepts images as base64.",
            param=param,
            code="unsupported_value",
            hint=image_hint(
                "Send the image as data:image/png;base64,... (or jpeg, webp, gif)", url
            ),
        )
    return match["type"].lower().replace("image/jpg", "image/jpeg"), match["data"]


def media_type(data: bytes) -> str | None:
    """Return the media type of an image by its first bytes, or None if Copilot rejects it."""
    for magic, image_type in _MAGIC:
        if data.startswith(magic):
            return image_type
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def is_web_url(url: object) -> TypeGuard[str]:
    """Return whether `url` is an http or https URL, as opposed to a data URL."""
    return isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))


def check_url(url: str, path: str) -> None:
    """Raise `RequestError` if the URL of an image, at `path` of an OpenAI request, has no image."""
    if not url.startswith("data:"):
        raise RequestError(
            "Copilot does not fetch images from URLs.",
            param=path,
            code="unsupported_value",
            hint=image_hint("Send the image itself, as a data: URL with base64", url),
        )
    header, comma, data = url.partition(",")
    declared, _, encoding = header[5:].rpartition(";")
    if not comma or encoding.strip().lower() != "base64":
        raise _invalid(path, "is a data: URL without base64")
    _check_data(declared.partition(";")[0], data, path)


def check_source(source: Any, path: str) -> None:
    """Raise `RequestError` if the `source` of an image of Messages, at `path`, has no image.

    Sources that are not base64 are not checked.
    """
    match source:
        case {"type": "base64", "media_type": str(declared), "data": str(data)}:
            _check_data(declared, data, f"{path}.data")


def check_blob(blob: Mapping[str, Any], path: str) -> None:
    """Raise `RequestError` if Gemini's ``{"mimeType", "data"}`` of an image has no image."""
    _check_data(blob["mimeType"], blob["data"], f"{path}.data")


def _check_data(declared: str, data: str, path: str) -> None:
    """Raise `RequestError` for data without an image, or an image that no model accepts."""
    head = "".join(data[:_HEAD].split())
    if not head:
        raise _invalid(path, "is empty")
    surplus = len(head) % 4
    if surplus and len(data) > _HEAD:
        head = head[:-surplus]
    elif surplus:
        head += "=" * (4 - surplus)  # it is not known whether Copilot requires the padding
    try:
        actual = media_type(base64.b64decode(head, validate=True))
    except ValueError:
        raise _invalid(path, "is not valid base64") from None
    declared = declared.strip().lower()
    is_image = declared.startswith("image/") or declared == _PDF
    if not is_image and actual is not None:
        raise _invalid(path, f"is declared as {declared or 'no type'}, but it is {actual}")
    if not is_image or (declared in _OTHER_TYPES and actual is None):
        raise _invalid(path, f"is {declared or 'of no type'}, which no model accepts as an image")


def _invalid(path: str, what: str) -> RequestError:
    return RequestError(
        f"Invalid '{path}': it {what}.",
        param=path,
        code="invalid_image",
        hint="Send the whole file as base64, as PNG, JPEG, GIF or WebP, with its type.",
    )


def image_hint(advice: str, url: object) -> str:
    """Return the hint for an image that is not base64: `advice`, without its full stop, and for a
    web URL how to have the server fetch it."""
    if is_web_url(url):
        return f"{advice}, or start the server with --fetch-images."
    return f"{advice}."
