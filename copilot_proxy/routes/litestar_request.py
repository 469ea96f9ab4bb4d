"""The framework's request, for routes that need more than `services.Request` offers."""

from typing import Any

from litestar import Request

LitestarRequest = Request[Any, Any, Any]
