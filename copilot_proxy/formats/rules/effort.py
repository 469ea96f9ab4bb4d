"""How hard a model is to think, in the levels that it has."""

from copilot_proxy.formats.efforts import nearest_effort
from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def fit_effort(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Changes an effort to the nearest that the model offers; drops it where there are none. One
    that nobody knows is left to upstream, which names those that it takes."""
    effort = outgoing.effort
    if effort is None or profile.efforts is None:
        return
    nearest = nearest_effort(effort, profile.efforts)
    if nearest == effort:
        return
    outgoing.set_effort(nearest)
    if nearest is None:
        notes.append(f"dropped {outgoing.effort_field}: the model has no levels of it")
    else:
        notes.append(f"changed {outgoing.effort_field}: {effort} to {nearest}")
