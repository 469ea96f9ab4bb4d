"""Images: of what kind some bytes are, and what to do about one that is named by its address."""

from typing import Final, TypeGuard

_MAGIC: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


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
