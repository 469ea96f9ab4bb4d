"""Gives tools whose names Copilot refuses others that it takes; answers give the old ones back.

MCP servers make names such as ``mcp__company_server__…`` that are longer than 64 characters.
"""

import re
from typing import Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.tool_ids import shortened

_LONGEST: Final = 64
_STRANGE: Final = re.compile(r"[^a-zA-Z0-9_-]")


def fit_names(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Renames tools, the calls of them, and the choice among them.

    The same name always becomes the same, so that a conversation can go on with it.
    """
    functions = [tool.function for tool in outgoing.tools]
    functions += map(outgoing.function, outgoing.calls)
    names = {name for one in functions if isinstance(name := one.get("name"), str)}
    fits = profile.tool_name.fullmatch
    new = {name: shortened(name, _STRANGE, _LONGEST) for name in sorted(names) if not fits(name)}
    if not new:
        return
    for function in functions:
        if function.get("name") in new:
            function["name"] = new[function["name"]]
    outgoing.rename_choice(new)
    outgoing.tool_names.update({short: name for name, short in new.items()})
    notes += [f"renamed tool {name[:80]}: {short}" for name, short in new.items()]
