"""The parts of a request body that rules read and change, independently of the API."""

from typing import Literal, NamedTuple

from copilot_proxy.formats.types import Json


class OfferedTool(NamedTuple):
    """A tool that the model may call.

    `function` is ``{"name", schema_key: {...}, ...}``.
    """

    function: Json
    schema_key: str


class Segment(NamedTuple):
    """A part of the conversation that stays together when results are moved to their calls."""

    kind: Literal["assistant", "result", "other"]
    ids: tuple[str, ...]
    """The ids of the assistant's calls, or the id of the call that a result belongs to."""
    raw: Json
    """The message or item, in the API's format."""
    message_index: int
    """The index of the message in the client's request."""
