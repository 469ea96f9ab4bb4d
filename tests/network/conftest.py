"""Gives every network test its own TLS context."""

from collections.abc import Iterator

import pytest

from copilot_proxy.network import certificates


@pytest.fixture(autouse=True)
def fresh_contexts() -> Iterator[None]:
    """Do not reuse the TLS context of another test."""
    certificates._ssl_context.cache_clear()
    yield
    certificates._ssl_context.cache_clear()
