"""Reads the lengths of recent answers, so that estimates are accurate from the start."""

import sqlite3
from collections.abc import Sequence
from typing import Final

_MAX_ROWS: Final = 1000
"""The number of latest rows to read."""
_QUERY: Final = """
SELECT model, output_tokens FROM requests
WHERE id > (SELECT max(id) FROM requests) - ?
AND outcome = 'ok' AND model IS NOT NULL AND output_tokens > 0 AND cost_source <> 'estimated'
ORDER BY id
"""


def recent_outputs(database: sqlite3.Connection) -> Sequence[tuple[str, int]]:
    """Return the models and output tokens of recent answers, oldest first. Raises
    `sqlite3.Error`."""
    return database.execute(_QUERY, (_MAX_ROWS,)).fetchall()
