"""The ledger: an SQLite file with one row per request and its cost, but never its text."""
