"""The HTTP routes: a module for each path, plus request bodies and responses."""
