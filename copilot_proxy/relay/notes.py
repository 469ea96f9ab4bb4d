"""The header with the notes: the changes to a request that may matter to the client."""

from collections.abc import Sequence
from typing import Final

_MAX_HEADER_LENGTH: Final = 2000


def notes_header(notes: Sequence[str]) -> dict[str, str]:
    """Return the header with the notes, or no header if there are none.

    Its value is a line of printable ASCII with at most `_MAX_HEADER_LENGTH` characters.
    """
    if not notes:
        return {}
    line = "".join(c if 32 <= ord(c) < 127 else "?" for c in "; ".join(notes))
    if len(line) > _MAX_HEADER_LENGTH:
        line = line[: _MAX_HEADER_LENGTH - 3] + "..."
    return {"x-copilot-proxy-notes": line}
