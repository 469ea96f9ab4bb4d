"""Adapts the reasoning effort to the efforts that the model offers."""

from copilot_proxy.formats.efforts import nearest_effort
from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody


def use_nearest_effort(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Change an effort to the nearest one that the model offers; drop it if the model offers none.

    An unknown effort is left for Copilot to refuse, since Copilot's error lists the supported
    values.
    """
    effort = outgoing.effort
    if effort is None or profile.efforts is None:
        return
    if effort == "none" and "none" not in profile.efforts and not profile.thinks_by_default:
        outgoing.set_effort(None)
        return
    nearest = nearest_effort(effort, profile.efforts)
    outgoing.set_effort(nearest)
    name, value = outgoing.fields.effort, outgoing.fields.effort_value
    if nearest is None:
        notes.append(f"dropped {name}: the model does not support it")
    elif value is not None and nearest != "none":
        notes.append(
            f"changed {name} from {value} to effort {nearest}: the model supports only effort "
            "levels"
        )
    elif nearest != effort:
        notes.append(
            f"changed {name} from {effort} to {nearest}: the nearest value that the model supports"
        )
