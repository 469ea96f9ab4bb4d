"""Copilot over HTTP: the calls, their responses, and the connections they go through."""
