"""Checks the images in requests: their data: URLs, media types and first bytes."""

import base64
from contextlib import suppress
from typing import Any, Final, TypeGuard

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.base64_data import (
    DataUrl,
    inline_source,
    is_data_url,
    read_data_url,
    read_source,
    standard_base64,
    standard_type,
)
from copilot_proxy.formats.types import Json

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
"""Image types that no Copilot model accepts."""
_PDF: Final = "application/pdf"
"""The type of PDFs, which Gemini accepts as images."""
_HEAD: Final = 1024
"""The number of base64 characters to decode in order to recognize an image; a multiple of 4."""


def parse_data_url(url: str, recipient: str, param: str) -> DataUrl:
    """Return the media type and the base64 data of an image in a ``data:`` URL.

    Raises a `RequestError` that names `recipient` (such as "Claude") and `param` for any other URL.
    """
    found = read_data_url(url) if is_data_url(url) else None
    if found is None or "/" not in found.media_type:
        raise RequestError(
            f"{recipient} only accepts images as base64.",
            param=param,
            code="unsupported_value",
            hint=image_hint(
                "Send the image as data:image/png;base64,... (or jpeg, webp, gif)", url
            ),
        )
    return found


def media_type(data: bytes) -> str | None:
    """Return an image's media type based on its first bytes, or None if Copilot does not accept
    it."""
    for magic, image_type in _MAGIC:
        if data.startswith(magic):
            return image_type
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def is_image(data: str) -> bool:
    """Return whether `data`, base64 in any form, starts like an image that Copilot accepts."""
    with suppress(ValueError):
        return _type_of(standard_base64(data[:_HEAD])) is not None
    return False


def untyped_url(data: str) -> str | None:
    """Return the data: URL of an image whose type is only known from its base64, or None if it is
    not an image that Copilot accepts."""
    with suppress(ValueError):
        standard = standard_base64(data)
        kind = _type_of(standard)
        return f"data:{kind};base64,{standard}" if kind else None
    return None


def is_web_url(url: object) -> TypeGuard[str]:
    """Return whether `url` is an http or https URL, as opposed to a data URL."""
    return isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))


def checked_url(url: str, path: str) -> str:
    """Return the data: URL of an image in its standard form. `path` is its place in an OpenAI
    request.

    Raises `RequestError` if the URL does not contain an image.
    """
    if not is_data_url(url):
        raise RequestError(
            "Copilot does not fetch images from URLs.",
            param=path,
            code="unsupported_value",
            hint=image_hint("Send the image itself, as a base64 data: URL", url),
        )
    found = read_data_url(url)
    if found is None:
        raise _invalid(path, "is a data: URL that is not base64")
    standard = found._replace(media_type=_checked_type(found.media_type, found.data, path))
    head = f"data:{standard.media_type};base64,"
    is_standard = len(head) + len(found.data) == len(url) and url.endswith(found.data)
    return url if is_standard and url.startswith(head) else str(standard)


def checked_source(source: Any, path: str) -> Any:
    """Return the `source` of a Messages image in its standard form. `path` is its place in the
    request.

    The source's ``data`` may be a data: URL. Raises `RequestError` if the data is not an image.
    Sources other than base64 are not checked.
    """
    if (inline := inline_source(source)) is None:
        return source
    if (found := read_source(inline)) is None:
        raise _invalid(f"{path}.data", "is a data: URL that is not base64")
    kind = _checked_type(found.media_type, found.data, f"{path}.data")
    return {**inline, "media_type": kind, "data": found.data}


def check_blob(blob: Json, path: str) -> None:
    """Convert a Gemini image, ``{"mimeType", "data"}``, to its standard form in place.
    Raises `RequestError` if the data is not an image."""
    declared, data = standard_type(blob["mimeType"]), standard_base64(blob["data"])
    blob["mimeType"], blob["data"] = _checked_type(declared, data, f"{path}.data"), data


def _checked_type(declared: str, data: str, path: str) -> str:
    """Return the type of an image in standard base64.

    If the declared type is not an image type, the type is detected from the first bytes.

    Raises `RequestError` for data without an image, or an image that no model accepts.
    """
    if not data:
        raise _invalid(path, "is empty")
    try:
        actual = _type_of(data)
    except ValueError:
        raise _invalid(path, "is not valid base64") from None
    is_image = declared.startswith("image/") or declared == _PDF
    if not is_image and actual is not None:
        return actual
    if not is_image or (declared in _OTHER_TYPES and actual is None):
        accepted = f"is {declared}, which no model accepts as an image"
        raise _invalid(path, accepted if declared else "is of an unknown type")
    return declared


def _type_of(data: str) -> str | None:
    """Return the `media_type` of standard base64. Raises `ValueError` if it is not base64."""
    return media_type(base64.b64decode(data[:_HEAD], validate=True))


def _invalid(path: str, what: str) -> RequestError:
    return RequestError(
        f"Invalid '{path}': it {what}.",
        param=path,
        code="invalid_image",
        hint="Send a whole PNG, JPEG, GIF or WebP file as base64, with its type.",
    )


def image_hint(advice: str, url: object) -> str:
    """Return the hint for an image that is not base64: `advice`, with a period added.

    For a web URL, the hint also says how to let the server fetch the image.
    """
    if is_web_url(url):
        return f"{advice}, or start the server with --fetch-images."
    return f"{advice}."
