"""How long the latest answers were, so that estimates are right from the start of a server."""

import sqlite3
from collections.abc import Sequence
from typing import Final

_LATEST: Final = 1000
"""How many of the newest rows are read."""
_QUERY: Final = """
SELECT model, output_tokens FROM requests
WHERE id > (SELECT max(id) FROM requests) - ?
AND outcome = 'ok' AND model IS NOT NULL AND output_tokens > 0 AND cost_source <> 'estimated'
ORDER BY id
"""


def recent_outputs(database: sqlite3.Connection) -> Sequence[tuple[str, int]]:
    """Return models and the output tokens of their latest answers, the newest last; raises
    `sqlite3.Error`."""
    return database.execute(_QUERY, (_LATEST,)).fetchall()
