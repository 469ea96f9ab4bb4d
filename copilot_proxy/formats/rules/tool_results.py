"""Pairs tool calls with their results.

Interrupted agents leave calls without results, and results without calls. Copilot refuses such
conversations, and therefore every later request that includes them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from copilot_proxy.formats.model_profiles import ModelProfile
from copilot_proxy.formats.rules.body_parts import Segment
from copilot_proxy.formats.rules.outgoing import OutgoingBody

NO_RESULT: Final = "(The call was interrupted: there is no result.)"
_ORPHAN: Final = "(Result of an earlier tool call)"


def pair_results(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Give every call exactly one result, in the position that the API requires.

    A result without a call becomes a user message, so that the model can still see it.
    """
    if outgoing.is_paired():
        return
    segments, note_count = outgoing.segments(), len(notes)
    pairs = _Pairs(outgoing, segments, notes)
    paired = pairs.directly_after() if outgoing.results_follow else pairs.anywhere_after()
    if (
        pairs.is_scattered
        or len(paired) != len(segments)
        or any(one is not other for one, other in zip(paired, segments, strict=True))
    ):
        outgoing.rebuild(paired)
        if len(notes) == note_count:
            notes.append("moved tool results next to their calls")


class _Pairs:
    """The segments of a conversation and their new order."""

    def __init__(
        self, outgoing: OutgoingBody, segments: Sequence[Segment], notes: list[str]
    ) -> None:
        self._outgoing = outgoing
        self._segments = segments
        self._notes = notes
        self._out: list[Segment] = []
        self.is_scattered = False
        """Whether results that must share a message were spread across several messages."""

    def anywhere_after(self) -> list[Segment]:
        """Return the order for APIs that accept results anywhere after their calls."""
        left = Counter(
            id for segment in self._segments if segment.kind == "result" for id in segment.ids
        )
        open_calls: Counter[str] = Counter()
        for segment in self._segments:
            if segment.kind == "result" and not open_calls[segment.ids[0]]:
                left[segment.ids[0]] -= 1
                self._orphan(segment)
                continue
            self._out.append(segment)
            if segment.kind == "result":
                open_calls[segment.ids[0]] -= 1
                left[segment.ids[0]] -= 1
            for id in segment.ids if segment.kind == "assistant" else ():
                if left[id] > open_calls[id]:
                    open_calls[id] += 1
                else:
                    self._missing_result(segment, id)
        return self._out

    def directly_after(self) -> list[Segment]:
        """Return the order for APIs that require results directly after the message with the calls.

        The search for results ends at the next assistant message; consecutive assistant messages
        count as one.
        """
        used: set[int] = set()
        for position, segment in enumerate(self._segments):
            if position in used:
                continue
            if segment.kind == "result":
                self._orphan(segment)
                continue
            self._out.append(segment)
            if segment.kind == "assistant" and segment.ids:
                found = self._results_after(position, used)
                if self._outgoing.results_share_a_message:
                    sources = {
                        self._segments[found[id]].message_index for id in segment.ids if id in found
                    }
                    self.is_scattered = self.is_scattered or len(sources) > 1
                for id in self._order(segment, found):
                    at = found.pop(id, None)
                    if at is None:
                        self._missing_result(segment, id)
                    else:
                        used.add(at)
                        self._out.append(self._segments[at])
        return self._out

    def _order(self, segment: Segment, found: dict[str, int]) -> Sequence[str]:
        """Return the ids of a segment's calls in the order in which their results follow.

        This is the order of the calls, except that results in a single message keep their own
        order.
        """
        if not self._outgoing.results_share_a_message:
            return segment.ids
        return sorted(segment.ids, key=lambda id: found.get(id, len(self._segments)))

    def _results_after(self, position: int, used: set[int]) -> dict[str, int]:
        results: dict[str, int] = {}
        in_row = True
        for later in range(position + 1, len(self._segments)):
            segment = self._segments[later]
            if segment.kind != "assistant":
                in_row = False
            elif not in_row:
                break
            if segment.kind == "result" and later not in used:
                results.setdefault(segment.ids[0], later)
        return results

    def _missing_result(self, segment: Segment, id: str) -> None:
        raw = self._outgoing.result(id, NO_RESULT)
        self._out.append(Segment("result", (id,), raw, segment.message_index))
        where = self._outgoing.location(segment.message_index)
        self._notes.append(f"added a result for a tool call that had none{where}")

    def _orphan(self, segment: Segment) -> None:
        raw = self._outgoing.orphan(segment.raw, _ORPHAN)
        self._out.append(Segment("other", (), raw, segment.message_index))
        where = self._outgoing.location(segment.message_index)
        self._notes.append(f"changed a tool result without a call into a user message{where}")
