"""Gives tool calls new ids if an earlier call in the conversation has the same id.

Some models and clients reuse ids. Claude and OpenAI's models refuse that, at least within a
message; for other models, the results would be ambiguous.
"""

from collections.abc import Iterator

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.types import Json


def rename_duplicate_ids(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Change the id of every call whose id was used before, and the id in its result.

    A new id depends only on the conversation up to the call, unless a later call already has that
    id.
    """
    key, result_key = outgoing.call_id_key, outgoing.result_id_key
    ids = [str(call[key]) for call in outgoing.calls]
    used = set(ids)
    if len(ids) == len(used):
        return
    for id in [id for id in dict.fromkeys(ids) if ids.count(id) > 1]:
        number = 1
        for calls, results in _stretches(outgoing, id):
            for call in calls:
                if number > 1:
                    call[key] = _next_id(id, number, used)
                number += 1
            # If there are fewer results than calls, the first calls were interrupted.
            answered = calls[-len(results) :] if results else []
            for index, result in enumerate(results):
                result[result_key] = answered[min(index, len(answered) - 1)][key]
    notes.append("changed ids that several tool calls share")


def _next_id(id: str, number: int, used: set[str]) -> str:
    new_id = f"{id}_{number}"
    while new_id in used:
        new_id += "_"
    used.add(new_id)
    return new_id


def _stretches(outgoing: OutgoingBody, id: str) -> Iterator[tuple[list[Json], list[Json]]]:
    """Yield the calls with this id in groups, each with the results that precede the next group.

    Calls in the same message, and calls without a result between them, are in the same group.
    Results before the first call belong to no group.
    """
    remaining = iter(outgoing.calls)
    calls: list[Json] = []
    results: list[Json] = []
    for segment in outgoing.segments():
        if segment.kind == "result" and segment.ids == (id,) and calls:
            results.append(segment.raw)
        for called in segment.ids if segment.kind == "assistant" else ():
            call = next(one for one in remaining if one[outgoing.call_id_key] == called)
            if called != id:
                continue
            if results:
                yield calls, results
                calls, results = [], []
            calls.append(call)
    if calls:
        yield calls, results
