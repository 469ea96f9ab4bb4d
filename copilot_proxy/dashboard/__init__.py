"""The page at ``/``: its data, its live stream, and its files in ``static``."""
