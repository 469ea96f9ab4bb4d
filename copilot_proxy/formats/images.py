"""Images: data URLs, media types, and the hint for images that are referred to by a URL."""

import re
from typing import Final, TypeGuard

from copilot_proxy.errors import RequestError

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
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


def check_is_data(url: str, path: str) -> None:
    """Raise `RequestError` if the URL of an image, at `path` of an OpenAI request, has no data."""
    if not url.startswith("data:"):
        raise RequestError(
            "Copilot does not fetch images from URLs.",
            param=path,
            code="unsupported_value",
            hint=image_hint("Send the image itself, as a data: URL with base64", url),
        )


def image_hint(advice: str, url: object) -> str:
    """Return the hint for an image that is not base64: `advice`, without its full stop, and for a
    web URL how to have the server fetch it."""
    if is_web_url(url):
        return f"{advice}, or start the server with --fetch-images."
    return f"{advice}."
