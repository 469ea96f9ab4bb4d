"""The ledger: an SQLite file with one row per request, including its cost but never its text."""
