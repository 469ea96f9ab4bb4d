"""Converts custom tools and tool choices to a form that the model accepts."""

from typing import Final

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

NO_SEARCH: Final = (
    "dropped tool_search: Copilot does not run it for the model, so the model gets all tools"
)

LIFTED: Final = "moved additional_tools to tools: the model does not support such items"
FLATTENED: Final = (
    "changed namespaces to prefixes of tool names: the model does not support namespaces"
)
CUSTOM_REPLACED: Final = "changed custom tools to functions: the model does not support them"


def lift_additional(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Move tools from conversation items to the request's tools."""
    if outgoing.lift_additional_tools():
        notes.append(LIFTED)


def replace_search(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace a tool search if the model does not support it.

    A search that the client runs becomes a function, and the tools that it has found are offered.
    """
    notes += search_notes(*outgoing.replace_tool_search())


def search_notes(is_hosted: bool, deferred: int) -> list[str]:
    """Return the notes for a replaced search; see `OutgoingBody.replace_tool_search`."""
    notes = [NO_SEARCH] if is_hosted else []
    return [*notes, deferred_tools_note(deferred)] if deferred else notes


def deferred_tools_note(count: int) -> str:
    """Return the note for deferred tools that are not offered yet."""
    noun = "a deferred tool" if count == 1 else f"{count} deferred tools"
    return f"dropped {noun}: not found yet by the client's search"


def flatten_namespaces(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace namespaces with their tools, prefixing the tool names with the namespace."""
    if outgoing.flatten_namespaces():
        notes.append(FLATTENED)


def replace_custom(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Replace custom tools, whose input is plain text, with functions that have one argument.

    The response translator converts calls to these functions back.
    """
    if outgoing.replace_custom_tools():
        notes.append(CUSTOM_REPLACED)


def allow_tools(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Offer only the tools that the tool choice allows, since Copilot refuses lists of allowed
    tools.

    Raises `RequestError` if the choice allows none of the tools.
    """
    if not outgoing.allow_tools():
        raise no_tool_allowed()


def no_tool_allowed() -> RequestError:
    """Return the error for a tool choice that allows none of the tools."""
    return RequestError(
        "`tool_choice` allows none of the request's tools.",
        param="tool_choice",
        code="invalid_value",
        hint="Choose tools that are in `tools`.",
    )
