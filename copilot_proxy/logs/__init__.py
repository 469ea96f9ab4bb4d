"""The log: its lines, and where they are written."""
