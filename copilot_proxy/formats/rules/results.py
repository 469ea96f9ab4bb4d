"""Pairs tool calls with their results.

Interrupted agents leave calls without results, and results without calls. Copilot refuses such a
conversation, and thus every later request that includes it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from copilot_proxy.formats.profiles import ModelProfile
from copilot_proxy.formats.rules.outgoing import OutgoingBody
from copilot_proxy.formats.rules.pieces import Piece

NO_RESULT: Final = "(The call was interrupted: there is no result.)"
_ORPHAN: Final = "(Result of an earlier tool call)"


def pair_results(outgoing: OutgoingBody, profile: ModelProfile, notes: list[str]) -> None:
    """Give every call exactly one result, in the position that the API requires.

    A result without a call becomes a user message, so that the model can still see it.
    """
    if outgoing.is_paired():
        return
    pieces, note_count = outgoing.pieces(), len(notes)
    pairs = _Pairs(outgoing, pieces, notes)
    paired = pairs.directly_after() if outgoing.results_follow else pairs.anywhere_after()
    if (
        pairs.is_scattered
        or len(paired) != len(pieces)
        or any(one is not other for one, other in zip(paired, pieces, strict=True))
    ):
        outgoing.rebuild(paired)
        if len(notes) == note_count:
            notes.append("moved tool results to their calls")


class _Pairs:
    """The pieces of a conversation and their new order."""

    def __init__(self, outgoing: OutgoingBody, pieces: Sequence[Piece], notes: list[str]) -> None:
        self._outgoing = outgoing
        self._pieces = pieces
        self._notes = notes
        self._out: list[Piece] = []
        self.is_scattered = False
        """Whether results that must share a message were in several."""

    def anywhere_after(self) -> list[Piece]:
        """Return the order for APIs that accept results anywhere after their calls."""
        left = Counter(id for piece in self._pieces if piece.kind == "result" for id in piece.ids)
        open_calls: Counter[str] = Counter()
        for piece in self._pieces:
            if piece.kind == "result" and not open_calls[piece.ids[0]]:
                left[piece.ids[0]] -= 1
                self._orphan(piece)
                continue
            self._out.append(piece)
            if piece.kind == "result":
                open_calls[piece.ids[0]] -= 1
                left[piece.ids[0]] -= 1
            for id in piece.ids if piece.kind == "assistant" else ():
                if left[id] > open_calls[id]:
                    open_calls[id] += 1
                else:
                    self._missing_result(piece, id)
        return self._out

    def directly_after(self) -> list[Piece]:
        """Return the order for APIs that require results directly after the message with the calls.

        Results are searched up to the next assistant message; consecutive assistant messages
        count as one.
        """
        used: set[int] = set()
        for position, piece in enumerate(self._pieces):
            if position in used:
                continue
            if piece.kind == "result":
                self._orphan(piece)
                continue
            self._out.append(piece)
            if piece.kind == "assistant" and piece.ids:
                found = self._results_after(position, used)
                if self._outgoing.results_share_a_message:
                    sources = {
                        self._pieces[found[id]].message_index for id in piece.ids if id in found
                    }
                    self.is_scattered = self.is_scattered or len(sources) > 1
                for id in self._order(piece, found):
                    at = found.pop(id, None)
                    if at is None:
                        self._missing_result(piece, id)
                    else:
                        used.add(at)
                        self._out.append(self._pieces[at])
        return self._out

    def _order(self, piece: Piece, found: dict[str, int]) -> Sequence[str]:
        """Return the ids of a piece's calls in the order in which their results follow.

        This is the order of the calls, unless the results share a message: then they stay in
        their own order.
        """
        if not self._outgoing.results_share_a_message:
            return piece.ids
        return sorted(piece.ids, key=lambda id: found.get(id, len(self._pieces)))

    def _results_after(self, position: int, used: set[int]) -> dict[str, int]:
        results: dict[str, int] = {}
        in_row = True
        for later in range(position + 1, len(self._pieces)):
            piece = self._pieces[later]
            if piece.kind != "assistant":
                in_row = False
            elif not in_row:
                break
            if piece.kind == "result" and later not in used:
                results.setdefault(piece.ids[0], later)
        return results

    def _missing_result(self, piece: Piece, id: str) -> None:
        raw = self._outgoing.result(id, NO_RESULT)
        self._out.append(Piece("result", (id,), raw, piece.message_index))
        where = self._outgoing.place(piece.message_index)
        self._notes.append(f"added a result for a tool call without one{where}")

    def _orphan(self, piece: Piece) -> None:
        raw = self._outgoing.orphan(piece.raw, _ORPHAN)
        self._out.append(Piece("other", (), raw, piece.message_index))
        where = self._outgoing.place(piece.message_index)
        self._notes.append(f"changed a tool result without a call to a user message{where}")
