"""The rules that adapt requests to what a model accepts: `rule_book` lists them all."""

from copilot_proxy.formats.rules.engine import AdaptedBody, apply_rules

__all__ = ["AdaptedBody", "apply_rules"]
