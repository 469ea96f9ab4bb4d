"""Rejects options of the ``usage`` command that would have no effect."""

from collections.abc import Mapping
from typing import Final

from copilot_proxy.errors import UsageError

_PERIOD: Final = frozenset({"--since", "--until", "--last"})
_FILTERS: Final = frozenset({"--model", "--client", "--key", "--project"})
_REPORT: Final = _FILTERS | {"--as", "--threshold"}
_NONE: Final[frozenset[str]] = frozenset()
_USED: Final[Mapping[str, frozenset[str]]] = {
    "path": _NONE,
    "backup": _NONE,
    "import": _NONE,
    "forget": frozenset({"--before"}),
    "show": _PERIOD | _FILTERS | {"--json"},
    "show REQUEST": frozenset({"--json"}),
    "--verify": frozenset({"--verify", "--json"}),
    "--why": _PERIOD | _FILTERS | {"--why", "--json"},
    "--line": (_REPORT - {"--as"}) | {"--line"},
    "--csv": _PERIOD | _REPORT | {"--csv"},
}
"""The options that have an effect, for each kind of output."""
_TABLE: Final = _PERIOD | _REPORT | {"--json"}
"""The options that have an effect on tables."""


def refuse_unused(word: str | None, argument: str, options: Mapping[str, object]) -> None:
    """Raise `UsageError` if any given option has no effect.

    `word` is the view or the action, and `options` maps the flag of every option to its value,
    which is None or False if the option was not given.
    """
    given = [flag for flag, value in options.items() if value is not None and value is not False]
    if word in _USED:
        form = "show REQUEST" if word == "show" and argument else word
    else:
        form = next((flag for flag in _USED if flag in given), None)
    used = _TABLE if form is None else _USED[form]
    for flag in given:
        if flag in used:
            continue
        if flag == "--before":
            raise UsageError("--before is only for: copilot-proxy usage forget")
        if form is not None and form.startswith("--"):
            raise UsageError(f"{flag} cannot be combined with {form}.")
        raise UsageError(f"{flag} has no effect with: copilot-proxy usage {form or ''}".rstrip())
