"""Finds the images and documents that a request refers to by URL, in any client API."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from copilot_proxy.formats.conversation import FIELDS
from copilot_proxy.formats.images import is_web_url
from copilot_proxy.formats.types import ClientRequest

_TYPES: Final = (b"image", b"document", b"input_file", b"fileUri", b"file_uri")
"""Every body with an image or document contains at least one of these strings."""
_INNER: Final = ("content", "output", "source", "parts", "functionResponse", "function_response")
_URIS: Final = {"fileData": ("fileUri", "mimeType"), "file_data": ("file_uri", "mime_type")}
"""Gemini's names for a file with a URL, in both spellings."""

Kind = Literal["image", "document"]


@dataclass(frozen=True)
class FileUrl:
    """The URL of an image or PDF at `path` in a request. `holder[key]` is or contains the URL."""

    kind: Kind
    path: str
    holder: ClientRequest
    key: str
    url: str

    def replace(self, media_type: str, data: str) -> None:
        """Replace the URL with the file's `data`, in base64."""
        if self.key == "source":
            self.holder["source"] = {"type": "base64", "media_type": media_type, "data": data}
            return
        if self.key in _URIS:
            del self.holder[self.key]
            self.holder["inlineData"] = {"mimeType": media_type, "data": data}
            return
        data_url = f"data:{media_type};base64,{data}"
        if self.key == "file_url":
            del self.holder["file_url"]
            self.holder["file_data"] = data_url
            self.holder.setdefault("filename", unquote(urlsplit(self.url).path).rpartition("/")[2])
        else:
            self.holder[self.key] = data_url


def may_have_files(body: bytes) -> bool:
    """Return whether a request that has not been decoded yet may contain an image or document."""
    return any(kind in body for kind in _TYPES)


def find_file_urls(request: ClientRequest) -> Iterator[FileUrl]:
    """Yield all URLs of images and documents in a request to any API, including tool results."""
    pending: deque[tuple[str, Any]] = deque((name, request.get(name)) for name in FIELDS)
    while pending:
        path, value = pending.popleft()
        if isinstance(value, list):
            pending.extend((f"{path}[{i}]", item) for i, item in enumerate(value))
        elif isinstance(value, dict):
            match value:
                case {"type": "image_url", "image_url": {"url": url} as holder} if is_web_url(url):
                    yield FileUrl("image", f"{path}.image_url", holder, "url", url)
                case {"type": "image_url" | "input_image", "image_url": url} if is_web_url(url):
                    yield FileUrl("image", f"{path}.image_url", value, "image_url", url)
                case {
                    "type": "image" | "document" as kind,
                    "source": {"type": "url", "url": url},
                } if is_web_url(url):
                    yield FileUrl(kind, f"{path}.source", value, "source", url)
                case {"type": "input_file", "file_url": url} if is_web_url(url):
                    yield FileUrl("document", f"{path}.file_url", value, "file_url", url)
                case {"fileData": dict()} | {"file_data": dict()}:
                    yield from _gemini_files(value, path)
            pending.extend((f"{path}.{name}", value.get(name)) for name in _INNER)


def _gemini_files(part: ClientRequest, path: str) -> Iterator[FileUrl]:
    """Yield the URL in a part of a Gemini request. A file without a type counts as an image."""
    for key, (uri, type_name) in _URIS.items():
        file = part.get(key)
        if isinstance(file, dict) and is_web_url(url := file.get(uri)):
            kind = str(file.get(type_name) or "image/").lower()
            is_image = kind.startswith("image/")
            yield FileUrl("image" if is_image else "document", f"{path}.{key}", part, key, url)
