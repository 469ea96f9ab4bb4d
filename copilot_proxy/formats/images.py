"""Images: of what kind some bytes are, and what to do about one that is named by its address."""

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


def embedded(url: str, taker: str, param: str) -> tuple[str, str]:
    """The type of an image that `url` holds, and the image as base64; raises `RequestError` for
    one that `taker` would have to fetch."""
    found = _DATA_URL.fullmatch(url)
    if found is None:
        raise RequestError(
            f"{taker} takes images as base64 alone.",
            param=param,
            code="unsupported_value",
            hint=remedy("Send the image as data:image/png;base64,... (or jpeg, webp, gif)", url),
        )
    return found["type"].lower().replace("image/jpg", "image/jpeg"), found["data"]


def media_type(data: bytes) -> str | None:
    """The type of an image that Copilot takes, by its first bytes; None for anything else."""
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None


def is_address(url: object) -> TypeGuard[str]:
    """Whether `url` says where an image is, rather than being one."""
    return isinstance(url, str) and url[:8].lower().startswith(("http://", "https://"))


def remedy(send: str, url: object) -> str:
    """The hint for an image that Copilot would have to fetch; `send` says what it takes instead."""
    return f"{send}, or start the server with --fetch-images." if is_address(url) else f"{send}."
