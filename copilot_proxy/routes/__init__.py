"""The HTTP routes: one module for each path, with request bodies and responses."""
