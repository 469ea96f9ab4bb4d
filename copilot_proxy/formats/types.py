"""The names of decoded JSON, so that a signature says which API's shape a value has."""

from typing import Any

Json = dict[str, Any]
"""A part of a request or an answer."""
