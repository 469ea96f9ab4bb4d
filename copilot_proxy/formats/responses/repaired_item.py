"""One output item of a Responses stream that is being repaired."""

from copilot_proxy.formats.responses.schema import Json
from copilot_proxy.formats.responses.tools import Tool


class RepairedItem:
    """The id it keeps, and the tool it calls; `done` is the item when it was whole."""

    def __init__(self, id: str, kind: object, call_id: object, tool: Tool | None) -> None:
        self.id = id
        self.kind = kind
        self.call_id = call_id
        self.tool = tool
        self.is_told = False  # of a custom tool's input
        self.done: Json | None = None

    def is_told_as(self, given: Json) -> bool:
        """Whether an item of the last event is this one; calls tell by their id."""
        if given.get("type") == "function_call" and self.tool is not None:
            return given.get("call_id") == self.call_id
        return given.get("type") == self.kind
