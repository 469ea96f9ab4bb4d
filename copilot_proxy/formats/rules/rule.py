"""The definition of a rule in the rule book."""

from collections.abc import Callable
from typing import Final, NamedTuple

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody

TOOLS: Final = "tools."
THINKING: Final = "thinking."
IMAGES: Final = "images."
"""The name prefixes of rules about a feature. Requests that do not use the feature skip these
rules."""

Apply = Callable[[OutgoingBody, ModelProfile, list[str]], None]


class Rule(NamedTuple):
    """A restriction that some models have, and the function that adapts requests to it."""

    name: str
    """Starts with `TOOLS`, `THINKING` or `IMAGES` if the rule only changes requests with that
    feature."""
    source: str
    """Where the restriction is documented or was observed."""
    apply: Apply
    """Changes the body so that the model accepts it, and adds a note for each change that may
    matter to the client. Does nothing if the model already accepts the body."""
    concerns: Callable[[ModelProfile], object] = lambda profile: True
    """Whether the rule can change a request to a model with this profile: truthy or falsy."""
    pi_ai: bool = False
    """Whether the rule also applies to requests to pi-ai, which sets some fields itself."""
