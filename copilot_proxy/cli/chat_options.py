"""The options of the ``chat`` command."""

from dataclasses import dataclass

from copilot_proxy.cli.attachments import Image


@dataclass(frozen=True, kw_only=True)
class ChatOptions:
    """The options of the ``chat`` command, with images read from their files."""

    model: str
    system: str | None
    images: list[Image]
    as_json: bool
    stream: bool
    verbose: bool
    simulate: bool
