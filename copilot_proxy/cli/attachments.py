"""What goes along with a prompt: text piped in, and images from files."""

import base64
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from copilot_proxy.errors import UsageError
from copilot_proxy.formats.images import media_type

if TYPE_CHECKING:
    from copilot_proxy.catalogue import Model

_LARGEST: Final = 20 * 1024 * 1024
"""Bytes; no model takes more, whatever the list of models says."""


@dataclass(frozen=True)
class Image:
    """An image that was read from `path`."""

    path: Path
    media_type: str
    data: bytes

    def part(self) -> dict[str, Any]:
        """As a message of chat completions holds it."""
        encoded = base64.b64encode(self.data).decode()
        return {
            "type": "image_url",
            "image_url": {"url": f"data:{self.media_type};base64,{encoded}"},
        }


def read_image(path: Path) -> Image:
    """The image in a file, whatever the file is called. Raises `UsageError`."""
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise UsageError(
                f"{path} is too large: {_megabytes(size)}, and no model takes more than "
                f"{_megabytes(_LARGEST)}.",
                hint="Make it smaller.",
            )
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"The image {path} cannot be read: {error.strerror}.") from error
    kind = media_type(data)
    if kind is None:
        raise UsageError(
            f"{path} is no image that Copilot takes.", hint="It takes PNG, JPEG, WebP and GIF."
        )
    return Image(path, kind, data)


def check_images(images: Sequence[Image], model: "Model") -> None:
    """Raises `UsageError` for what `model` is known not to take; the request would be wasted."""
    if not images:
        return
    if model.supports and model.supports.get("vision") is not True:
        raise UsageError(
            f"{model.id} does not see images.", hint="copilot-proxy models shows which models do."
        )
    vision = model.limits.get("vision")
    limits = vision if isinstance(vision, dict) else {}
    most, largest = limits.get("max_prompt_images"), limits.get("max_prompt_image_size")
    if isinstance(most, int) and len(images) > most > 0:
        raise UsageError(f"{model.id} takes at most {most} at once, and there are {len(images)}.")
    types = limits.get("supported_media_types")
    for image in images:
        if isinstance(largest, int) and len(image.data) > largest > 0:
            raise UsageError(
                f"{image.path} is too large: {_megabytes(len(image.data))}, and {model.id} takes "
                f"images of up to {_megabytes(largest)}.",
                hint="Make it smaller.",
            )
        if isinstance(types, list) and types and image.media_type not in types:
            raise UsageError(
                f"{model.id} does not take {image.media_type}.",
                hint=f"It takes {', '.join(map(str, types))}.",
            )


def content(text: str, images: Iterable[Image]) -> str | list[dict[str, Any]]:
    """The content of a message: plain text where that is enough."""
    parts = [image.part() for image in images]
    return [{"type": "text", "text": text}, *parts] if parts else text


def piped_text() -> str | None:
    """What is piped in, or None when a person is at the keyboard. Raises `UsageError`."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    data = sys.stdin.buffer.read()
    if b"\0" in data:
        raise UsageError(
            "What is piped in is not text.", hint="An image can be given with --image FILE."
        )
    return data.decode("utf-8-sig", errors="replace")


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MB"
