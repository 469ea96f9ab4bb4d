"""Reads the attachments of a prompt: piped text and image files."""

import base64
import os
import stat
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.cli.console import print_message
from copilot_proxy.errors import UsageError
from copilot_proxy.formats.images import media_type

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Model

_MAX_BYTES: Final = 20 * 1024 * 1024
"""Maximum size of an image in bytes; no model accepts more, whatever the catalogue says."""


@dataclass(frozen=True)
class Image:
    """An image that was read from `path`."""

    path: Path
    media_type: str
    data: bytes

    def part(self) -> dict[str, Any]:
        """Return the image as a content part of a chat completions message."""
        encoded = base64.b64encode(self.data).decode()
        return {
            "type": "image_url",
            "image_url": {"url": f"data:{self.media_type};base64,{encoded}"},
        }


def read_image(name: str) -> Image:
    """Read the image file `name`, detecting its type from the data. Raises `UsageError`."""
    if name.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"The image {name} is a URL.", hint="Download it and attach the file with -i FILE."
        )
    path = Path(name)
    try:
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise UsageError(
                f"{path} is too large ({_megabytes(size)}): no model accepts more than "
                f"{_megabytes(_MAX_BYTES)}.",
                hint="Use a smaller image.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The image {path} cannot be read: {error.strerror}.") from error
    kind = media_type(data)
    if kind is None:
        raise UsageError(
            f"{path} is not an image that Copilot supports.", hint="Use PNG, JPEG, WebP or GIF."
        )
    return Image(path, kind, data)


def check_images(images: Sequence[Image], model: "Model") -> None:
    """Raise `UsageError` if `model` is known not to accept the images."""
    if not images:
        return
    if model.supports and model.supports.get("vision") is not True:
        raise UsageError(
            f"{model.id} does not support images.",
            hint="To see which models do, run: copilot-proxy models",
        )
    vision = model.limits.get("vision")
    limits = vision if isinstance(vision, dict) else {}
    # `max_prompt_images` is not checked: GitHub's own client ignores it and sends more images.
    largest = limits.get("max_prompt_image_size")
    types = limits.get("supported_media_types")
    for image in images:
        if isinstance(largest, int) and len(image.data) > largest > 0:
            raise UsageError(
                f"{image.path} is too large ({_megabytes(len(image.data))}): {model.id} accepts "
                f"images of up to {_megabytes(largest)}.",
                hint="Use a smaller image.",
            )
        if isinstance(types, list) and types and image.media_type not in types:
            raise UsageError(
                f"{model.id} does not support {image.media_type}.",
                hint=f"Use one of: {', '.join(map(str, types))}.",
            )


def content(text: str, images: Iterable[Image]) -> str | list[dict[str, Any]]:
    """Return the content of a message: a list of parts if there are images, otherwise the text."""
    parts = [image.part() for image in images]
    return [{"type": "text", "text": text}, *parts] if parts else text


def piped_text() -> str | None:
    """Return the piped input, or None if stdin is a terminal. Raises `UsageError` for binary data.

    A closed stdin counts as empty. Invalid UTF-8 bytes are replaced and reported, but not refused,
    because diffs of old files may contain a few.
    """
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        return None
    data = sys.stdin.buffer.read()
    if b"\0" in data:
        raise UsageError("The piped input is not text.", hint="Attach an image with --image FILE.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        print_message(
            f"The piped input is not valid UTF-8 (line {line}): invalid bytes are sent as \ufffd."
        )
        return data.decode("utf-8-sig", errors="replace")


def is_piped() -> bool:
    """Return whether stdin is a pipe or a file; /dev/null is neither."""
    if sys.stdin is None:
        return False
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
