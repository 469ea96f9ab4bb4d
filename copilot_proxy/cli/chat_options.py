"""The options of the ``chat`` command."""

from dataclasses import dataclass

from copilot_proxy.cli.attachments import Image


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """How `chat` asks, and what it prints."""

    model: str
    system: str | None
    images: list[Image]
    as_json: bool
    stream: bool
    verbose: bool
