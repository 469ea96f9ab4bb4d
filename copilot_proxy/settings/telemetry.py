"""Finds the collector for OpenTelemetry data, from the setting or the standard variables.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from copilot_proxy.errors import UsageError
from copilot_proxy.settings import values
from copilot_proxy.settings.settings import Settings

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
_RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_SERVICE: Final = "OTEL_SERVICE_NAME"
_DEFAULT: Final = "http://localhost:4318"


@dataclass(frozen=True)
class OtlpTarget:
    """A collector that accepts OTLP over HTTP."""

    url: str
    """The base URL, without a signal's path such as ``/v1/traces``."""
    headers: Mapping[str, str] = field(repr=False)
    """The headers to send, which may contain a secret."""
    resource: Mapping[str, str]
    """The attributes that describe this server to the collector."""


def otlp_target(settings: Settings, environ: Mapping[str, str]) -> OtlpTarget | None:
    """Return the collector. Raises `UsageError`.

    Returns None if the setting `otlp_endpoint` is not set, even if `environ` names a collector.
    """
    endpoint = settings.otlp_endpoint
    if endpoint is None:
        return None
    if endpoint == values.FROM_ENVIRONMENT:
        given = environ.get(_ENDPOINT) or _DEFAULT
        try:
            endpoint = values.collector(given) or _DEFAULT
        except ValueError as error:
            raise UsageError(
                f"{_ENDPOINT} is invalid: {error}.",
                hint="Set it to the address of a collector that accepts OTLP over HTTP.",
            ) from None
    service = environ.get(_SERVICE)
    resource = {"service.name": "copilot-proxy", **_pairs(environ, _RESOURCE)}
    if service:
        resource["service.name"] = service
    return OtlpTarget(endpoint, _pairs(environ, _HEADERS), resource)


def _pairs(environ: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the pairs in the variable `name`, whose value looks like ``a=1,b=2``.

    Percent-encoded values are decoded. Raises `UsageError`.
    """
    found = {}
    for part in filter(str.strip, environ.get(name, "").split(",")):
        key, equals, value = part.partition("=")
        key, value = key.strip(), unquote(value.strip())
        if not equals or not key.isascii() or not key.isprintable() or not value.isprintable():
            # The value may be a secret, so it is not shown.
            raise UsageError(f"{name} is invalid.", hint="Set it to pairs such as name=value,a=b.")
        found[key] = value
    return found
