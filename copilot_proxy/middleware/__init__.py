"""ASGI middleware that every request passes through: access, concurrency, shutdown, dumps."""
