"""Creates the exporter of OpenTelemetry data; imported only if the settings name a collector."""

import os
from dataclasses import dataclass

from copilot_proxy.metrics.counters import Metrics
from copilot_proxy.metrics.exporter import OtlpExporter
from copilot_proxy.network.collector import Collector
from copilot_proxy.settings import Settings
from copilot_proxy.settings.telemetry import otlp_target


@dataclass(frozen=True)
class Telemetry:
    """The exporter of OpenTelemetry data."""

    exporter: OtlpExporter
    collector: Collector

    async def aclose(self) -> None:
        """Send the remaining data, and close the connection."""
        await self.exporter.close()
        await self.collector.aclose()


def telemetry_for(settings: Settings, metrics: Metrics) -> Telemetry | None:
    """Return an exporter of `metrics` and requests, or None if the settings name no collector.

    Raises `UsageError`.
    """
    target = otlp_target(settings, os.environ)
    if target is None:
        return None
    collector = Collector()
    return Telemetry(OtlpExporter(target, metrics, collector.post), collector)
