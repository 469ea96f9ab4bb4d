"""The rules that adapt requests to what a model accepts: the book, and one module per subject."""

from copilot_proxy.formats.rules.book import FittedBody, fit

__all__ = ["FittedBody", "fit"]
