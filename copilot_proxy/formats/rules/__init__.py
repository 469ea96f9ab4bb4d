"""The rules that adapt requests to what a model accepts: `book` lists them all."""

from copilot_proxy.formats.rules.book import FittedBody, fit

__all__ = ["FittedBody", "fit"]
