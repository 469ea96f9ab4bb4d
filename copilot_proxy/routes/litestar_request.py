"""The framework's request, for routes that need more of it than `services.Request`."""

from typing import Any

from litestar import Request

LitestarRequest = Request[Any, Any, Any]
