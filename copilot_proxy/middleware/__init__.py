"""ASGI middleware that every request passes: access, concurrency, shutdown, dumps."""
