"""The ledger: one row for each request, with what it cost, in an SQLite file; never its text."""
