"""Custom tools and tool choices that a model refuses, in a form that it accepts."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

NO_SEARCH: Final = (
    "dropped tool tool_search: the model cannot search for tools, so all of them are sent"
)

CUSTOM_REPLACED: Final = "changed custom tools: to functions, since the model does not support them"


def lift_additional(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move tools that an item of the conversation adds to the request's tools."""
    if outgoing.lift_additional_tools():
        notes.append("moved additional_tools: to tools")


def replace_search(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Offer all tools at once if the model cannot search for them.

    A search that the client runs becomes a function; the tools that it has found are offered.
    """
    if outgoing.replace_tool_search():
        notes.append(NO_SEARCH)


def flatten_namespaces(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace namespaces by their tools, whose names get the namespace's as a prefix."""
    outgoing.flatten_namespaces()


def replace_custom(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace custom tools, whose input is a text, by functions with one argument.

    The translator of the response changes calls of these functions back.
    """
    if outgoing.replace_custom_tools():
        notes.append(CUSTOM_REPLACED)


def allow_tools(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Offer only the tools that the tool choice allows, since Copilot refuses such a choice.

    Raises `RequestError` if it allows none of the tools.
    """
    if not outgoing.allow_tools():
        raise no_tool_allowed()


def no_tool_allowed() -> RequestError:
    """Return the error for a tool choice that allows none of the tools."""
    return RequestError(
        "`tool_choice` allows none of the request's tools.",
        param="tool_choice",
        code="invalid_value",
        hint="Name tools that are in `tools`.",
    )
