"""Numbers tool calls for models whose ids are a name and a number, such as Kimi's ``read:0``.

Such a model continues the numbering of the conversation, so its own ids are left alone. If any id
is from another model, all ids are renumbered in order, so that the same conversation always has the
same ids. For models that refuse this form, the rule in `tool_ids` changes the ids.
"""

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json


def number_ids(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Number the calls in a conversation and their results if the model expects numbered ids."""
    form, calls = profile.tool_id_form, outgoing.calls
    if form is None or _are_numbered(outgoing, form):
        return
    key, new_ids = outgoing.call_id_key, dict[str, list[str]]()
    for number, call in enumerate(calls):
        id = form.format(name=outgoing.function(call)["name"], number=number)
        new_ids.setdefault(str(call[key]), []).append(id)
        call[key] = id
    for result in outgoing.results:
        ids = new_ids.get(str(result[outgoing.result_id_key]), [])
        if ids:
            # If an id was used for several calls, their results are in the same order.
            result[outgoing.result_id_key] = ids.pop(0) if len(ids) > 1 else ids[0]
    notes.append("changed ids of tool calls to numbered ids, which the model expects")


def _are_numbered(outgoing: OutgoingBody, form: str) -> bool:
    ids = [str(call[outgoing.call_id_key]) for call in outgoing.calls]
    return len(ids) == len(set(ids)) and all(
        _is_numbered(id, outgoing.function(call), form)
        for id, call in zip(ids, outgoing.calls, strict=True)
    )


def _is_numbered(id: str, function: Json, form: str) -> bool:
    prefix = form.format(name=function["name"], number="")
    return id.startswith(prefix) and id[len(prefix) :].isdecimal()
