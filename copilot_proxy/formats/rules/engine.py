"""Applies the rules of the rule book to a request body, once per request."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from copilot_proxy.errors import RequestError
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules import rule, rule_book, turns
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import UpstreamBody


class AdaptedBody(NamedTuple):
    """A request body in the form that the model accepts."""

    body: UpstreamBody
    tool_names: Mapping[str, str] = MappingProxyType({})
    """Name sent to the model -> the client's name, for each renamed tool."""
    property_names: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    """Renamed parameters: the client's name of a tool -> parameter name sent to the model -> the
    client's parameter name."""
    expects_call: bool = False
    """Whether the client forces a call, but the model is only instructed to make one."""


def apply_rules(
    outgoing: OutgoingBody, profile: ModelProfile, notes: list[str], *, pi_ai: bool = False
) -> AdaptedBody:
    """Apply all rules, or, with `pi_ai`, only those that apply to pi-ai.

    Raises `RequestError` if the conversation ends up empty, or if a schema has too many levels.
    """
    try:
        for one in _rules_for(profile, pi_ai, outgoing):
            one.apply(outgoing, profile, notes)
    except RecursionError:
        raise RequestError("The body is nested too deeply.") from None
    turns.check(outgoing)
    return AdaptedBody(
        outgoing.body, outgoing.tool_names, outgoing.property_names, outgoing.expects_call
    )


def _rules_for(profile: ModelProfile, pi_ai: bool, outgoing: OutgoingBody) -> Sequence[rule.Rule]:
    """Return the rules that may change a request. The profile caches them for each set of
    features."""
    rules: Sequence[rule.Rule]
    is_settled, missing = outgoing.is_settled, _missing(outgoing)
    kind = (pi_ai, is_settled, missing)
    book, rules = profile.derived.get(kind, (None, ()))
    if book is not rule_book.RULES:
        rules = [
            one
            for one in rule_book.RULES
            if one.concerns(profile)
            and (one.pi_ai or not pi_ai)
            and not one.name.startswith(missing)
            and not (is_settled and one.name in rule_book.SETTLED)
        ]
        profile.derived[kind] = rule_book.RULES, rules
    return rules


def _missing(outgoing: OutgoingBody) -> tuple[str, ...]:
    """Return the prefixes of rules about features that the request does not use."""
    missing: tuple[str, ...] = ()
    if not outgoing.uses_tools:
        missing += (rule.TOOLS,)
    if not (outgoing.has_thinking_forms or outgoing.thinks):
        missing += (rule.THINKING,)
    if not (outgoing.is_settled or outgoing.kinds.has_images):
        missing += (rule.IMAGES,)
    return missing
