"""Decides which HTTP requests are logged."""

import time
from collections.abc import Callable
from typing import Final

from copilot_proxy.relay.records import RequestContext

_QUIET_PATHS: Final = (
    "/",
    "/health",
    "/metrics",
    "/favicon.ico",
    "/api/hello",
    "/api/version",
    "/api/ps",
)
_PROBED_PATHS: Final = (
    "/api/tags",
    "/api/version",
    "/api/v0/models",
    "/api/v1/models",
    "/props",
    "/v1/props",
    "/slots",
    "/version",
    "/v1/models/info",
    "/v1/model/info",
)
"""Paths of Ollama, LM Studio, llama.cpp, vLLM and LiteLLM. To find out which server this is, some
clients request all of these each time they start."""
_MODELS: Final = "/v1/models"
_PROBE_INTERVAL: Final = 60.0
"""Seconds without a probe before the next one is logged again. The same applies to model
lookups."""


class LogFilter:
    """Decides for each request whether to log it; `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_probe = self._next_lookup = float("-inf")

    def __call__(self, context: RequestContext) -> bool:
        """Return True for failures, and for GET requests except those to the dashboard and quiet
        paths.

        Requests that call Copilot are left out here: their records are logged when they end. Only
        the first of several model lookups in a row is logged, and only the first of several probes.
        A probe is a request that only another kind of server would answer, or one for a part of an
        API that this server lacks.
        """
        if context.has_record:
            return False
        if context.status == 404 and (
            context.path in _PROBED_PATHS or (context.error or "").endswith("_not_supported")
        ):
            is_first = self._clock() >= self._next_probe
            self._next_probe = self._clock() + _PROBE_INTERVAL
            return is_first
        is_failure = context.status is not None and context.status >= 400
        if is_failure or context.method != "GET":
            return is_failure
        if context.path == _MODELS or context.path.startswith(f"{_MODELS}/"):
            is_first = self._clock() >= self._next_lookup
            self._next_lookup = self._clock() + _PROBE_INTERVAL
            return is_first
        return context.path not in _QUIET_PATHS and not context.path.startswith("/dashboard/")
