"""Counts requests, tokens and costs, for Prometheus and for OpenTelemetry collectors."""
