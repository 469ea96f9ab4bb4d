"""Renames tools whose names Copilot refuses; in responses, the names are restored.

For example, MCP servers can have names such as ``mcp__company_server__…`` with more than 64
characters.
"""

import re
from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.tool_ids import shortened

_MAX_LENGTH: Final = 64
_INVALID: Final = re.compile(r"[^a-zA-Z0-9_-]")


def rename_invalid_tools(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Rename tools whose names the model does not accept, including in calls and the tool choice.

    The new name depends only on the old name, so it is the same in later requests.
    """
    functions = [tool.function for tool in outgoing.tools]
    functions += outgoing.other_tools
    functions += map(outgoing.function, outgoing.calls)
    names = {name for one in functions if isinstance(name := one.get("name"), str)}
    is_valid = profile.tool_name.fullmatch
    new_names = {
        name: shortened(name, _INVALID, _MAX_LENGTH) for name in sorted(names) if not is_valid(name)
    }
    if not new_names:
        return
    for function in functions:
        if function.get("name") in new_names:
            function["name"] = new_names[function["name"]]
    outgoing.rename_choice(new_names)
    outgoing.tool_names.update({new: old for old, new in new_names.items()})
    notes += [f"renamed tool {old[:80]} to {new}" for old, new in new_names.items()]
