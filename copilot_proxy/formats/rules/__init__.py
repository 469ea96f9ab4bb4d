"""What models refuse, put right on the way to them: the book, and one module for each subject."""

from copilot_proxy.formats.rules.book import Fitted, fit, fit_conversation

__all__ = ["Fitted", "fit", "fit_conversation"]
